"""Faults that a single file has: unreadable, misnamed, tiny, blank, dark, blurred, of odd shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mobilenets.auditing.kinds import LIMITS, Finding
from mobilenets.auditing.measure import Photo, Seen
from mobilenets.data.shapes import shapes
from mobilenets.data.value_range import MIN_LEVELS, RangeDecision
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.formats import SUFFIXES_OF


def quality(seen: Seen) -> list[Finding]:
    """Findings about single files; a blank picture is neither dark nor blurred as well."""
    found = [Finding("unreadable", (path,), 1.0, why) for path, why in seen.unreadable]
    for photo in seen.photos:
        if photo.path.suffix.lower() not in SUFFIXES_OF[photo.format]:
            found.append(Finding("wrong_suffix", (photo.path,), 1.0, f"its content is {photo.format}"))
    limit = blank_limit(seen.photos)
    flat = {photo.path for photo in seen.photos if photo.spread < limit}
    for photo in seen.photos:
        if photo.path in flat:
            why = f"its grey levels differ by {photo.spread:.0f} of 255"
            found.append(Finding("blank", (photo.path,), 1 - photo.spread / limit / 2, why))
    rest = [photo for photo in seen.photos if photo.path not in flat]
    if rest:
        for judge in (_tiny, _dark, _blurred, _odd_aspect):
            found += judge(rest)
    return found


def blank_limit(photos: Sequence[Photo]) -> float:
    """The spread below which a picture is one flat tone: all of those look alike and are duplicates of nothing."""
    usual = float(np.quantile([photo.spread for photo in photos], 0.9)) if photos else 0.0
    return min(LIMITS.blank_spread, max(LIMITS.blank_noise, LIMITS.blank_share * usual))


def few_levels(data: Path, photos: Sequence[Photo], decision: RangeDecision) -> Iterator[Finding]:
    """A data set that uses few of its grey levels: deep pictures those of their format, others of 0..255."""
    levels, why = decision.levels, decision.few
    if decision.range is None and photos:
        low = float(np.quantile([photo.low for photo in photos], 0.01))
        high = float(np.quantile([photo.low + photo.spread for photo in photos], 0.99))
        levels, why = high - low, f"the grey levels of all pictures lie within {low:.0f} to {high:.0f} of 255"
    if levels < MIN_LEVELS:
        yield Finding("few_levels", (data,), 1 - levels / MIN_LEVELS / 2, why, {"levels": round(levels)})


def _tiny(photos: Sequence[Photo]) -> Iterator[Finding]:
    usual = float(np.median([photo.short for photo in photos]))
    relative = min(LIMITS.tiny_if_below, LIMITS.tiny_share * usual)
    limit = max(LIMITS.tiny_pixels, relative)
    for photo in photos:
        if photo.short < limit:
            why = f"{photo.width}×{photo.height} pixels; the short side is usually {usual:.0f}"
            yield Finding("tiny", (photo.path,), 1 - photo.short / limit / 2, why)


def _dark(photos: Sequence[Photo]) -> Iterator[Finding]:
    usual = float(np.median([photo.light for photo in photos]))
    limit = min(LIMITS.dark_level, LIMITS.dark_share * usual)
    for photo in photos:
        if photo.light < limit:
            why = f"95 % of it is darker than {photo.light:.0f} of 255; usual is {usual:.0f}"
            yield Finding("dark", (photo.path,), 1 - photo.light / limit / 2, why)


def _blurred(photos: Sequence[Photo]) -> Iterator[Finding]:
    if len(photos) < LIMITS.blur_pictures:
        return
    values = np.array([photo.blur for photo in photos])
    usual = float(np.median(values))
    deviation = 1.4826 * float(np.median(np.abs(values - usual)))
    limit = max(LIMITS.blur_least, usual + LIMITS.blur_deviations * deviation)
    for photo in photos:
        if photo.blur > limit:
            why = f"blur {photo.blur:.2f} (0 sharp, 1 flat); usual is {usual:.2f}"
            yield Finding("blurred", (photo.path,), photo.blur, why)


def _odd_aspect(photos: Sequence[Photo]) -> Iterator[Finding]:
    usual = float(np.median([photo.aspect for photo in photos]))
    limit = LIMITS.aspect_times * usual
    for photo in photos:
        if photo.aspect > limit:
            why = f"{photo.width}×{photo.height}: {photo.aspect:.1f} times as long as wide; usual is {usual:.1f}"
            yield Finding("odd_aspect", (photo.path,), 1 - limit / photo.aspect / 2, why)


def cropped(data: Path, photos: Sequence[Photo], seen: Preprocess) -> list[Finding]:
    """A finding about the data set, if most pictures are so far from square that the crop of `seen` hides much."""
    found = shapes([(photo.width, photo.height) for photo in photos], seen)
    if seen.fit != "crop" or found is None or not found.elongated:
        return []
    details = {"width": found.width, "height": found.height, "hidden": round(found.hidden, 4)}
    return [Finding("cropped", (data,), found.hidden, found.describe(), details)]


def imbalance(data: Path, classes: Sequence[str], counts: Sequence[int]) -> list[Finding]:
    """A finding for every class of less than a third of the largest one's pictures."""
    largest = max(counts, default=0)
    return [
        Finding(
            "imbalance",
            (data,),
            1 - n / largest,
            f"{name} has {n} pictures, the largest class {largest}",
            {"label": name, "n": n, "largest": largest},
        )
        for name, n in zip(classes, counts, strict=True)
        if n * LIMITS.imbalance_times < largest
    ]
