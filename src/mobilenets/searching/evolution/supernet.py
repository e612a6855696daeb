"""One set of weights that every network of a space shares: the smaller ones are slices of the largest.

The supernet *is* the space's largest network, an ordinary `MobileNet`. A smaller one has the first channels of
each of its tensors and the middle of its kernels; it runs in the modules that an ordinary network of its table has, so
what is extracted computes what was trained. Channels are sorted by importance once, before training, so that the first
are those worth keeping (Once-for-All, 1908.09791).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mobilenets.data.loader import Batch
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess.torch import to_device
from mobilenets.searching.distill import resize_images
from mobilenets.searching.evolution.space import ArchConfig, SearchSpace
from mobilenets.searching.pruning.importance import slice_channels
from mobilenets.training.context import autocast
from mobilenets.training.loop import Trainer

State = dict[str, torch.Tensor]

NUM_RANDOM_SUBNETS = 2  # besides the largest and the smallest in every step: the sandwich rule (1903.05134)
OPEN_GATE = 2.9  # hard sigmoid: 0.98, as open as a new gate can be while its gradient is not zero


def make_supernet(space: SearchSpace, base: MobileNet, scores: Mapping[str, torch.Tensor]) -> MobileNet:
    """The space's largest network with the weights of `base` in it; `scores`: the importance of its channels.

    What the base network lacks begins as nothing: a rim of zeros around its kernels, new expanded channels that the
    projection ignores, gates that are open. So architectures that have all of its table compute what it does.
    """
    ordered = slice_channels(
        base, {name: values.argsort(descending=True, stable=True) for name, values in scores.items()}
    )
    supernet = MobileNet(space.net(space.largest))
    supernet.preprocess, supernet.provenance = base.preprocess, dict(base.provenance)
    state = supernet.state_dict()
    for key, ours in state.items():
        if key.startswith("blocks.") and key.endswith(("project.conv.weight", "se.expand.weight")):
            ours.zero_()
        elif key.endswith("se.expand.bias"):
            ours.fill_(OPEN_GATE)
    for key, theirs in ordered.state_dict().items():
        if key.endswith(("depthwise.conv.weight", "se.reduce.weight")):
            state[key][: len(theirs)] = 0  # around the kernel, and from channels that the base network does not have
        shape = [min(pair) for pair in zip(state[key].shape, theirs.shape, strict=True)]
        view_of(state[key], shape).copy_(view_of(theirs, shape))
    return supernet


def view_of(tensor: torch.Tensor, shape: Iterable[int]) -> torch.Tensor:
    """The first channels and the middle of the kernels: a view of `shape`."""
    for axis, n in enumerate(shape):
        start = (tensor.shape[axis] - n) // 2 if axis >= 2 else 0
        tensor = tensor.narrow(axis, start, n)
    return tensor


class Subnet:
    """One architecture of a supernet: it computes with the supernet's own weights, and gradients reach them.

    In training only the largest architecture moves the supernet's BatchNorm statistics, as the others' are different: a
    network that stands by itself needs its own (`evaluation.recalibrate`).
    """

    def __init__(self, space: SearchSpace, supernet: MobileNet, arch: ArchConfig) -> None:
        self.net = space.net(arch)
        self._sources = space.sources(arch)
        self._supernet = supernet
        self._own_statistics = arch != space.largest
        with torch.device("meta"):  # modules without weights
            self._modules = MobileNet(self.net)

    def state(self) -> State:
        """Its slices of the supernet's parameters and statistics."""
        whole = {**dict(self._supernet.named_parameters()), **dict(self._supernet.named_buffers())}
        return {
            # As a tensor of its own would lie in memory: the same kernels run, to the last bit. A whole one stays a
            # view, through which BatchNorm moves the supernet's statistics.
            key: view_of(whole[self._key(key)], like.shape).contiguous()
            for key, like in self._modules.state_dict().items()
        }

    def _key(self, key: str) -> str:
        """The supernet's name of a tensor."""
        room, _, rest = key.partition(".")
        if room != "blocks":
            return key
        index, _, name = rest.partition(".")
        return f"blocks.{self._sources[int(index)]}.{name}"

    def __call__(self, images: torch.Tensor, training: bool) -> torch.Tensor:
        """Images float (N, C, H, W) of the architecture's size → logits."""
        self._modules.train(training)
        state = self.state()
        if self._own_statistics:
            state = {k: v if v.requires_grad else v.clone() for k, v in state.items()}
        logits: torch.Tensor = torch.func.functional_call(self._modules, state, (images,))
        return logits

    def extract(self) -> MobileNet:
        """The network by itself, with copies of its weights."""
        model = MobileNet(self.net)
        model.load_state_dict({key: value.detach().clone() for key, value in self.state().items()})
        model.preprocess, model.provenance = self._supernet.preprocess, dict(self._supernet.provenance)
        return model


class SandwichTrainer(Trainer):
    """Trains a supernet: in every step the largest, the smallest and some random networks (1903.05134).

    The largest learns from the labels, the others from what it says of the same images (in-place distillation).
    """

    def __init__(self, space: SearchSpace, *args: Any) -> None:
        super().__init__(*args)
        self.space = space

    def step(self, model: nn.Module, batch: Batch, rng: np.random.Generator, precision: str) -> torch.Tensor:
        """As `Trainer.step`; loss and right answers are the largest network's."""
        assert isinstance(model, MobileNet)
        images = self.images(batch.pixels)
        labels = to_device(batch.labels, self.ctx.device)
        logits = self._logits(model, self.space.largest, images, precision)
        loss = self.loss(images, logits, F.one_hot(labels, logits.shape[1]).float())
        torch.autograd.backward(loss)
        answers = logits.detach().softmax(1)
        for arch in (self.space.smallest, *(self.space.sample(rng) for _ in range(NUM_RANDOM_SUBNETS))):
            torch.autograd.backward(F.cross_entropy(self._logits(model, arch, images, precision), answers))
        return torch.stack([loss.detach(), (logits.argmax(1) == labels).float().sum()])

    def _logits(self, model: MobileNet, arch: ArchConfig, images: torch.Tensor, precision: str) -> torch.Tensor:
        subnet = Subnet(self.space, model, arch)
        with autocast(self.ctx.device, precision):
            return subnet(resize_images(images, arch.size), training=True).float()
