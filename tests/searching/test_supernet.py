"""A supernet: it begins as the base network, its subnets compute what the extracted networks do, and it learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenets.arch.rows import Inverted
from mobilenets.data.augment import Augment
from mobilenets.data.loader import Loader
from mobilenets.data.sources.read import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.searching.distill import resize_images
from mobilenets.searching.evolution.space import ArchConfig, SearchSpace, Stage
from mobilenets.searching.evolution.supernet import SandwichTrainer, Subnet, make_supernet
from mobilenets.searching.pruning.groups import channel_groups
from mobilenets.training.context import ComputeContext
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.recipe import Recipe
from small import network

SIZE = 64


def _scores(base: MobileNet) -> dict[str, torch.Tensor]:
    """Some order of the channels that is not their own."""
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(n, generator=generator) for name, n in channel_groups(base.net).sizes.items()}


def _supernet(name: str) -> tuple[MobileNet, SearchSpace, MobileNet]:
    base = network(name)
    space = SearchSpace(base.net, SIZE)
    torch.manual_seed(0)
    return base, space, make_supernet(space, base, _scores(base)).eval()


V2 = _supernet("mobilenet_v2")


def _like_the_base(space: SearchSpace, kernel: int, expand: int) -> ArchConfig:
    def stage(blocks: tuple[int, ...]) -> Stage:
        row = space.base.blocks[blocks[0]]
        assert isinstance(row, Inverted)
        return Stage(len(blocks), 1.0, kernel, expand, row.se > 0)

    return ArchConfig(SIZE, tuple(map(stage, space.stages)))


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"])
@pytest.mark.parametrize("kernel", [5, 7])
def test_what_the_base_network_lacks_begins_as_nothing(name: str, kernel: int) -> None:
    base, space, supernet = _supernet(name)
    arch = _like_the_base(space, kernel, 6)
    assert arch in space
    images = torch.randn(4, 3, SIZE, SIZE)
    with torch.inference_mode():
        assert torch.allclose(Subnet(space, supernet, arch)(images, training=False), base(images), atol=1e-3)


def test_new_gates_are_nearly_open_and_can_learn() -> None:
    _, space, supernet = V2
    gate = supernet.get_submodule(f"blocks.{space.fixed}.se")
    x = torch.rand(4, gate.get_parameter("reduce.weight").shape[1], 8, 8) + 0.5
    y = gate(x)
    assert (y / x).min() > 0.98
    bias = gate.get_parameter("expand.bias")
    (gradient,) = torch.autograd.grad(y.sum(), bias)
    assert (gradient != 0).all()


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_the_extracted_network_computes_exactly_what_the_choice_does(seed: int) -> None:
    _, space, supernet = V2
    arch = space.sample(np.random.default_rng(seed))
    subnet = Subnet(space, supernet, arch)
    extracted = subnet.extract().eval()
    images = torch.randn(2, 3, arch.size, arch.size)
    with torch.inference_mode():
        assert torch.equal(extracted(images), subnet(images, training=False))
    assert extracted.net == space.net(arch)


def test_an_extracted_network_has_weights_of_its_own() -> None:
    _, space, supernet = V2
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    extracted = Subnet(space, supernet, space.largest).extract()
    for parameter in extracted.parameters():
        parameter.data.zero_()
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())


def test_gradients_of_a_choice_reach_its_slices_and_nothing_else() -> None:
    _, space, supernet = V2
    supernet.zero_grad(set_to_none=True)
    arch = space.smallest
    logits = Subnet(space, supernet, arch)(torch.randn(2, 3, arch.size, arch.size), training=True)
    torch.autograd.backward(logits.square().sum())
    depthwise = dict(supernet.named_parameters())[f"blocks.{space.stages[0][0]}.depthwise.conv.weight"]
    exp = space.net(arch).blocks[space.fixed].exp
    assert depthwise.grad is not None
    assert depthwise.grad[:exp, :, 2:5, 2:5].abs().sum() > 0
    assert depthwise.grad[exp:].abs().sum() == 0
    assert depthwise.grad[:, :, 0].abs().sum() == 0
    skipped = dict(supernet.named_parameters())[f"blocks.{space.stages[0][-1]}.depthwise.conv.weight"]
    assert skipped.grad is None
    supernet.zero_grad(set_to_none=True)


def test_only_the_largest_moves_the_statistics() -> None:
    _, space, supernet = _supernet("mobilenet_v2")
    images = torch.randn(4, 3, SIZE, SIZE)
    before = supernet.state_dict()["stem.norm.running_mean"].clone()
    Subnet(space, supernet, space.smallest)(resize_images(images, space.smallest.size), training=True)
    assert torch.equal(supernet.state_dict()["stem.norm.running_mean"], before)
    Subnet(space, supernet, space.largest)(images, training=True)
    assert not torch.equal(supernet.state_dict()["stem.norm.running_mean"], before)


def _trainer(photos: Path, epochs: int = 2) -> SandwichTrainer:
    _, space, _ = V2
    torch.manual_seed(0)
    base = network("mobilenet_v2")
    supernet = make_supernet(space, base, _scores(base))
    splits = read_splits(photos, val=0.25, seed=0)
    preprocess = Preprocess(size=SIZE)
    recipe = Recipe(epochs=epochs, batch_size=8, lr=1e-3, ema=0.0, augment=Augment(crop_scale=(0.8, 1.0)))
    train = Loader(splits.train, preprocess, 8, augment=recipe.augment, shuffle=True, drop_last=True, workers=0)
    val = Loader(splits.val, preprocess, 8, workers=0)
    return SandwichTrainer(
        space, supernet, recipe, ComputeContext(torch.device("cpu"), "fp32", 0), preprocess, train, val
    )


def test_the_sandwich_teaches_the_smallest_as_well_as_the_largest(photos: Path, tmp_path: Path) -> None:
    trainer = _trainer(photos, epochs=3)
    _, space, _ = V2
    first = [s.clone() for s in Subnet(space, trainer.model, space.smallest).state().values()]
    with Interrupt() as interrupt:
        assert trainer.fit(lambda model, figures: None, tmp_path, interrupt)
    losses = [float(row["train_loss"]) for row in trainer.state.history]
    assert losses[-1] < losses[0]
    after = Subnet(space, trainer.model, space.smallest).state().values()
    assert any(not torch.equal(a, b) for a, b in zip(first, after, strict=True))


def test_a_resumed_supernet_is_the_same_as_one_that_never_stopped(photos: Path, tmp_path: Path) -> None:
    whole, stopped = _trainer(photos), _trainer(photos)
    with Interrupt() as interrupt:
        whole.fit(lambda model, figures: None, tmp_path, interrupt)
        for n, _ in enumerate(stopped.steps()):
            if n == 1:
                break
        stopped.save(tmp_path / "stopped.pt")
        again = _trainer(photos)
        again.resume(tmp_path / "stopped.pt")
        again.fit(lambda model, figures: None, tmp_path, interrupt)
    theirs = again.model.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in whole.model.state_dict().items())
