"""MobileNetV4's convolutional networks (2404.10518, Tables 11 to 13, as timm's definitions state them)."""

from __future__ import annotations

from dataclasses import dataclass

from mobilenets.arch.rows import Conv, Fused, Universal


@dataclass(frozen=True)
class Uib:
    """A universal inverted bottleneck: kernels of the depthwise convolutions before and after the expansion (0: none).

    `expand` is a multiple of the input's channels.
    """

    start: int
    kernel: int
    stride: int
    expand: float
    out: int

    def at(self, exp: int, out: int) -> Universal:
        """The row with these channels."""
        return Universal(self.start, self.kernel, exp, out, "relu", self.stride)


@dataclass(frozen=True)
class FusedIb:
    """A fused inverted bottleneck; `expand` is a multiple of the input's channels."""

    kernel: int
    stride: int
    expand: float
    out: int

    def at(self, exp: int, out: int) -> Fused:
        """The row with these channels."""
        return Fused(self.kernel, exp, out, "relu", self.stride)


Table = tuple[Conv | Uib | FusedIb, ...]
LAST_CHANNELS = 960
HIDDEN = 1280

#   start kernel stride expand out
SMALL: Table = (
    Conv(3, 32, "relu", 2),
    Conv(1, 32, "relu", 1),  # C2, stride 4
    Conv(3, 96, "relu", 2),
    Conv(1, 64, "relu", 1),  # C3, stride 8
    Uib(5, 5, 2, 3,  96),
    *[Uib(0, 3, 1, 2,  96)] * 4,
    Uib(3, 0, 1, 4,  96),    # C4, stride 16
    Uib(3, 3, 2, 6, 128),
    Uib(5, 5, 1, 4, 128),
    Uib(0, 5, 1, 4, 128),
    Uib(0, 5, 1, 3, 128),
    *[Uib(0, 3, 1, 4, 128)] * 2,  # C5, stride 32
)  # fmt: skip

MEDIUM: Table = (
    FusedIb(3, 2, 4, 48),    # C2, stride 4
    Uib(3, 5, 2, 4,  80),
    Uib(3, 3, 1, 2,  80),    # C3, stride 8
    Uib(3, 5, 2, 6, 160),
    *[Uib(3, 3, 1, 4, 160)] * 2,
    Uib(3, 5, 1, 4, 160),
    Uib(3, 3, 1, 4, 160),
    Uib(3, 0, 1, 4, 160),
    Uib(0, 0, 1, 2, 160),
    Uib(3, 0, 1, 4, 160),    # C4, stride 16
    Uib(5, 5, 2, 6, 256),
    Uib(5, 5, 1, 4, 256),
    *[Uib(3, 5, 1, 4, 256)] * 2,
    Uib(0, 0, 1, 4, 256),
    Uib(3, 0, 1, 4, 256),
    Uib(3, 5, 1, 2, 256),
    Uib(5, 5, 1, 4, 256),
    *[Uib(0, 0, 1, 4, 256)] * 2,
    Uib(5, 0, 1, 2, 256),    # C5, stride 32
)  # fmt: skip

LARGE: Table = (
    FusedIb(3, 2, 4, 48),    # C2, stride 4
    Uib(3, 5, 2, 4,  96),
    Uib(3, 3, 1, 4,  96),    # C3, stride 8
    Uib(3, 5, 2, 4, 192),
    *[Uib(3, 3, 1, 4, 192)] * 3,
    Uib(3, 5, 1, 4, 192),
    *[Uib(5, 3, 1, 4, 192)] * 5,
    Uib(3, 0, 1, 4, 192),    # C4, stride 16
    Uib(5, 5, 2, 4, 512),
    *[Uib(5, 5, 1, 4, 512)] * 3,
    Uib(5, 0, 1, 4, 512),
    Uib(5, 3, 1, 4, 512),
    *[Uib(5, 0, 1, 4, 512)] * 2,
    Uib(5, 3, 1, 4, 512),
    Uib(5, 5, 1, 4, 512),
    *[Uib(5, 0, 1, 4, 512)] * 3,  # C5, stride 32
)  # fmt: skip

# Channels of the stem, and the table.
TABLES = {
    "mobilenet_v4_conv_small": (32, SMALL),
    "mobilenet_v4_conv_medium": (32, MEDIUM),
    "mobilenet_v4_conv_large": (24, LARGE),
}
