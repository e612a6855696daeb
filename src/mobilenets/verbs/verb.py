"""What every verb does with its arguments before its own work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from mobilenets.errors import UsageError, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose wrong arguments are told as a command tells them, in one line, with what may have been meant.

    Its signature stays as it is, for editors and `help`. Its `progress` is told of all progress inside, and its
    `max_pixels` holds inside.
    """
    known = signature(function)

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given: dict[str, Any] = known.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise UsageError(f"{function.__name__}: {_wrong(kwargs, known.parameters) or error}") from None
        with ExitStack() as around:
            if given.get("progress") is not None:
                from mobilenets.system.progress import reported_to

                around.enter_context(reported_to(given["progress"]))
            if given.get("max_pixels") is not None:
                from mobilenets.preprocess.opening import max_pixels

                around.enter_context(max_pixels(given["max_pixels"]))
            return function(*args, **kwargs)

    return called


def check_counts(**counts: int | None) -> None:
    """Refuse options, by their names, that are below 1; None was not given.

    Raises
    ------
    UsageError
        As said.

    Examples
    --------
    >>> check_counts(top=0)
    Traceback (most recent call last):
    mobilenets.errors.UsageError: --top: 0 is too few; use 1 or more
    """
    for name, value in counts.items():
        if value is not None and value < 1:
            raise UsageError(f"--{name}: {value} is too few; use 1 or more")


def _wrong(given: dict[str, Any], known: Any) -> str:
    unknown = next((name for name in given if name not in known), None)
    return "" if unknown is None else f"no option is called {unknown!r}{did_you_mean(unknown, known)}"
