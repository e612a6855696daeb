"""V3's expansions at every width are those of the libraries, whose tables hold ratios instead of channels."""

from __future__ import annotations

import pytest

from mobilenets.arch import build
from mobilenets.arch.build import make_divisible
from mobilenets.arch.rows import Inverted

# As keras/src/applications/mobilenet_v3.py and timm/models/mobilenetv3.py print them (timm: 3.67 for 88 / 24).
RATIOS = {
    ("tf", "mobilenet_v3_large"): (4, 3, 3, 3, 3, 6, 2.5, 2.3, 2.3, 6, 6, 6, 6, 6),
    ("timm", "mobilenet_v3_large"): (4, 3, 3, 3, 3, 6, 2.5, 2.3, 2.3, 6, 6, 6, 6, 6),
    ("tf", "mobilenet_v3_small"): (72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6),
    ("timm", "mobilenet_v3_small"): (4.5, 3.67, 4, 6, 6, 3, 3, 6, 6, 6),
}


@pytest.mark.parametrize(("flavor", "name"), RATIOS)
def test_expansion_is_the_rounded_input_times_the_published_ratio(flavor: str, name: str) -> None:
    for percent in range(5, 401):
        blocks = build(name, width=percent / 100, flavor=flavor).blocks
        for before, row, ratio in zip(blocks, blocks[1:], RATIOS[flavor, name], strict=False):
            assert isinstance(row, Inverted)
            assert row.exp == make_divisible(before.out * ratio), f"width {percent / 100}"


def test_two_hundred_times_2_3_rounds_down_as_floating_point_has_it() -> None:
    row = build("mobilenet_v3_large", width=2.5, flavor="tf").blocks[8]
    assert isinstance(row, Inverted)
    assert row.exp == 456
