"""Patches of good photographs: those that a network keeps, chosen so that every other one lies near to one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mobilenets.arch.net import Net
from mobilenets.arch.patches import PatchHead, cut_for
from mobilenets.data.loader import Loader
from mobilenets.errors import ModelFileError
from mobilenets.nn.model import MobileNet
from mobilenets.nn.patches import PatchMemory, Pooled
from mobilenets.preprocess import Preprocess
from mobilenets.system.progress import Progress
from mobilenets.training.probe.features import run_on_pixels

STRIDE = 16  # of the coarsest map: a patch for each 16×16 pixels
LENGTH = 96  # numbers of a patch; more directions tell hardly anything
BANK = 4_000  # patches kept; more tell no more (`benchmarks/good_only.py`)
CANDIDATES = 40_000  # patches that they are chosen from, as many of each photo
DIRECTIONS = 16  # of random ones, in which distances are compared as patches are chosen (2106.08265, §3.2)

Floats = NDArray[np.float32]


def tap_choices(net: Net) -> list[tuple[int, ...]]:
    """The maps that a network may be asked by, as numbers of blocks; the first, if nothing chooses.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> tap_choices(build("mobilenet_v2"))
    [(11, 12), (5, 12), (5,)]
    """
    stride, strides = net.stem.stride, []
    for row in net.blocks:
        stride *= row.stride
        strides.append(stride)
    coarsest = max(s for s in strides if s <= STRIDE)
    coarse = [i for i, s in enumerate(strides) if s == coarsest]
    fine = [i for i, s in enumerate(strides) if 2 * s == coarsest]
    return [tuple(coarse[-2:]), *([(fine[-1], coarse[-1]), (fine[-1],)] if fine else [])]


class _PatchMaps(nn.Module):
    """Several maps of a network as its patches are made of them."""

    def __init__(self, model: MobileNet, taps: Sequence[int]) -> None:
        super().__init__()
        self.net = cut_for(model.net, PatchHead(tuple(taps), 1, 1))
        self.model = model
        strides = [info.stride for info in self.net.head_maps]
        self.pools = nn.ModuleList(Pooled(strides[-1] // stride) for stride in strides)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, channels of all maps, h, w)."""
        x = self.model.stem(images)
        found: list[torch.Tensor] = []
        for i, block in enumerate(list(self.model.blocks)[: self.net.patches.taps[-1] + 1]):
            x = block(x)
            if i in self.net.patches.taps:
                found.append(self.pools[len(found)](x))
        return torch.cat(found, 1)


class Patches:
    """A sample of the patches of good photographs, of which a network can keep some.

    Parameters
    ----------
    model
        Whose maps they are of.
    taps
        Numbers of the blocks with these maps, rising.
    preprocess
        How photos are shown to it.
    device
        Where it runs.
    loader
        The photos.
    seed
        Of which patches are drawn.
    """

    def __init__(
        self,
        model: MobileNet,
        taps: Sequence[int],
        preprocess: Preprocess,
        device: torch.device,
        loader: Loader,
        seed: int,
    ) -> None:
        self._model, self._taps, self._seed = model, list(taps), seed
        patch_maps = _PatchMaps(model, taps)
        self._channels = [info.channels for info in patch_maps.net.head_maps]
        run = run_on_pixels(patch_maps, preprocess, device, exact=True)
        per_image, rows = -(-CANDIDATES // len(loader.labels)), []
        with Progress("patches", len(loader.labels), "image") as progress:
            for batch in loader.epoch(0):
                for maps, index in zip(run(batch.pixels), batch.indices.tolist(), strict=True):
                    own = maps.reshape(len(maps), -1).T
                    chosen = np.random.default_rng((seed, index)).permutation(len(own))[:per_image]
                    rows.append(own[chosen])
                progress.advance(len(batch.labels))
        self.rows: Floats = np.concatenate(rows).astype(np.float32, copy=False)
        if not np.isfinite(self.rows).all():
            raise ModelFileError(f"{model.net.name}: its maps of these photos are no numbers; use other weights")

    def network(self, taps: Sequence[int]) -> PatchMemory:
        """The network that knows some of them, by the maps of these blocks; a distance of 1 is a score of 0.5."""
        ends = np.cumsum(self._channels)
        columns = [
            np.arange(end - width, end)
            for end, width, tap in zip(ends, self._channels, self._taps, strict=True)
            if tap in taps
        ]
        x = self.rows[:, np.concatenate(columns)].astype(np.float64)
        mean, deviation = x.mean(0), x.std(0)
        deviation[deviation < 1e-6] = 1.0  # a channel that is always the same tells nothing
        x = (x - mean) / deviation
        length = min(LENGTH, x.shape[1])
        axes = np.eye(x.shape[1])
        if length < x.shape[1]:
            axes = np.linalg.eigh(x.T @ x / len(x))[1][:, -length:]
        shortened = torch.from_numpy((x @ axes).astype(np.float32))
        bank = shortened[farthest_first(shortened, min(BANK, len(shortened)), self._seed)]
        head = PatchHead(tuple(taps), length, len(bank))
        model = PatchMemory(cut_for(self._model.net, head))
        state = self._model.state_dict()
        model.load_state_dict({key: state[key] for key in model.state_dict() if key in state}, strict=False)
        weight = torch.from_numpy((axes / deviation[:, None]).T.astype(np.float32))  # (length, channels)
        offset = torch.from_numpy((-(mean / deviation) @ axes).astype(np.float32))
        with torch.no_grad():
            start = 0
            for i, own in enumerate(columns):
                reduce = model.reduce[i]
                assert isinstance(reduce, nn.Conv2d)
                assert reduce.bias is not None
                reduce.weight.copy_(weight[:, start : start + len(own), None, None])
                reduce.bias.copy_(offset if i == 0 else torch.zeros(length))
                start += len(own)
        model.keep(bank)
        model.preprocess, model.provenance = self._model.preprocess, dict(self._model.provenance)
        return model.eval()


def farthest_first(rows: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Indices (count,) of rows (N, D), each the farthest from all before it (greedy k-centre), by random projections.

    Examples
    --------
    >>> farthest_first(torch.tensor([[0.0], [0.1], [5.0], [9.0]]), 3, seed=0).tolist()
    [0, 3, 2]
    """
    generator = torch.Generator().manual_seed(seed)
    if rows.shape[1] > DIRECTIONS:
        rows = rows @ torch.randn(rows.shape[1], DIRECTIONS, generator=generator)
    squares = rows.square().sum(1)
    distances = torch.full((len(rows),), torch.inf)
    chosen = [0]
    while len(chosen) < count:
        last = rows[chosen[-1]]
        torch.minimum(distances, squares - 2 * (rows @ last) + last.square().sum(), out=distances)
        chosen.append(int(distances.argmax()))
    return torch.tensor(chosen)
