"""Faults that a single file has: unreadable, misnamed, tiny, blank, dark, blurred, of odd shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mobilenets.auditing.kinds import LIMITS, AuditFinding
from mobilenets.auditing.measure import Appearance, ImageMeasures, ImageStats
from mobilenets.data.shapes import shapes
from mobilenets.data.value_range import MIN_LEVELS, RangeDecision
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.formats import SUFFIXES_OF


def quality(stats: ImageStats) -> list[AuditFinding]:
    """Findings about single files; a blank picture is neither dark nor blurred as well."""
    found = [AuditFinding("unreadable", (path,), 1.0, why) for path, why in stats.unreadable]
    for image in stats.images:
        if image.path.suffix.lower() not in SUFFIXES_OF[image.format]:
            found.append(AuditFinding("wrong_suffix", (image.path,), 1.0, f"its content is {image.format}"))
    limit = blank_limit(stats.images)
    flat = {image.path for image in stats.images if image.spread < limit}
    for image in stats.images:
        if image.path in flat:
            why = f"its grey levels differ by {image.spread:.0f} of 255"
            found.append(AuditFinding("blank", (image.path,), 1 - image.spread / limit / 2, why))
    rest = [image for image in stats.images if image.path not in flat]
    if rest:
        for find in (_tiny, _dark, _blurred, _odd_aspect):
            found += find(rest)
    return found


def blank_limit(images: Sequence[Appearance]) -> float:
    """The spread below which a picture is one flat tone: all of those look alike and are duplicates of nothing."""
    usual = float(np.quantile([image.spread for image in images], 0.9)) if images else 0.0
    return min(LIMITS.blank_spread, max(LIMITS.blank_noise, LIMITS.blank_fraction * usual))


def few_levels(data: Path, images: Sequence[ImageMeasures], decision: RangeDecision) -> Iterator[AuditFinding]:
    """A data set that uses few of its grey levels: deep pictures those of their format, others of 0..255."""
    levels, why = decision.levels, decision.few
    if decision.range is None and images:
        low = float(np.quantile([image.low for image in images], 0.01))
        high = float(np.quantile([image.low + image.spread for image in images], 0.99))
        levels, why = high - low, f"the grey levels of all photos lie within {low:.0f} to {high:.0f} of 255"
    if levels < MIN_LEVELS:
        yield AuditFinding("few_levels", (data,), 1 - levels / MIN_LEVELS / 2, why, {"levels": round(levels)})


def _tiny(images: Sequence[ImageMeasures]) -> Iterator[AuditFinding]:
    usual = float(np.median([image.short for image in images]))
    relative = min(LIMITS.tiny_if_below, LIMITS.tiny_fraction * usual)
    limit = max(LIMITS.tiny_pixels, relative)
    for image in images:
        if image.short < limit:
            why = f"{image.width}×{image.height} pixels; the short side is usually {usual:.0f}"
            yield AuditFinding("tiny", (image.path,), 1 - image.short / limit / 2, why)


def _dark(images: Sequence[ImageMeasures]) -> Iterator[AuditFinding]:
    usual = float(np.median([image.light for image in images]))
    limit = min(LIMITS.dark_level, LIMITS.dark_fraction * usual)
    for image in images:
        if image.light < limit:
            why = f"95 % of it is darker than {image.light:.0f} of 255; usual is {usual:.0f}"
            yield AuditFinding("dark", (image.path,), 1 - image.light / limit / 2, why)


def _blurred(images: Sequence[ImageMeasures]) -> Iterator[AuditFinding]:
    if len(images) < LIMITS.min_blur_images:
        return
    values = np.array([image.blur for image in images])
    usual = float(np.median(values))
    deviation = 1.4826 * float(np.median(np.abs(values - usual)))
    limit = max(LIMITS.min_blur, usual + LIMITS.blur_deviations * deviation)
    for image in images:
        if image.blur > limit:
            why = f"blur {image.blur:.2f} (0 sharp, 1 flat); usual is {usual:.2f}"
            yield AuditFinding("blurred", (image.path,), image.blur, why)


def _odd_aspect(images: Sequence[ImageMeasures]) -> Iterator[AuditFinding]:
    usual = float(np.median([image.aspect for image in images]))
    limit = LIMITS.aspect_times * usual
    for image in images:
        if image.aspect > limit:
            why = f"{image.width}×{image.height}: {image.aspect:.1f} times as long as wide; usual is {usual:.1f}"
            yield AuditFinding("odd_aspect", (image.path,), 1 - limit / image.aspect / 2, why)


def cropped(data: Path, images: Sequence[ImageMeasures], preprocess: Preprocess) -> list[AuditFinding]:
    """A finding about the data set, if most images are so far from square that a centre crop hides much."""
    found = shapes([(image.width, image.height) for image in images], preprocess)
    if preprocess.fit != "crop" or found is None or not found.elongated:
        return []
    details = {"width": found.width, "height": found.height, "hidden": round(found.hidden, 4)}
    return [AuditFinding("cropped", (data,), found.hidden, found.describe(), details)]


def imbalance(data: Path, classes: Sequence[str], counts: Sequence[int]) -> list[AuditFinding]:
    """A finding for every class of less than a third of the largest one's pictures."""
    largest = max(counts, default=0)
    return [
        AuditFinding(
            "imbalance",
            (data,),
            1 - n / largest,
            f"{name} has {n} photos, the largest class {largest}",
            {"label": name, "n": n, "largest": largest},
        )
        for name, n in zip(classes, counts, strict=True)
        if n * LIMITS.imbalance_times < largest
    ]
