"""Is a number what it should be? A net may come from an untrusted file: no row may ask for gigabytes."""

from __future__ import annotations

import math

from mobilenets.errors import UsageError

MAX_CHANNELS = 100_000
MAX_KERNEL = 31


def check_choice(name: str, value: object, accepted: tuple[object, ...]) -> None:
    """Refuse what is none of `accepted`."""
    if value not in accepted:
        raise UsageError(f"{name}: {value!r} is not one of {', '.join(map(str, accepted))}")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is no whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{name}: {value!r} is not a whole number from {low} to {high}")


def check_channels(name: str, value: object, low: int = 1) -> None:
    """Refuse what is no number of channels."""
    check_whole(name, value, low, MAX_CHANNELS)


def check_kernel(name: str, value: object, optional: bool = False) -> None:
    """Refuse what is no odd number; `optional`: 0 means there is none."""
    check_whole(name, value, 0 if optional else 1, MAX_KERNEL)
    if isinstance(value, int) and value and value % 2 == 0:
        raise UsageError(f"{name}: {value!r} is even; convolutions here have a centre")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise UsageError(f"{name}: {value!r} is neither true nor false")


def check_fraction(name: str, value: object) -> None:
    """Refuse what is no number from 0 to 1."""
    if not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= 1:
        raise UsageError(f"{name}: {value!r} is not a number from 0 to 1")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Refuse what is no number from `low` to `high`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]  # a number, by the first half
        raise UsageError(f"{name}: {value!r} is not a number from {low:g} to {high:g}")
