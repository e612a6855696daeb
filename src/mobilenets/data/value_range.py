"""What of 16-bit, integer and floating-point pictures is black and white: decided once, for a whole data set.

A picture by itself does not say. Its largest value may be a dead pixel, a 12-bit camera fills a sixteenth of 16 bits,
and stretching each picture by itself makes bright and dark ones alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples
from mobilenets.errors import UsageError, UserError
from mobilenets.preprocess import decode, depth
from mobilenets.preprocess.decode import DeepValues
from mobilenets.preprocess.depth import Range

AUTO, NONE = "auto", "none"
OPTION = "--range"

_MAX_HEADERS = 2000  # pictures opened to see whether they are deep: half a second
_MAX_DECODED = 128  # of those that are
_MAX_VALUES = 4096  # of each

# Where a usual range (0 to 4095 of a 12-bit camera, 0 to 1, …) leaves the data set fewer of the 256 grey levels than
# this, it is stretched: two of the eight bits would be lost, and the contrast falls below that of a photograph in fog.
MIN_LEVELS = 64
# Stretched, the data takes two thirds of the levels: later pictures may be brighter or darker by a quarter of its span.
_MARGIN = 0.25
# Kinds of pictures whose largest values differ by more cannot share a range: one of them would be black.
_MAX_RATIO = 16
# A picture whose values all lie within two grey levels shows nothing.
_MIN_SPREAD = 2.0


@dataclass(frozen=True)
class RangeDecision:
    """The range of a data set, and why.

    `range`: None where no picture has more than 8 bits. `note`: one line about it, empty where there is nothing to
    say. `levels`: how many of the 256 grey levels of its format the data takes; `few`: a clause about few ones.
    """

    range: Range | None = None
    note: str = ""
    few: str = ""
    levels: float = 256.0


def parse_range(value: str | Sequence[float] | None) -> Range | str:
    """What `--range` says: "auto", "none", or "LOW,HIGH" (also two numbers).

    Raises
    ------
    UserError
        None of these.
    """
    if value is None or value in (AUTO, NONE):
        return value or AUTO
    try:
        parts = value.replace(";", ",").split(",") if isinstance(value, str) else list(value)
        low, high = (float(part) for part in parts)
    except (ValueError, TypeError, AttributeError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"range: {value!r} is neither auto nor LOW,HIGH with LOW below HIGH; write 0,4095 for example")
    return low, high


def range_to_ask(asked: str, known: Range | None) -> str | Range:
    """What to decide on: the range that the weights were trained with, where nothing else is asked for."""
    return known if asked == AUTO and known is not None else asked


def range_text(decided: Range | None, asked: str) -> str:
    """What `config.yaml` keeps, so that a run repeated or resumed does not decide anew."""
    return asked if decided is None else ",".join(repr(end).removesuffix(".0") for end in decided)


def decide_range(samples: Samples, asked: str | Sequence[float] | None = AUTO) -> RangeDecision:
    """Look at pictures from all over `samples` and decide, or take what is `asked` for and say what that means.

    Raises
    ------
    UserError
        `asked` is no range, or the data holds kinds of pictures that cannot share one.
    """
    wanted = parse_range(asked)
    if wanted == NONE:
        return RangeDecision()
    fixed = wanted if isinstance(wanted, tuple) else None
    opened = samples.spread(_MAX_HEADERS)
    with ThreadPoolExecutor(2) as pool:
        deep = np.fromiter(pool.map(_is_deep, opened), np.bool_, len(opened))
        looked_at = opened.take(deep).spread(_MAX_DECODED)
        found = [values for values in pool.map(_values, looked_at) if values is not None]
    if not found:
        return RangeDecision(
            fixed, note=f"range: no photo has more than 8 bits; {OPTION} changes none" if fixed else ""
        )
    ends = [depth.robust_ends(image.values) for image in found]
    if fixed is None:
        _refuse_a_mixture(found, ends)
    held = depth.robust_ends(np.concatenate([image.values.astype(np.float64) for image in found]))
    usual = _usual(found, held)
    levels = _levels(held, usual) if usual else 256.0
    chosen = fixed or (usual if usual and levels >= MIN_LEVELS else _stretched(held, usual, _floating(found)))

    kinds = " and ".join(sorted({image.kind for image in found}))
    holds = f"{kinds} photos hold values from {describe(held)}" + (f" of {describe(usual)}" if usual else "")
    note = f"range: {holds}; {describe(chosen)} becomes black to white"
    note += "" if fixed else f" ({OPTION} LOW,HIGH says otherwise)"
    if not deep.all():
        note += f"; {int((~deep).sum()):,} of {len(opened):,} photos looked at have 8 bits and stay as they are"
    flat = sum(_levels(own, chosen) < _MIN_SPREAD for own in ends)
    if flat:
        note += f"; {flat} of {len(ends)} take less than {_MIN_SPREAD:g} grey levels of that: look at them"
    few = f"{holds}: {levels:.0f} of 256 grey levels; train takes {describe(chosen)} for black to white"
    return RangeDecision(chosen, note, few if levels < MIN_LEVELS else "", levels)


def describe(value_range: Range) -> str:
    """The range for people: "0 to 4095"."""
    low, high = value_range
    return f"{low:.6g} to {high:.6g}" if max(abs(low), abs(high)) < 1e6 else f"{low:.0f} to {high:.0f}"


def _is_deep(sample: Sample) -> bool:
    try:
        return decode.is_deep(sample.open())
    except UserError:  # told where the picture is read
        return False


def _values(sample: Sample) -> DeepValues | None:
    try:
        return decode.deep_values(sample.open(), _MAX_VALUES)
    except UserError:
        return None


def _floating(found: Sequence[DeepValues]) -> bool:
    return any(image.values.dtype.kind == "f" for image in found)


def _usual(found: Sequence[DeepValues], held: Range) -> Range | None:
    """The range that such data is stored in, if there is one."""
    low, high = held
    declared = [image.white for image in found]
    if all(declared) and low >= 0 and high <= max(filter(None, declared)):
        return 0.0, max(filter(None, declared))
    return depth.usual_range(low, high, _floating(found))


def _stretched(held: Range, usual: Range | None, floating: bool) -> Range:
    """What the data holds and a margin, within the usual range."""
    low, high = held
    if high == low:  # nothing to be seen, however it is stretched
        return usual or (low, low + 1)
    margin = _MARGIN * (high - low)
    ends = low - margin, high + margin
    if low >= 0:
        ends = max(ends[0], 0.0), ends[1]
    if usual is not None:
        ends = max(ends[0], usual[0]), min(ends[1], max(usual[1], high))
    if floating:
        return float(f"{ends[0]:.4g}"), float(f"{ends[1]:.4g}")
    return math.floor(ends[0]), math.ceil(ends[1])


def _levels(held: Range, within: Range) -> float:
    """How many of 256 grey levels `held` takes where `within` is black to white."""
    low, high = (min(max(end, within[0]), within[1]) for end in held)
    return 255 * (high - low) / (within[1] - within[0])


def _refuse_a_mixture(found: Sequence[DeepValues], ends: Sequence[Range]) -> None:
    kinds = sorted({image.kind for image in found})
    largest = {
        kind: max(high for image, (_, high) in zip(found, ends, strict=True) if image.kind == kind) for kind in kinds
    }
    small, large = min(largest, key=largest.__getitem__), max(largest, key=largest.__getitem__)
    if largest[large] > _MAX_RATIO * max(largest[small], 0) and largest[large] > 0:
        raise UsageError(
            f"range: {small} photos reach {largest[small]:.6g} and {large} ones {largest[large]:.6g}: no range shows "
            f"both; convert them to one kind, or say which with {OPTION} LOW,HIGH"
        )
