"""Pictures with what was seen in them written above."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mobilenets.explaining.overlay import heat_image, overlay
from mobilenets.explaining.unlike import unlike_layer
from mobilenets.preprocess import Preprocess, decode
from mobilenets.report.marks import colour_of, draw_marks
from mobilenets.report.thumbnails import contained
from mobilenets.system.files import write_atomic
from mobilenets.system.fonts import find_font
from mobilenets.tasks.mark import Mark, Placeless

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mobilenets.explaining.gradcam import Explanation

MAX_IMAGES = 16  # pictures on one sheet
TILE, TILE_ALONE = 320, 640  # pixels
TILE_MARKED, TILE_MARKED_ALONE = 480, 1024  # of photos with boxes or defects, which may be small
_TITLE = 44
_MARGIN = 8
_FONT_SIZE = 18
_OTHERS = "0123456789.…<≥"  # that a title has besides the name


@dataclass(frozen=True)
class TitledImage(Placeless):
    """A photo and its title, where there is no answer of a model: see `Titled`."""

    path: str
    title: tuple[str, str]


class Titled(Protocol):
    """An image and what stands above it: what may be shortened, and what may not."""

    @property
    def path(self) -> str | None:
        """The file; None: it has none, and is not drawn."""

    @property
    def title(self) -> tuple[str, str]:
        """As a name and a figure."""

    @property
    def marks(self) -> Sequence[Mark]:
        """The places in it that are drawn."""

    @property
    def heat(self) -> NDArray[np.float32] | None:
        """How strange each place is, as `Answer` has it; drawn where it is not None."""


def save_predictions(predictions: Sequence[Titled], path: Path, classes: Sequence[str], preprocess: Preprocess) -> None:
    """Draw the first 16 pictures with their titles, boxes and heat on one PNG, in a grid.

    `preprocess`: the network's, so that deep pictures are shown as it sees them, and heat where it saw it.
    A name among `classes` that no font of this system can write is replaced by its number, with a warning.
    """
    shown = [p for p in predictions if p.path is not None][:MAX_IMAGES]
    several, alone = (TILE, TILE_ALONE)
    if any(p.marks or p.heat is not None for p in shown):
        several, alone = TILE_MARKED, TILE_MARKED_ALONE
    tile = several if len(shown) > 1 else alone
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    labels = dict.fromkeys(mark.label for p in shown for mark in p.marks)
    names = {name: _writable(name, classes) for name in dict.fromkeys([*labels, *(p.title[0] for p in shown)])}
    colours = {name: colour_of(k) for k, name in enumerate(classes)}
    sheet = Image.new("RGB", (columns * tile, rows * (tile + _TITLE)), "white")
    for i, prediction in enumerate(shown):
        corner = i % columns * tile, i // columns * (tile + _TITLE)
        image = decode.read(str(prediction.path), min_side=tile, value_range=preprocess.range)
        image = contained(image, tile - 2 * _MARGIN)
        if prediction.marks:
            image = draw_marks(image.convert("RGB"), prediction.marks, colours, names)
        if prediction.heat is not None:
            image = _with_heat(image, prediction.heat, preprocess)
        _draw(sheet, corner, tile, image, names[prediction.title[0]], prediction.title[1])
    _save(sheet, path)


def _with_heat(image: Image.Image, heat: NDArray[np.float32], preprocess: Preprocess) -> Image.Image:
    """The photo with what is drawn on the page of `serve` too: warm where it is stranger than the threshold."""
    layer = unlike_layer(heat, image.size, preprocess).resize(image.size)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def save_explanations(explanations: Sequence[Explanation], path: Path) -> None:
    """Draw the first 16 as a row each: what the network saw, the heat over it, the heat map alone.

    Above stand the class explained and its probability; names are treated as in `save_predictions`.
    """
    shown = explanations[:MAX_IMAGES]
    classes = {label: sorted(name for name, _ in e.prediction.top) for label, e in {e.label: e for e in shown}.items()}
    names = {label: _writable(label, known) for label, known in classes.items()}
    sheet = Image.new("RGB", (3 * TILE, len(shown) * (TILE + _TITLE)), "white")
    for row, explanation in enumerate(shown):
        crop = Image.fromarray(explanation.crop.squeeze()).convert("RGB")  # one channel has no axis in Pillow
        panels = crop, overlay(explanation.crop, explanation.heat), heat_image(explanation.heat)
        top = row * (TILE + _TITLE)
        for column, panel in enumerate(panels):
            inner = TILE - 2 * _MARGIN
            panel = contained(panel, inner)
            corner = column * TILE + (TILE - panel.width) // 2, top + _TITLE + (TILE - panel.height) // 2
            sheet.paste(panel, corner)
        middle = (sheet.width / 2, top + _TITLE / 2)
        _write_title(
            sheet, middle, sheet.width - 2 * _MARGIN, names[explanation.label], f"{explanation.probability:.3f}"
        )
    _save(sheet, path)


def _save(sheet: Image.Image, path: Path) -> None:
    content = io.BytesIO()
    sheet.save(content, "PNG")
    write_atomic(path, content.getvalue())


def _draw(
    sheet: Image.Image,
    corner: tuple[int, int],
    tile: int,
    image: Image.Image,
    name: str,
    figure: str,
) -> None:
    x, y = corner
    sheet.paste(image, (x + (tile - image.width) // 2, y + _TITLE + (tile - image.height) // 2))
    _write_title(sheet, (x + tile / 2, y + _TITLE / 2), tile - 2 * _MARGIN, name, figure)


def _write_title(sheet: Image.Image, middle: tuple[float, float], width: float, name: str, figure: str) -> None:
    """Name and figure, the name shortened to `width` pixels."""
    name = name if name.isprintable() else ascii(name)[1:-1]
    title, kept = f"{name}  {figure}", len(figure) + 2
    font_file = find_font(name + _OTHERS)
    font = ImageFont.truetype(font_file, _FONT_SIZE) if font_file else ImageFont.load_default(_FONT_SIZE)
    draw = ImageDraw.Draw(sheet)
    while draw.textlength(title, font) > width and len(title) > kept + 2:
        title = title[: -kept - 2] + "…" + title[-kept:]  # one character less of the name, all of the figure
    draw.text(middle, title, "black", font, anchor="mm")


def _writable(label: str, classes: Sequence[str]) -> str:
    """The label, or its number among `classes` where no font has its characters."""
    if label.isascii() or find_font(label + _OTHERS):
        return label
    if label not in classes:  # several of them
        for number, name in enumerate(classes):
            if name in label and not find_font(name + _OTHERS):
                label = label.replace(name, f"class {number}")
        return label
    number = classes.index(label)
    log.warning("no installed font can write %r; drawn as 'class %s'", label, number)
    return f"class {number}"
