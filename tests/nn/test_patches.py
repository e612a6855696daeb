"""A network that keeps patches of good photos: its scores are distances from the nearest of them."""

import numpy as np
import pytest
import torch

from mobilenets.arch import NAMES, Net, build
from mobilenets.arch.patches import PatchHead, cut_for
from mobilenets.errors import UserError
from mobilenets.nn.network import make_network
from mobilenets.nn.patches import PatchMemory
from mobilenets.training.probe.patches import tap_choices

HEAD = PatchHead((5, 12), 8, 30, power=4)


def memory() -> PatchMemory:
    torch.manual_seed(0)
    model = make_network(cut_for(build("mobilenet_v2", width=0.35), HEAD)).eval()
    assert isinstance(model, PatchMemory)
    return model


def test_scores_are_the_distances_from_the_nearest_patch_kept() -> None:
    model, images = memory(), torch.randn(2, 3, 80, 80)
    kept = torch.randn(30, 8)
    model.keep(kept)
    model.threshold.data[:] = 2.0
    with torch.inference_mode():
        patches = model.patches_of(model.maps(images, ["blocks.5", "blocks.12"])).flatten(2).permute(0, 2, 1)
        found = model(images).numpy()
    distances = torch.cdist(patches.double(), kept.double().expand(2, -1, -1)).amin(2).numpy()
    scores = (distances**4).mean(1, keepdims=True) ** 0.25
    both = np.concatenate([scores, distances], 1)
    assert found.shape == (2, 1 + 5 * 5)
    np.testing.assert_allclose(found, both / (both + 2), atol=1e-5)


def test_a_patch_that_is_kept_is_not_strange() -> None:
    model, images = memory(), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        own = model.patches_of(model.maps(images, ["blocks.5", "blocks.12"])).flatten(2)[0].T
        model.keep(own[torch.arange(30) % len(own)])
        model.threshold.data[:] = own.norm(dim=1).mean()
        assert model(images).max() < 0.01


def test_a_map_twice_as_fine_falls_onto_the_same_places_whatever_the_size() -> None:
    model = memory()
    for size in (32, 48, 65, 97):
        side = -(-size // 16)
        assert model(torch.zeros(1, 3, size, size)).shape == (1, 1 + side * side)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_maps_to_ask_by(name: str) -> None:
    for choice in tap_choices(build(name)):
        infos = cut_for(build(name), PatchHead(choice, 8, 10)).head_maps
        assert infos[-1].stride in (8, 16)
        assert [info.name for info in infos] == [f"blocks.{tap}" for tap in choice]


def test_the_table_goes_into_a_card_and_back() -> None:
    net = cut_for(build("mobilenet_v3_small"), PatchHead((2, 7), 16, 50))
    assert Net.from_dict(net.to_dict()) == net
    assert (len(net.blocks), net.last, net.num_classes) == (8, None, 1)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (PatchHead((40,), 8, 10), "not all blocks"),
        (PatchHead((0, 12), 8, 10), "twice as fine"),
        (PatchHead((12, 5), 8, 10), "do not rise"),
        (PatchHead((), 8, 10), "number of taps"),
        (PatchHead((12,), 8, 10**9), "bank"),
        (PatchHead((12,), 8, 10, num_classes=5), "num_classes"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(head: PatchHead, told: str) -> None:
    with pytest.raises(UserError, match=told):
        cut_for(build("mobilenet_v2"), head)
