"""Python's collector of cycles, kept from what it cannot free."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Leave cycles alone, inside: for imports, most of whose objects stay while the process lives.

    Those that training needs make a million, and the collector went through all there were again and again: a tenth of
    the time that importing them took.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
