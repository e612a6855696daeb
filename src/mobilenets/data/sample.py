"""One photograph of a data set, and the parts of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """A file and its class (index into the sorted class names).

    Samples of one `group` show the same thing; every `stratum` is split in the same proportion.
    """

    path: Path
    label: int
    group: str | None = None
    stratum: str | None = None


@dataclass(frozen=True)
class Splits:
    """Class names, sorted, and the samples of each part."""

    classes: tuple[str, ...]
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...] = ()
