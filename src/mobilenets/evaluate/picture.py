"""Pictures with what was seen in them written above."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mobilenets import images
from mobilenets.artifact import write_atomic
from mobilenets.fonts import find_font
from mobilenets.runtime.classifier import Prediction

MOST = 16  # pictures on one sheet
TILE = 320  # pixels
_TITLE = 44
_FONT_SIZE = 18


def save_pictures(predictions: Sequence[Prediction], path: Path) -> None:
    """Draw up to 16 pictures with their titles on one PNG, in a grid.

    A name that no font of this system can write is replaced by its class number, with a warning.
    """
    shown = [p for p in predictions if p.path is not None][:MOST]
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    sheet = Image.new("RGB", (columns * TILE, rows * (TILE + _TITLE)), "white")
    for i, prediction in enumerate(shown):
        corner = i % columns * TILE, i // columns * (TILE + _TITLE)
        _draw(sheet, corner, prediction)
    content = io.BytesIO()
    sheet.save(content, "PNG")
    write_atomic(path, content.getvalue())


def _draw(sheet: Image.Image, corner: tuple[int, int], prediction: Prediction) -> None:
    x, y = corner
    picture = ImageOps.contain(images.read(str(prediction.path), at_least=TILE), (TILE - 16, TILE - 16))
    sheet.paste(picture, (x + (TILE - picture.width) // 2, y + _TITLE + (TILE - picture.height) // 2))
    title = f"{_writable(prediction)}  {prediction.probability:.3f}"
    font_file = find_font(title)
    font = ImageFont.truetype(font_file, _FONT_SIZE) if font_file else ImageFont.load_default(_FONT_SIZE)
    draw = ImageDraw.Draw(sheet)
    while draw.textlength(title, font) > TILE - 16 and len(title) > 12:
        title = title[:-12] + "…" + title[-7:]
    draw.text((x + TILE / 2, y + _TITLE / 2), title, "black", font, anchor="mm")


def _writable(prediction: Prediction) -> str:
    """The label, or its number where no font has its characters."""
    if find_font(prediction.label + "…") or prediction.label.isascii():
        return prediction.label
    number = sorted(name for name, _ in prediction.top).index(prediction.label)
    print(f"no installed font can write {prediction.label!r}; drawn as 'class {number}'", file=sys.stderr)
    return f"class {number}"
