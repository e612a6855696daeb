"""Quantisation-aware training: weights that still give the float network's answers once they are rounded to 8 bits.

The network is computed as the 8-bit ONNX file computes it: every layer reads, holds and writes what the file rounds, on
the same grids, which are read from that file (`qdq.layer_qparams`). Gradients pass the rounding as if it were not there
and stop where values are cut off (1712.05877, §3; 1308.3432). What is wanted are the float network's probabilities on
the photographs of the training part (1503.02531): unlike labels, which these photographs have been fitted to already,
they say something about every class of each.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from mobilenets.data.cache.images import PixelCache
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.sample import Sample
from mobilenets.exporting.deploy import deployed, network_of
from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.qdq import LayerQParams, layer_qparams, qdq_graph
from mobilenets.exporting.int8.quantize import SMALLEST, QParams, rounded, rounded_weight, weight_steps
from mobilenets.model_card import ModelCard
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import FromPixels
from mobilenets.system.progress import Progress

BATCH = 32
RATE = 3e-5  # of Adam, falling to 0; 1e-4 took V3-Large further from the float network than rounding had


class RoundedLayer(nn.Module):
    """`layer` as an 8-bit file computes it; its float weights learn."""

    def __init__(self, layer: nn.Module, qparams: LayerQParams) -> None:
        super().__init__()
        self.layer, self.qparams = layer, qparams

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `layer`."""
        x = _rounded(x, self.qparams.reads)
        own: dict[str, torch.Tensor] = dict(self.layer.named_parameters())
        if self.qparams.weights:
            steps = weight_steps(own["weight"])
            own["weight"] = rounded_weight(own["weight"], steps)
            if self.qparams.reads:  # what integers are added up to
                unit = steps * self.qparams.reads[0]
                own["bias"] = own["bias"] + ((own["bias"] / unit).round() * unit - own["bias"]).detach()
        return _rounded(functional_call(self.layer, own, (x,)), self.qparams.writes)


def _rounded(x: torch.Tensor, qparams: QParams | None) -> torch.Tensor:
    return x if qparams is None else rounded(x, qparams)


def simulated(model: MobileNet, card: ModelCard, calibration: Calibration) -> FromPixels:
    """The network from pixels to probabilities as its 8-bit ONNX file computes it, differentiable."""
    module = deployed(model, card)
    for name, qparams in layer_qparams(qdq_graph(model, card, calibration)).items():
        module.set_submodule(name, RoundedLayer(module.get_submodule(name), qparams))
    return channels_last(module)


def train_for_int8(
    model: MobileNet,
    card: ModelCard,
    samples: Sequence[Sample],
    calibration: Calibration,
    minutes: float,
    steps: int | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> MobileNet:
    """A copy of `model`, BatchNorm folded, whose weights were trained on `samples` for at most `minutes`.

    With `steps` it stops after so many, and gives the same weights for the same `seed` wherever the time suffices.
    `clock` tells the seconds. Labels of `samples` are not used.
    """
    end = clock() + 60 * minutes
    teacher, student = channels_last(deployed(model, card)), simulated(model, card, calibration)
    optimizer = torch.optim.Adam(student.requires_grad_(True).parameters(), lr=RATE)
    batches, shown, smooth = _endless(samples, card.preprocess, seed), 0, 0.0
    with Progress("training for 8 bits", 100, "%") as progress:
        for done in _fractions_done(end, steps, clock):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - done)
            pixels = next(batches)
            with torch.no_grad():
                wanted = teacher(pixels)
            divergence = F.kl_div(student(pixels).clamp_min(SMALLEST).log(), wanted, reduction="batchmean")
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(divergence)
            optimizer.step()
            smooth += (divergence.item() - smooth) * (0.05 if smooth else 1)
            progress.advance(int(100 * done) - shown, divergence=smooth)
            shown = int(100 * done)
        progress.advance(100 - shown)
    for name, part in list(student.named_modules()):
        if isinstance(part, RoundedLayer):
            student.set_submodule(name, part.layer)
    return network_of(student.requires_grad_(False), card.preprocess)


def _fractions_done(end: float, steps: int | None, clock: Callable[[], float]) -> Iterator[float]:
    """How much of the training is done before each step, until `steps` are done or another would end after `end`."""
    start = before = clock()
    longest, done = 0.0, 0
    while before + longest < end and done != steps:
        yield done / steps if steps else (before - start) / (end - start)
        done, now = done + 1, clock()
        longest, before = max(longest, now - before), now


def _endless(samples: Sequence[Sample], preprocess: Preprocess, seed: int) -> Iterator[torch.Tensor]:
    """Batches of pixels as the network will see them, epoch after epoch in another order."""
    whole = len(samples) >= BATCH
    loader = Loader(
        samples, preprocess, BATCH, seed=seed, shuffle=True, drop_last=whole, cache=PixelCache(), skipped=Skipped()
    )
    for epoch in itertools.count():
        for batch in loader.epoch(epoch):
            yield torch.from_numpy(batch.pixels)
