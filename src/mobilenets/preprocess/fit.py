"""How a photograph that is not square meets an input that is: the geometry, in whole pixels, for every implementation.

"crop" resizes the short side and sees the centre of the long one. "pad" resizes the long side, centres the photograph
and fills the rest: what a crop would see of the photograph if it were padded to a square first. "squash" resizes both
sides alike and distorts.
"""

from __future__ import annotations

from dataclasses import dataclass

FITS = ("crop", "pad", "squash")

# The grey beside a padded photograph, in every channel: what detectors have padded with since YOLOv3, so that pictures
# padded by other tools look alike. It is near the middle of ImageNet's pixels (124, 116, 104) whatever the mean and
# standard deviation of the weights are: after normalisation within 0.2 of zero, which is what convolutions pad with.
PADDING = 114


@dataclass(frozen=True)
class Window:
    """The square input laid over a resized photograph, in pixels of the latter.

    `wide`, `high`: the resized photograph. `left` to `bottom`: the part of it that the input shows. `x`, `y`: where in
    the input that part begins; around it there is padding.
    """

    wide: int
    high: int
    left: int
    top: int
    right: int
    bottom: int
    x: int
    y: int

    @property
    def rows(self) -> slice:
        """Rows of the input that show the photograph."""
        return slice(self.y, self.y + self.bottom - self.top)

    @property
    def columns(self) -> slice:
        """Columns of the input that show the photograph."""
        return slice(self.x, self.x + self.right - self.left)


def window(fit: str, size: int, side: int, width: float, height: float) -> Window:
    """How an input of `size` sees a photograph of `width` × `height` of which `side` is the resized side.

    Lengths are rounded down, corners to the nearest pixel and halves to even, as torchvision's Resize and CenterCrop.
    """
    if fit == "squash":
        wide = high = side
    else:
        given = max(width, height) if fit == "pad" else min(width, height)
        wide, high = max(1, int(side * width / given)), max(1, int(side * height / given))
    x, y = round((wide - size) / 2), round((high - size) / 2)  # negative where there is padding
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + size, wide), min(y + size, high)
    return Window(wide, high, left, top, right, bottom, left - x, top - y)
