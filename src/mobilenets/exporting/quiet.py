"""Converters talk to their own developers; to the users of this package that says nothing."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

from mobilenets.system.quiet import no_output


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings, logging and what Python code prints; exceptions pass."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """`quiet`, and nothing from libraries in C either: standard output and error lead nowhere."""
    with no_output(), quiet():
        yield
