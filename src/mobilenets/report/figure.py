"""The one style of charts drawn with matplotlib: colours, what surrounds them, and how they become PNG bytes.

Only matplotlib's object API: pyplot would open a window system and keep figures alive. Charts of a page are drawn by
the page itself (`charts`), in its colours.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: told apart by all kinds of colour vision.
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, BLACK = (
    "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#000000",
)  # fmt: skip
_DPI = 130


@contextmanager
def plain_style() -> Iterator[None]:
    """matplotlib's defaults whatever its configuration file says: a dark style would leave white on white."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def open_axes(axes: Axes, grid: bool = True) -> None:
    """Open to the top and the right; a quiet grid behind what is drawn."""
    if grid:
        axes.grid(color="0.9", which="both")
        axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def png(figure: Figure, tight: bool = False) -> bytes:
    """The figure on white; `tight`: as large as what is drawn needs."""
    content = io.BytesIO()
    figure.savefig(
        content, format="png", dpi=_DPI, facecolor="white", bbox_inches="tight" if tight else None, pad_inches=0.15
    )
    return content.getvalue()
