"""Any way of storing colours as 8-bit RGB or grey, looking as it does in Pillow and in browsers."""

from __future__ import annotations

from typing import Literal

from PIL import Image

from mobilenets.preprocess.depth import Range, to_grey
from mobilenets.preprocess.notes import NOTES

Mode = Literal["RGB", "L"]
Color = tuple[int, int, int]

EMPTY = "every pixel is transparent; its hidden colours are used"


def flatten(
    image: Image.Image,
    mode: Mode = "RGB",
    background: Color = (255, 255, 255),
    *,
    value_range: Range | None = None,
    name: str = "image",
) -> Image.Image:
    """Any Pillow image as 8-bit `mode`: transparency over `background`, deep greys scaled by `value_range`.

    A picture without a single visible pixel shows the colours that lie hidden in it: an alpha channel of zeros is
    one that some program forgot to fill. That is noted under `name`.

    The inks of every CMYK and YCCK JPEG are taken for inverted, with Adobe's marker or without, as Pillow and the
    browsers do. Embedded profiles are not applied (docs/data.md says what that costs).
    """
    if image.mode.startswith("I") or image.mode == "F":
        image = to_grey(image, value_range)
    elif image.mode == "LAB":
        image = _from_lab(image)
    elif image.mode == "La":  # premultiplied: Pillow converts it to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        alpha = layer.getchannel("A")
        if alpha.getextrema()[1] == 0:
            NOTES.warn(EMPTY, name)
            image = layer.convert("RGB")
        else:
            image = Image.new("RGB", image.size, background)
            image.paste(layer, mask=alpha)
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _from_lab(image: Image.Image) -> Image.Image:
    """CIE L*a*b* (D50, as in TIFF) in sRGB."""
    from PIL import ImageCms  # rarely needed

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    result = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert result is not None  # not in place
    return result
