"""Boxes drawn over a photo, each class in its own colour, with a label where there is room for one."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from mobilenets.report.figure import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from mobilenets.system.fonts import find_font
from mobilenets.tasks.mark import Mark

_COLOURS = (VERMILION, SKY, ORANGE, GREEN, PURPLE, BLUE, "#F0E442")  # those of charts, and the yellow of their palette
_GOLDEN = 0.618034  # of the circle of hues, from one further class to the next: neighbours are far apart
_OTHERS = "0123456789.…"  # that a label has besides the name
_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)
_FONT_SIZE, _PAD = 14, 2  # pixels
_LIMIT = 0.179  # luminance at which dark and light text have the same contrast, by WCAG

Colour = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]


def colour_of(number: int) -> Colour:
    """The colour of the class of this number, 0 or more.

    Examples
    --------
    >>> colour_of(0), len({colour_of(k) for k in range(90)})
    ((213, 94, 0), 90)
    """
    if number < len(_COLOURS):
        red, green, blue = bytes.fromhex(_COLOURS[number][1:])
        return red, green, blue
    further = number - len(_COLOURS)
    # Light and dark ones in turn, so that hues which come near each other differ in that.
    parts = colorsys.hls_to_rgb(further * _GOLDEN % 1, (0.6, 0.4, 0.75)[further % 3], 0.85)
    red, green, blue = (round(255 * part) for part in parts)
    return red, green, blue


def draw_marks(
    image: Image.Image, marks: Sequence[Mark], colours: Mapping[str, Colour], names: Mapping[str, str]
) -> Image.Image:
    """A copy of `image` with boxes; what comes first lies above the others, and has its label first.

    A label that would cover another one is left out. Where all are of one class, it is the figure alone.

    Parameters
    ----------
    image
        The upright photo, RGB, of any size.
    marks
        Of it.
    colours
        By class.
    names
        By class, how it is written; empty: without labels.

    Returns
    -------
    Image.Image
        Of the same size.
    """
    result = image.copy()
    pen = ImageDraw.Draw(result)
    width = max(2, round(min(image.size) / 300))
    boxes = [_pixels(mark, image.size) for mark in marks]
    for mark, (left, top, right, bottom) in reversed(list(zip(marks, boxes, strict=True))):
        # With a dark edge: no colour is seen on every photo.
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_DARK)
        pen.rectangle((left, top, right, bottom), outline=colours[mark.label], width=width)
    if not names:
        return result
    text = "".join(names.values()) + _OTHERS
    font_file = find_font(text)
    font = ImageFont.truetype(font_file, _FONT_SIZE) if font_file else ImageFont.load_default(_FONT_SIZE)
    has_names = len(colours) > 1
    taken: list[Rectangle] = []
    for mark, box in zip(marks, boxes, strict=True):
        label = _fitted(names[mark.label] if has_names else "", mark.figure, font, image.width)
        rectangle = _label_rectangle(label, box, font, image.size)
        if any(_overlap(rectangle, other) for other in taken):
            continue
        taken.append(rectangle)
        colour = colours[mark.label]
        pen.rectangle(rectangle, fill=colour)
        middle = (rectangle[0] + rectangle[2]) / 2, (rectangle[1] + rectangle[3]) / 2
        pen.text(middle, label, _DARK if _luminance(colour) > _LIMIT else _LIGHT, font, anchor="mm")
    return result


def _fitted(name: str, figure: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """Name and figure, the name shortened to `room` pixels."""
    label = " ".join(filter(None, (name, figure)))
    while len(name) > 1 and font.getbbox(label)[2] + 2 * _PAD > room:
        name = name[:-1]
        label = f"{name}… {figure}".rstrip()
    return label


def _luminance(colour: Colour) -> float:
    """As WCAG defines it, 0 to 1."""
    linear = [(c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _pixels(mark: Mark, size: tuple[int, int]) -> Rectangle:
    left, top, right, bottom = (edge * side for edge, side in zip(mark.box, 2 * size, strict=True))
    left, top = round(min(left, size[0] - 1)), round(min(top, size[1] - 1))
    return left, top, max(left, round(right) - 1), max(top, round(bottom) - 1)


def _label_rectangle(
    label: str, box: Rectangle, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, size: tuple[int, int]
) -> Rectangle:
    """Where the label stands: on the box's upper edge, or below that where the photo ends; within the photo."""
    wide, high = font.getbbox(label)[2] + 2 * _PAD, _FONT_SIZE + 2 * _PAD
    left = max(0.0, min(box[0], size[0] - wide))
    top = box[1] - high if box[1] >= high else box[1]
    return left, top, left + wide, top + high


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
