"""The table of published accuracies: the networks it means, and what it must agree with."""

import pytest

from mobilenets.arch import build
from mobilenets.arch.cost import total
from mobilenets.arch.published import published
from mobilenets.weights.catalog import CATALOG

ENTRIES = list(published())


def test_each_network_is_listed_once() -> None:
    assert len({(e.model, e.width, e.size) for e in ENTRIES}) == len(ENTRIES) > 60


@pytest.mark.parametrize(
    ("model", "width", "size", "mmacs"),
    [  # million multiply-adds where the accuracy was published: TF-slim's tables, 1905.02244 table 9
        ("mobilenet_v1", 0.75, 192, 233), ("mobilenet_v1", 0.5, 128, 49),
        ("mobilenet_v2", 1.4, 224, 582), ("mobilenet_v2", 0.75, 160, 107),
        ("mobilenet_v3_large", 1.25, 224, 356), ("mobilenet_v3_large", 0.75, 224, 155),
        ("mobilenet_v3_large", 1.0, 256, 282), ("mobilenet_v3_small", 1.0, 160, 30),
        ("mobilenet_v3_small", 1.25, 224, 91),
    ],
)  # fmt: skip
def test_the_network_built_has_the_published_cost(model: str, width: float, size: int, mmacs: int) -> None:
    (entry,) = (e for e in ENTRIES if (e.model, e.width, e.size) == (model, width, size))
    assert total(build(model, width=width, flavor=entry.flavor), size)[1] / 1e6 == pytest.approx(mmacs, rel=0.05)


def test_a_wider_or_larger_network_of_a_grid_is_more_accurate() -> None:
    for entry in ENTRIES:
        for other in ENTRIES:
            if other.model == entry.model and other.width >= entry.width and other.size >= entry.size:
                assert other.top1 >= entry.top1


def test_v4_is_that_of_the_catalog() -> None:
    """timm's figures stand there beside the files they belong to."""
    known = {(c.model, c.width, c.preprocess.size, c.top1) for c in CATALOG}
    v4 = [e for e in ENTRIES if "_v4_" in e.model]
    assert v4
    assert all((e.model, e.width, e.size, e.top1) in known for e in v4)
