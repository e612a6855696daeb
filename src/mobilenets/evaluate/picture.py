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
TILE, TILE_ALONE = 320, 640  # pixels
_TITLE = 44
_MARGIN = 8
_FONT_SIZE = 18
_OTHERS = "0123456789.…"  # that a title has besides the name


def save_pictures(predictions: Sequence[Prediction], path: Path) -> None:
    """Draw the first 16 pictures with their titles on one PNG, in a grid.

    A name that no font of this system can write is replaced by its class number (in sorted order, as training
    numbers classes), with a warning.
    """
    shown = [p for p in predictions if p.path is not None][:MOST]
    tile = TILE if len(shown) > 1 else TILE_ALONE
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    names = {label: _writable(p) for label, p in {p.label: p for p in shown}.items()}
    sheet = Image.new("RGB", (columns * tile, rows * (tile + _TITLE)), "white")
    for i, prediction in enumerate(shown):
        corner = i % columns * tile, i // columns * (tile + _TITLE)
        _draw(sheet, corner, tile, prediction, names[prediction.label])
    content = io.BytesIO()
    sheet.save(content, "PNG")
    write_atomic(path, content.getvalue())


def _draw(sheet: Image.Image, corner: tuple[int, int], tile: int, prediction: Prediction, name: str) -> None:
    (x, y), inner = corner, tile - 2 * _MARGIN
    picture = ImageOps.contain(images.read(str(prediction.path), at_least=tile), (inner, inner))
    sheet.paste(picture, (x + (tile - picture.width) // 2, y + _TITLE + (tile - picture.height) // 2))
    title = f"{name}  {prediction.probability:.3f}"
    font_file = find_font(name + _OTHERS)
    font = ImageFont.truetype(font_file, _FONT_SIZE) if font_file else ImageFont.load_default(_FONT_SIZE)
    draw = ImageDraw.Draw(sheet)
    while draw.textlength(title, font) > inner and len(title) > 9:
        title = title[:-9] + "…" + title[-7:]  # one character less of the name, all of the probability
    draw.text((x + tile / 2, y + _TITLE / 2), title, "black", font, anchor="mm")


def _writable(prediction: Prediction) -> str:
    """The label, or its number where no font has its characters."""
    label = prediction.label
    if find_font(label + _OTHERS) or label.isascii():
        return label
    number = sorted(name for name, _ in prediction.top).index(label)
    print(f"no installed font can write {label!r}; drawn as 'class {number}'", file=sys.stderr)
    return f"class {number}"
