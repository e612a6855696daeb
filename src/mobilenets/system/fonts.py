"""A font that can write a given text, found on this system."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

_FOLDERS = {
    "linux": ("~/.fonts", "~/.local/share/fonts", "/usr/local/share/fonts", "/usr/share/fonts"),
    "darwin": ("~/Library/Fonts", "/Library/Fonts", "/System/Library/Fonts"),
    "win32": ("~/AppData/Local/Microsoft/Windows/Fonts", "C:/Windows/Fonts"),
}
_SUFFIXES = (".ttf", ".otf", ".ttc")
_WITHOUT_GLYPHS = ("LastResort", "AdobeBlank")  # claim every character and draw a box, or nothing
# Families that cover much, tried before all others.
_PREFERRED = ("DejaVuSans.", "NotoSans-Regular", "NotoSansCJK-Regular", "Arial", "PingFang", "msyh", "wqy")


def find_font(text: str) -> str | None:
    """The file of a font with a glyph for every character of `text`; None where there is none."""
    return _find(frozenset(c for c in text if not c.isspace()))


@lru_cache(maxsize=256)
def _find(characters: frozenset[str]) -> str | None:
    return next((path for path in _fonts() if _covers(path, characters)), None)


@lru_cache(maxsize=1)
def _fonts() -> tuple[str, ...]:
    """Font files of the system, preferred ones first."""
    found = list(_search())
    return tuple(sorted(found, key=lambda p: (not Path(p).name.startswith(_PREFERRED), p)))


def _search() -> Iterator[str]:
    for folder in _FOLDERS.get(sys.platform, _FOLDERS["linux"]):
        for root, _, files in os.walk(Path(folder).expanduser()):
            names = (f for f in files if f.lower().endswith(_SUFFIXES) and not f.startswith(_WITHOUT_GLYPHS))
            yield from (str(Path(root, f)) for f in names)
    yield from _matplotlib_fonts()


def _matplotlib_fonts() -> list[str]:
    """DejaVu comes with matplotlib: Latin, Greek, Cyrillic and Arabic letters even on a bare system."""
    from importlib.util import find_spec

    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return []
    return [str(p) for p in (Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf").glob("DejaVuSans.ttf")]


def _covers(path: str, characters: frozenset[str]) -> bool:
    """Whether no character of the font is drawn as the one for missing glyphs."""
    try:
        font = ImageFont.truetype(path, 20)
        absent = [bytes(font.getmask(c)) for c in ("\U0010fffe", "\ue5f3")]
        return all(bytes(font.getmask(c)) not in absent for c in characters)
    except OSError:
        return False
