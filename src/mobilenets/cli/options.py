"""What several commands declare alike, and how their options reach the verb. Defaults are those of its signature."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any, TypeVar

from mobilenets import choices
from mobilenets.errors import did_you_mean

R = TypeVar("R")


def defaults(verb: Callable[..., Any]) -> dict[str, Any]:
    """The default of each option of a verb, for `ArgumentParser.set_defaults`."""
    return {p.name: p.default for p in signature(verb).parameters.values() if p.default is not Parameter.empty}


def call(verb: Callable[..., R], args: argparse.Namespace, **own: Any) -> R:
    """The verb with the options of its command of the same names, and with `own` instead of what they say."""
    named = {name: getattr(args, name) for name in signature(verb).parameters if hasattr(args, name)}
    return verb(**named | own)


def one_of(literal: Any) -> dict[str, Any]:
    """An option that takes one of the words of a type of `choices`; another one is told with the nearest of them."""
    words = choices.values(literal)

    def check(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}{did_you_mean(text, words)}")
        return text

    return {"choices": words, "type": check}


def pixels(text: str) -> int:
    """A number of pixels: 200000000, 200e6 or 200M."""
    try:
        value = float(text.strip().upper().replace("M", "e6"))
        if 1 <= value < 1e12:
            return int(value)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels; write one like 200000000 or 200M")


def fraction_or_folder(text: str) -> float | str:
    """What --val says: a fraction, or the name of a folder."""
    try:
        return float(text)
    except ValueError:
        return text


ENGINE: dict[str, Any] = {
    **one_of(choices.Engine),
    "help": "what runs the file (default %(default)s: the fastest here)",
}
PRECISION: dict[str, Any] = {
    **one_of(choices.Precision),
    "help": "default %(default)s; half: bfloat16 or float16, in openvino on processors that have it; auto: half where "
    "that is faster here, and a line says so",
}
MAX_PIXELS: dict[str, Any] = {
    "type": pixels,
    "metavar": "N",
    "help": "decode at most so many pixels of a photo (default 120M); larger JPEGs are read at reduced scale",
}
ACCEPT: dict[str, Any] = {
    "type": float,
    "metavar": "P",
    "help": "fraction of known photos that are taken for known (default 0.95; 1: all); a photo that is less like the "
    "training photos is unknown",
}
TILE: dict[str, Any] = {"type": int, "metavar": "N"}
SEED: dict[str, Any] = {"type": int, "metavar": "S"}
