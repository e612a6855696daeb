"""The folder where this package keeps what it may lose: downloads, and what it measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def home() -> Path:
    """`MOBILENETS_HOME`, or the system's place for caches."""
    if chosen := os.environ.get("MOBILENETS_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "mobilenets"
