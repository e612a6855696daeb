"""The network as every target receives it: uint8 images in, normalisation and the task's answers inside."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mobilenets.errors import ModelFileError
from mobilenets.model_card import ModelCard
from mobilenets.nn.layers import ConvNormAct
from mobilenets.nn.model import MobileNet
from mobilenets.nn.ssd import Detector
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import FromPixels
from mobilenets.runtime.base import vector_ends
from mobilenets.tasks import task_of

Head = Callable[..., tuple[torch.Tensor, ...]]


class Answering(nn.Module):
    """A network, and what a task makes of what it gives (`Task.head`)."""

    def __init__(self, network: nn.Module, head: Head) -> None:
        super().__init__()
        self.network, self._head = network, head

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, C, H, W) → what the head gives, (N, …) each."""
        return self._head(self.network(images))


class AnsweringInParts(Answering):
    """As `Answering`, of a detector, whose parts need not be copied into one tensor."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, C, H, W) → what the head gives, (N, A, …) each."""
        network = self.network
        assert isinstance(network, Detector)
        return self._head(*network.forward_parts(images))


class AnsweringWithFeatures(Answering):
    """As `Answering`, and beside its answers what they were made of (`runtime.base.vector_ends`)."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, C, H, W) → what the head gives, features (N, D), their lengths (N, 1) and means (N, C')."""
        network = self.network
        assert isinstance(network, MobileNet)
        outputs, vectors, *means = network.with_vectors(images)
        lengths = vectors.norm(dim=1, keepdim=True)
        # Not `clamp`, which would be rounded in 8 bits as a ReLU6 is.
        features = vectors / torch.maximum(lengths, torch.tensor(1e-12))
        return *self._head(outputs), features, *([lengths, *means] if means else [])


Network = TypeVar("Network", bound=nn.Module)


def fold_norms(module: Network) -> Network:
    """A copy in eval mode whose BatchNorms are folded into the convolutions before them."""
    folded = copy.deepcopy(module).eval()
    for part in folded.modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()
    return folded


def file_card(card: ModelCard, *, nms: str) -> ModelCard:
    """The `card` that a file carries: a detector's says where overlapping boxes are left out, INSIDE or OUTSIDE."""
    return replace(card, nms=nms) if task_of(card).suppression else card


def names_given(card: ModelCard) -> list[str]:
    """What `deployed` gives, by name."""
    return [*task_of(card).outputs, *(end.name for end in vector_ends(card))]


def deployed(model: MobileNet, card: ModelCard) -> FromPixels:
    """What is exported: a copy of `model` on the CPU, BatchNorm folded, from uint8 pixels to a tuple of outputs.

    Behind the task's own come those of `runtime.base.vector_ends`.

    Raises
    ------
    UserError
        The card is another network's.
    """
    task = task_of(card)
    if task.width(card.classes) != model.net.num_classes:
        raise ModelFileError(f"{card.name}: {len(card.classes)} class names for {model.net.num_classes} outputs")
    network = fold_norms(model).cpu()
    answering = AnsweringInParts if task.has_boxes else AnsweringWithFeatures
    module = FromPixels(answering(network, task.head), card.preprocess).eval().requires_grad_(False)
    module.from_planes.fold_division(network.get_parameter("stem.conv.weight"))
    for parameter in module.parameters():
        parameter.data = parameter.data.contiguous()  # ExecuTorch cannot lower weights that lie channels-last
    return module


def example_planes(preprocess: Preprocess) -> torch.Tensor:
    """`example_pixels` as `FromPlanes` takes them: float32 (1, C, size, size), contiguous."""
    return example_pixels(preprocess).permute(0, 3, 1, 2).float().contiguous()


def example_pixels(preprocess: Preprocess, count: int = 1) -> torch.Tensor:
    """Random pixels uint8 (count, size, size, C), the same every time."""
    shape = (count, preprocess.size, preprocess.size, preprocess.channels)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
