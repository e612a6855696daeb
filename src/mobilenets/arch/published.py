"""Published accuracy on ImageNet by width and input size: what the two hyper-parameters cost.

Percent, top-1, of a network trained at this width and size. Recipes differ between the families: V4's are of 2024
and train several times as long, so that a part of its lead is the recipe's. V3 below width 0.75 was published with
fewer multiply-adds than the flavours here have: 12 million for Small at 0.35 where ours has 16, 69 for Large at 0.5
where ours has 74. V2's table cuts off where others round: it has 11 million at width 0.35 and 96 pixels, where ours
has 11.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Top1 = dict[float, dict[int, float]]  # width → input size in pixels → percent

V1: Top1 = {
    1.0:  {224: 70.9, 192: 70.0, 160: 68.0, 128: 65.2},
    0.75: {224: 68.4, 192: 67.2, 160: 65.3, 128: 62.1},
    0.5:  {224: 63.3, 192: 61.7, 160: 59.1, 128: 56.3},
    0.25: {224: 49.8, 192: 47.7, 160: 45.5, 128: 41.5},
}  # fmt: skip
V2: Top1 = {
    1.4:  {224: 75.0},
    1.3:  {224: 74.4},
    1.0:  {224: 71.8, 192: 70.7, 160: 68.8, 128: 65.3, 96: 60.3},
    0.75: {224: 69.8, 192: 68.7, 160: 66.4, 128: 63.2, 96: 58.8},
    0.5:  {224: 65.4, 192: 63.9, 160: 61.0, 128: 57.7, 96: 51.2},
    0.35: {224: 60.3, 192: 58.2, 160: 55.7, 128: 50.8, 96: 45.5},
}  # fmt: skip
V3_LARGE: Top1 = {
    1.25: {224: 76.6},
    1.0:  {256: 76.0, 224: 75.2, 192: 73.7, 160: 71.7, 128: 68.4, 96: 63.3},
    0.75: {224: 73.3},
    0.5:  {224: 68.8},
    0.35: {224: 64.2},
}  # fmt: skip
V3_SMALL: Top1 = {
    1.25: {224: 70.4},
    1.0:  {256: 68.5, 224: 67.5, 160: 62.8, 128: 57.3, 96: 51.7},
    0.75: {224: 65.4},
    0.5:  {224: 58.0},
    0.35: {224: 49.8},
}  # fmt: skip

_TIMM = "timm results-imagenet.csv"
#         model                         flavor  top-1     source
TABLE: tuple[tuple[str, str, Top1, str], ...] = (
    ("mobilenet_v1",               "tf",   V1,       "TF-slim mobilenet_v1.md"),
    ("mobilenet_v2",               "tf",   V2,       "TF-slim mobilenet/README.md"),
    ("mobilenet_v3_large",         "tf",   V3_LARGE, "1905.02244 table 9"),
    ("mobilenet_v3_small",         "tf",   V3_SMALL, "1905.02244 table 9"),
    ("mobilenet_v3_large_minimal", "tf",   {1.0: {224: 72.3}}, "TF-slim mobilenet/README.md"),
    ("mobilenet_v3_small_minimal", "tf",   {1.0: {224: 61.9}}, "TF-slim mobilenet/README.md"),
    ("mobilenet_v4_conv_small",    "timm", {1.0: {256: 74.534, 224: 73.756}, 0.5: {224: 64.778}}, _TIMM),
    ("mobilenet_v4_conv_medium",   "timm", {1.0: {256: 79.916, 224: 79.092}}, _TIMM),
    ("mobilenet_v4_conv_large",    "timm", {1.0: {384: 82.974, 256: 81.864}}, _TIMM),
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """A network at a width and an input size, in the flavour it was trained in, and its top-1 in percent."""

    model: str
    flavor: str
    width: float
    size: int
    top1: float
    source: str


def published() -> Iterator[Published]:
    """All of them, family by family."""
    for model, flavor, grid, source in TABLE:
        for width, sizes in grid.items():
            for size, top1 in sizes.items():
                yield Published(model, flavor, width, size, top1, source)
