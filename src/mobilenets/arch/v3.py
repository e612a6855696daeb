"""MobileNetV3 (1905.02244, Tables 1 and 2), at width 1, and its variants as functions from table to table."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Bottleneck:
    """One line of the paper's table; `exp` and `out` in channels at width 1."""

    kernel: int
    exp: int
    out: int
    se: bool
    act: str
    stride: int


Table = tuple[Bottleneck, ...]

STEM_CHANNELS = 16

#              kernel exp  out  SE     NL       s
LARGE: Table = (
    Bottleneck(3,  16,  16, False, "relu",   1),  # C1, stride 2
    Bottleneck(3,  64,  24, False, "relu",   2),
    Bottleneck(3,  72,  24, False, "relu",   1),  # C2, stride 4
    Bottleneck(5,  72,  40, True,  "relu",   2),
    Bottleneck(5, 120,  40, True,  "relu",   1),
    Bottleneck(5, 120,  40, True,  "relu",   1),  # C3, stride 8
    Bottleneck(3, 240,  80, False, "hswish", 2),
    Bottleneck(3, 200,  80, False, "hswish", 1),
    Bottleneck(3, 184,  80, False, "hswish", 1),
    Bottleneck(3, 184,  80, False, "hswish", 1),
    Bottleneck(3, 480, 112, True,  "hswish", 1),
    Bottleneck(3, 672, 112, True,  "hswish", 1),  # C4, stride 16
    Bottleneck(5, 672, 160, True,  "hswish", 2),
    Bottleneck(5, 960, 160, True,  "hswish", 1),
    Bottleneck(5, 960, 160, True,  "hswish", 1),  # C5, stride 32
)  # fmt: skip
LARGE_HIDDEN = 1280

SMALL: Table = (
    Bottleneck(3,  16,  16, True,  "relu",   2),  # C2, stride 4
    Bottleneck(3,  72,  24, False, "relu",   2),
    Bottleneck(3,  88,  24, False, "relu",   1),  # C3, stride 8
    Bottleneck(5,  96,  40, True,  "hswish", 2),
    Bottleneck(5, 240,  40, True,  "hswish", 1),
    Bottleneck(5, 240,  40, True,  "hswish", 1),
    Bottleneck(5, 120,  48, True,  "hswish", 1),
    Bottleneck(5, 144,  48, True,  "hswish", 1),  # C4, stride 16
    Bottleneck(5, 288,  96, True,  "hswish", 2),
    Bottleneck(5, 576,  96, True,  "hswish", 1),
    Bottleneck(5, 576,  96, True,  "hswish", 1),  # C5, stride 32
)  # fmt: skip
SMALL_HIDDEN = 1024


def minimal(table: Table) -> Table:
    """The minimalistic variant: no SE, ReLU everywhere, kernels of 3 (TF-slim README, `v3-*-minimalistic`)."""
    return tuple(replace(row, kernel=3, se=False, act="relu") for row in table)


def reduced_tail(table: Table) -> Table:
    """Half the channels between C4 and C5 (1905.02244, §6.3: meant for detection, where the tail is too wide).

    From the last stride on, outputs are halved, and expansions where the input is halved too.
    """
    start = max(i for i, row in enumerate(table) if row.stride == 2)
    head = (replace(table[start], out=table[start].out // 2),)
    tail = tuple(replace(row, exp=row.exp // 2, out=row.out // 2) for row in table[start + 1 :])
    return table[:start] + head + tail
