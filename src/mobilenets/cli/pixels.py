"""`--max-pixels`: how large a picture may be, for every command that reads pictures."""

from __future__ import annotations

import argparse
from typing import Any

COMMANDS = ("predict", "evaluate", "explain", "audit", "export", "search")  # and train, where it is a setting


def pixels(text: str) -> int:
    """A number of pixels: 200000000, 200e6 or 200M."""
    try:
        value = float(text.strip().upper().replace("M", "e6"))
        if 1 <= value < 1e12:
            return int(value)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels; write one like 200000000 or 200M")


OPTIONS: dict[str, Any] = {
    "type": pixels,
    "metavar": "N",
    "help": "decode at most so many pixels of a picture (default 120M); larger JPEGs are read at reduced scale",
}
