"""A network as the subgraphs whose latencies add up to its own: front, blocks, tail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from mobilenets.arch.cost import costs, total
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Row
from mobilenets.exporting.deploy import Answering
from mobilenets.exporting.targets.onnx import graph_bytes, onnx_file
from mobilenets.model_card import ModelCard
from mobilenets.nn.blocks import make_block
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import FromPixels
from mobilenets.searching.latency.timer import Graph
from mobilenets.tasks.classify import Classify


@dataclass(frozen=True)
class SubGraph:
    """A part of a network that is exported and timed by itself.

    `key` says everything that its latency depends on but machine, engine and threads: kinds, kernels, channels,
    stride, squeeze-and-excite, activation, resolution. `shape` and `dtype` are those of its input. `macs`:
    multiply-adds of one image; `parameters`: weights.
    """

    key: str
    shape: tuple[int, ...]
    dtype: str
    macs: int
    parameters: int
    make: Callable[[], nn.Module]

    def content(self) -> bytes:
        """Its graph with random weights, which do not change the speed."""
        with torch.random.fork_rng(devices=()):  # the numbers of a search under way are not touched
            torch.manual_seed(0)
            module = self.make().eval()
            example = torch.randint(0, 256, self.shape, dtype=torch.uint8)
            return graph_bytes(module, example if self.dtype == "uint8" else example / 255, "input", "output")

    def write(self, path: Path) -> Graph:
        """Export it to `path`, to be timed."""
        path.write_bytes(self.content())
        return Graph(path, self.shape, self.dtype)


@dataclass(frozen=True)
class WholeNetwork:
    """A network for images of `size` pixels, exported and timed as one."""

    net: Net
    size: int

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return total(self.net, self.size)[1]

    @property
    def parameters(self) -> int:
        """Weights."""
        return total(self.net, self.size)[0]

    def write(self, path: Path) -> Graph:
        """Export it to `path` with random weights, to be timed."""
        path.write_bytes(_network_bytes(self.net, self.size))
        return Graph(path, (1, self.size, self.size, self.net.in_channels), "uint8")


def _network_bytes(net: Net, size: int) -> bytes:
    with torch.random.fork_rng(devices=()):  # the numbers of a search under way are not touched
        torch.manual_seed(0)
        network = MobileNet(net).eval()
    card = ModelCard(net.name, net, tuple(map(str, range(net.num_classes))), plain_preprocess(net, size))
    return onnx_file(network, card)


def subgraphs(net: Net, size: int) -> Iterator[SubGraph]:
    """Front (normalisation and stem), every block, tail (last convolution, pooling, head, softmax).

    Parts of two networks that have equal keys are the same.
    """
    rows = {row.name: row for row in costs(net, size)}
    preprocess = plain_preprocess(net, size)
    front = rows["stem"]
    after = [row for name, row in rows.items() if name != "stem" and not name.startswith("blocks.")]
    yield SubGraph(
        f"front {_words(net, net.stem)} in={net.in_channels} @{size}",
        (1, size, size, net.in_channels),
        "uint8",
        front.macs,
        front.params,
        lambda: _front(net, preprocess),
    )
    for i, row in enumerate(net.blocks):
        at = rows[f"blocks.{i}"]
        yield SubGraph(
            f"{row.kind} {_words(net, row)} in={at.channels} @{at.size}",
            (1, at.channels, at.size, at.size),
            "float32",
            at.macs,
            at.params,
            partial(make_block, net, at.channels, row),
        )
    side, channels = at.out_size, at.out
    last = _words(net, net.last) if net.last else "none"
    end = net.classifier
    head = f"hidden={end.hidden} norm={end.norm} act={end.act} classes={end.num_classes}"
    yield SubGraph(
        f"tail {last} {head} in={channels} @{side}",
        (1, channels, side, side),
        "float32",
        sum(row.macs for row in after),
        sum(row.params for row in after),
        lambda: Answering(_Tail(MobileNet(replace(net, blocks=net.blocks[-1:]))), Classify().head),
    )


def plain_preprocess(net: Net, size: int) -> Preprocess:
    """One that fits the network's input; its numbers do not change the speed."""
    half = (0.5,) * net.in_channels
    return Preprocess(size=size, mean=half, std=half, mode="L" if net.in_channels == 1 else "RGB")


def _words(net: Net, row: Row) -> str:
    fields = " ".join(f"{name}={value}" for name, value in vars(row).items())
    return f"{fields} padding={net.padding}"


def _front(net: Net, preprocess: Preprocess) -> nn.Module:
    stem = make_block(net, net.in_channels, net.stem)
    module = FromPixels(stem, preprocess)
    module.from_planes.fold_division(stem.get_parameter("conv.weight"))  # as every export does
    return module


class _Tail(nn.Module):
    """What comes after the blocks."""

    def __init__(self, model: MobileNet) -> None:
        super().__init__()
        model.blocks = nn.ModuleList()
        model.stem = nn.Identity()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The map behind the last block (N, C, h, w) → logits (N, K)."""
        y: torch.Tensor = self.model(x, after=0)
        return y
