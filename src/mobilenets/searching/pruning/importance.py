"""A narrower network from a trained one: which channels matter, and their weights carried over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from mobilenets.nn.layers import ConvNormAct
from mobilenets.nn.model import MobileNet
from mobilenets.searching.pruning.groups import HIDDEN, ChannelGroups, channel_groups, with_channels

Keep = Mapping[str, torch.Tensor]  # group → sorted indices of the channels that stay


def importance(model: MobileNet, losses: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    """For each group how much the loss would change without each of its channels, to first order, float (size,).

    `losses` are mean losses of `model` in eval mode on some batches. A channel is gated by scale γ and shift β of the
    BatchNorms that write it; without it the loss changes by about γ · dL/dγ + β · dL/dβ, squared and summed over
    batches and writers (Molchanov et al. 2019, 1906.10771, eq. 8).
    """
    groups = channel_groups(model.net)
    scores = {name: torch.zeros(group.size) for name, group in groups.by_name.items()}
    gates = {name: [_gates(model, writer) for writer in group.writers] for name, group in groups.by_name.items()}
    if HIDDEN in gates and not gates[HIDDEN]:  # V3's hidden layer has no BatchNorm
        gates[HIDDEN] = [[model.get_parameter("hidden.0.weight"), model.get_parameter("hidden.0.bias")]]
    for loss in losses:
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for name, writers in gates.items():
            for parameters in writers:
                change = sum(_change(p) for p in parameters)
                scores[name] += torch.as_tensor(change).cpu() ** 2
    model.zero_grad(set_to_none=True)
    return scores


def _gates(model: MobileNet, writer: str) -> list[nn.Parameter]:
    part = model.get_submodule(writer)
    assert isinstance(part, ConvNormAct)
    return [part.norm.get_parameter("weight"), part.norm.get_parameter("bias")]


def _change(parameter: nn.Parameter) -> torch.Tensor:
    if parameter.grad is None:
        raise ValueError("a loss that does not depend on the whole network")
    return (
        (parameter.detach() * parameter.grad).flatten(1).sum(1)
        if parameter.ndim > 1
        else (parameter.detach() * parameter.grad)
    )


def keep_important(scores: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Of each group in `sizes` the indices of so many channels that matter most, in their order."""
    return {
        name: scores[name].argsort(descending=True, stable=True)[:size].sort().values for name, size in sizes.items()
    }


def slice_channels(model: MobileNet, keep: Keep) -> MobileNet:
    """A network with only the channels in `keep` (groups it does not name stay whole), with their weights.

    Raises
    ------
    ValueError
        Numbers of channels that make another kind of network (see `groups.with_channels`).
    """
    groups = channel_groups(model.net)
    net = with_channels(model.net, {name: len(indices) for name, indices in keep.items()})
    if net is None:
        raise ValueError("these channels would change which blocks have shortcuts or expansions")
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        narrow = MobileNet(net)
    state = {name: _cut(groups, name, tensor, keep) for name, tensor in model.state_dict().items()}
    narrow.load_state_dict(state, assign=True)
    for parameter in narrow.parameters():
        parameter.requires_grad_(True)
    narrow.preprocess, narrow.provenance = model.preprocess, dict(model.provenance)
    return narrow.train(model.training)


def _cut(groups: ChannelGroups, name: str, tensor: torch.Tensor, keep: Keep) -> torch.Tensor:
    for dimension, group in enumerate(groups.tensors.get(name, ())):
        if group is not None and group in keep:
            tensor = tensor.index_select(dimension, keep[group].to(tensor.device))
    return tensor.detach().clone()
