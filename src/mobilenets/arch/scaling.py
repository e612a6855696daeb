"""The two hyper-parameters' arithmetic: width α and the rounding of channels."""

from __future__ import annotations


def make_divisible(value: float, divisor: int = 8) -> int:
    """`value` rounded to a multiple of `divisor`, at least `divisor`, never below 90 % of `value`.

    Source: TensorFlow slim `mobilenet.py`, copied by every later implementation.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
