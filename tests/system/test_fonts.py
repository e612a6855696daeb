"""Fonts are found by what they can write, on real fonts and on ones made for the test."""

import os
import subprocess
import sys
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import ImageFont

from mobilenets.system.fonts import find_font


def make_font(path: Path, characters: str) -> Path:
    """A font whose glyphs are bars of different widths, and a hollow box for what it lacks."""
    names = [".notdef", *(f"glyph{k}" for k in range(len(characters)))]
    glyphs = {}
    for k, name in enumerate(names):
        pen = TTGlyphPen(None)
        for left, right in [(50, 100), (800, 850)] if k == 0 else [(50, 150 + 20 * k)]:
            pen.moveTo((left, 0))
            pen.lineTo((left, 700))
            pen.lineTo((right, 700))
            pen.lineTo((right, 0))
            pen.closePath()
        glyphs[name] = pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(c): names[k + 1] for k, c in enumerate(characters)})
    font.setupGlyf(glyphs)
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 50)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    font.save(path)
    return path


def found_at_home(home: Path, text: str) -> str:
    code = "import sys; from mobilenets.system.fonts import find_font; print(find_font(sys.argv[1]))"
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
    command = [sys.executable, "-c", code, text]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


HOME_FONTS = {"darwin": "Library/Fonts", "win32": "AppData/Local/Microsoft/Windows/Fonts"}.get(sys.platform, ".fonts")

# Unassigned in Unicode, so that no font of the machine has them.
PRIVATE_SCRIPT = "\U0001c8f0\U0001c8f1"


def test_latin_text_finds_a_font_that_opens() -> None:
    path = find_font("daisy 0.974")
    assert path is not None
    assert ImageFont.truetype(path, 12).getlength("daisy") > 0


def test_a_text_that_no_font_has_finds_none() -> None:
    assert find_font(PRIVATE_SCRIPT) is None


def test_a_font_in_the_home_folder_is_found_by_its_characters(tmp_path: Path) -> None:
    font = make_font(tmp_path / HOME_FONTS / "deep" / "Own.ttf", PRIVATE_SCRIPT + "0.…")
    assert found_at_home(tmp_path, PRIVATE_SCRIPT + " 0.0") == str(font)


def test_a_font_with_some_of_the_characters_is_not_enough(tmp_path: Path) -> None:
    make_font(tmp_path / HOME_FONTS / "Half.ttf", PRIVATE_SCRIPT[0])
    assert found_at_home(tmp_path, PRIVATE_SCRIPT) == "None"


def test_a_font_that_claims_all_and_has_none_is_left_out(tmp_path: Path) -> None:
    make_font(tmp_path / HOME_FONTS / "LastResort.ttf", PRIVATE_SCRIPT)
    assert found_at_home(tmp_path, PRIVATE_SCRIPT) == "None"


def test_a_damaged_font_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / HOME_FONTS).mkdir(parents=True)
    (tmp_path / HOME_FONTS / "Broken.ttf").write_bytes(b"\0\1\0\0 not a font")
    assert found_at_home(tmp_path, PRIVATE_SCRIPT) == "None"
