"""Labels of boxes can be read: on every colour, and of names longer than the photo."""

import numpy as np
import pytest
from PIL import Image

from mobilenets.report.marks import colour_of, draw_marks
from mobilenets.tasks.mark import Mark


def drawn(name: str, number: int) -> np.ndarray:
    """A grey photo with one box that begins at its upper edge."""
    mark = Mark(name, "0.93", (0.0, 0.0, 0.9, 0.9))
    photo = Image.new("RGB", (160, 120), (128, 128, 128))
    colours = {name: colour_of(number), "other": (1, 2, 3)}
    return np.asarray(draw_marks(photo, [mark], colours, {name: name, "other": "other"}), np.float64)


def luminance(colour: np.ndarray) -> float:
    parts = colour / 255
    return float(np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("number", range(12))
def test_text_has_the_contrast_that_wcag_asks_for(number: int) -> None:
    label = drawn("plain", number)[:18, :60].reshape(-1, 3)
    back = luminance(np.array(colour_of(number)))
    contrasts = [(max(back, text) + 0.05) / (min(back, text) + 0.05) for text in map(luminance, label)]
    assert max(contrasts) >= 4.5


def test_a_name_longer_than_the_photo_is_shortened() -> None:
    label = drawn("a name that nobody could write into so small a photo", 1)[2:16]
    assert label[:, -1].min() > 80  # no text where it would be cut off
    assert (label[:, 60:120] < 100).any()
