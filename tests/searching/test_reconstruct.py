"""Cutting channels: what the layers that read them can make up for."""

import numpy as np
import pytest
import torch
from torch import nn

from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.searching.pruning.groups import channel_groups, with_channels
from mobilenets.searching.pruning.importance import slice_channels
from mobilenets.searching.pruning.reconstruct import RIDGE, Inputs, PruningStats, collect_stats, prune
from small import network, noise


def _first_matter(model: MobileNet) -> dict[str, torch.Tensor]:
    return {name: torch.arange(size, 0, -1.0) for name, size in channel_groups(model.net).sizes.items()}


def _watched(model: MobileNet, *batches: torch.Tensor) -> PruningStats:
    with torch.inference_mode(), Inputs(model) as inputs:
        for batch in batches:
            model(batch)
    return PruningStats(_first_matter(model), inputs.moments())


@pytest.mark.parametrize(
    "name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v4_conv_medium"]
)
def test_what_constant_channels_gave_is_given_by_the_others(name: str) -> None:
    """Behind a BatchNorm of scale 0 a map says nothing but its shift, which the next layers must not miss."""
    model = network(name)
    plan, state = channel_groups(model.net), model.state_dict()
    gated = {f"blocks.{i}.exp" for i, row in enumerate(model.net.blocks) if getattr(row, "se", None)}
    spatial = {group for tensor, (_, group) in plan.tensors.items() if state[tensor].shape[2:] not in ((), (1, 1))}
    sizes = {}
    for group in plan.by_name.values():
        fewer = max(8, group.size * 3 // 4)
        if group.name in gated | spatial | {"hidden"} or with_channels(model.net, {**sizes, group.name: fewer}) is None:
            continue
        sizes[group.name] = fewer
        for writer in group.writers:
            state[f"{writer}.norm.weight"][fewer:] = 0
            state[f"{writer}.norm.bias"][fewer:].uniform_(0.5, 1)
    assert len(sizes) > 5
    model.load_state_dict(state)
    x = torch.randn(4, 3, 64, 64)
    narrow = prune(model, sizes, _watched(model, torch.randn(4, 3, 64, 64)))
    with torch.inference_mode():
        torch.testing.assert_close(narrow(x), model(x), atol=1e-3, rtol=1e-3)
        plain = slice_channels(model, {name: torch.arange(size) for name, size in sizes.items()})
        assert (plain(x) - model(x)).abs().max() > 0.1


@pytest.mark.parametrize("layer", ["blocks.4.project.conv", "classifier"])
def test_a_layer_that_reads_less_has_the_weights_of_ridge_regression(layer: str) -> None:
    model = network("mobilenet_v2")
    read: list[torch.Tensor] = []
    module = model.get_submodule(layer)
    module.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    stats = _watched(model, torch.randn(4, 3, 64, 64))
    rows = read[0].movedim(1, -1).flatten(0, -2).double().numpy()
    (group,) = {
        group for tensor, (_, group) in channel_groups(model.net).tensors.items() if tensor == f"{layer}.weight"
    }
    assert group is not None
    kept = rows.shape[1] * 3 // 4
    narrow = prune(model, {group: kept}, stats)

    weight = module.get_parameter("weight").detach().flatten(1).double().numpy()
    centred = rows - rows.mean(0)
    ridge = RIDGE * centred[:, :kept].var(0).mean()
    x = np.concatenate([centred[:, :kept], np.sqrt(len(rows) * ridge) * np.eye(kept)])
    missing = np.concatenate([centred[:, kept:] @ weight[:, kept:].T, np.zeros((kept, len(weight)))])
    more, *_ = np.linalg.lstsq(x, missing, rcond=None)
    found = narrow.get_submodule(layer).get_parameter("weight").detach().flatten(1).double().numpy()
    np.testing.assert_allclose(found, weight[:, :kept] + more.T, rtol=1e-4, atol=1e-4)


def test_moments_are_the_mean_and_covariance_of_what_a_layer_reads() -> None:
    model = network("mobilenet_v2")
    read: list[torch.Tensor] = []
    model.get_submodule("blocks.4.expand.conv").register_forward_pre_hook(lambda _, args: read.append(args[0]))
    x, y = torch.randn(4, 3, 64, 64), torch.randn(2, 3, 64, 64)
    found = _watched(model, x, y).inputs["blocks.4.expand.conv.weight"]
    rows = np.concatenate([maps.movedim(1, -1).flatten(0, -2).double().numpy() for maps in read])
    np.testing.assert_allclose(found.mean, rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(rows.T, bias=True), atol=1e-5)
    before = len(read)
    model(x)
    assert len(read) == before + 1  # nobody else's hooks were taken away
    assert sum(len(m._forward_pre_hooks) for m in model.modules()) == 1


def test_a_cut_network_answers_nearer_to_its_parent_than_a_sliced_one() -> None:
    size = 32
    # Nothing is learned here, so that it is the same network on every processor.
    model, preprocess = network("mobilenet_v3_small"), Preprocess(size=size)
    x = torch.from_numpy(preprocess.normalize(noise(64, preprocess)))
    losses = (nn.functional.cross_entropy(model(batch), torch.zeros(16, dtype=torch.long)) for batch in x.split(16))
    stats = collect_stats(model.requires_grad_(True), losses)
    sizes = {
        name: size * 7 // 8 // 8 * 8 for name, size in channel_groups(model.net).sizes.items() if name.endswith(".exp")
    }
    parent, bare = _said(model, x), _said(prune(model, sizes, PruningStats(stats.scores, {})), x)
    made_up = _said(prune(model, sizes, stats), x)
    assert _apart(parent, made_up) < 0.1 * _apart(parent, bare)


def _said(model: MobileNet, x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(x).log_softmax(1)


def _apart(parent: torch.Tensor, child: torch.Tensor) -> float:
    return float(nn.functional.kl_div(child, parent, reduction="batchmean", log_target=True))
