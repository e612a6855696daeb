"""What reading a data set came upon, said once: it is read for training and again for what is told about it."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)
_warned: set[str | Path] = set()


def warn_once(line: str, about: Path | None = None) -> None:
    """Say a line, unless this process did; `about`: what one line is enough for, as a folder for all files in it."""
    subject = about or line
    if subject not in _warned:
        _warned.add(subject)
        log.warning("%s", line)
