"""How a candidate is judged: trained briefly beside the network it came from, then scored on what no training saw.

Searches compare hundreds of networks. So none of them is trained to the end: a few batches of the training photographs
that are not held out show which recovers best, and the held-out ones say how well. Validation photographs take no part:
they are for the network that is found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mobilenets.data.loader import Batch, Loader
from mobilenets.data.samples import Samples
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess.torch import Images
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import Distiller, batch_norms, short_recipe
from mobilenets.system.timing import seconds_each
from mobilenets.tasks.classify import Classify
from mobilenets.tasks.classify.metrics import log_loss
from mobilenets.training.context import autocast
from mobilenets.training.loop import Trainer
from mobilenets.training.prediction import predict

NUM_RECALIBRATION_BATCHES = 8  # batches behind BatchNorm's statistics where they are estimated anew
NUM_TIMED_STEPS = 3  # steps that tell how long a training takes
EVALUATION_FRACTION = 0.3  # of a step with a teacher: a forward pass


@dataclass(frozen=True)
class Score:
    """How right a network is on some photographs.

    `accuracy`, 0 to 1. `expected_accuracy`: the mean probability of the right class, which is the accuracy of answers
    drawn from what the network says. Every photograph moves it, not only those that change sides, so that few
    photographs tell networks apart. `log_loss` in nats.
    """

    accuracy: float
    expected_accuracy: float
    log_loss: float


def score(ctx: SearchContext, model: MobileNet, size: int, samples: Samples) -> Score:
    """The score of `model`, which takes images of side `size`, on `samples`."""
    network = channels_last(model.to(ctx.compute.device))
    images = Images(ctx.preprocess(size), ctx.compute.device)
    probabilities, labels = predict(network, ctx.loader(samples, size), images, ctx.compute, Classify())
    return Score(
        accuracy=float((probabilities.argmax(1) == labels).mean()),
        expected_accuracy=float(probabilities[np.arange(len(labels)), labels].mean()),
        log_loss=log_loss(probabilities, labels),
    )


class LimitedLoader:
    """`batches` batches of a loader's run through its epochs, from batch number `begin` on, as if an epoch."""

    def __init__(self, loader: Loader, batches: int, begin: int = 0) -> None:
        self._whole, self._batches, self._begin = loader, batches, begin
        self.labels = loader.labels

    def __len__(self) -> int:
        """Batches."""
        return self._batches

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """As `Loader.epoch`; each goes on where the one before ended."""
        start, left = self._begin + epoch * self._batches + start_batch, self._batches - start_batch
        while left > 0:
            number, first = divmod(start, len(self._whole))
            for batch in itertools.islice(self._whole.epoch(number, first), left):
                yield batch
                start, left = start + 1, left - 1


def short_trainer(
    ctx: SearchContext, model: MobileNet, sizes: Sequence[int], lr_factor: float, batches: int, begin: int = 0
) -> Distiller:
    """What trains `model` for some batches at some sizes, with the base network as its teacher.

    Its learning rate falls from `lr_factor` times the run's to zero. `begin`: the number of the first batch.
    """
    size = ctx.base_candidate.size
    some = LimitedLoader(ctx.loader(ctx.splits.rest, size, train=True), batches, begin)
    recipe, preprocess = short_recipe(ctx.recipe, lr_factor), ctx.preprocess(size)
    return Distiller(model, recipe, ctx.compute, preprocess, some, some, teacher=ctx.base, sizes=sizes)


def losses(ctx: SearchContext, model: MobileNet, size: int, batches: int, begin: int = 0) -> Iterator[torch.Tensor]:
    """The mean losses of `model` in eval mode on some batches that are not held out, to be differentiated.

    `begin`: the number of the first batch in the run through the epochs.
    """
    model.eval().requires_grad_(True)
    for batch in LimitedLoader(ctx.loader(ctx.splits.rest, size, train=True), batches, begin).epoch(0):
        images = ctx.images(batch.pixels, size)
        with autocast(ctx.compute.device, ctx.compute.precision):
            logits = model(images)
        yield F.cross_entropy(logits.float(), torch.from_numpy(batch.labels).to(images.device))


@torch.no_grad()
def recalibrate(ctx: SearchContext, model: MobileNet, size: int) -> None:
    """Set BatchNorm's statistics to their plain mean over some batches: for a network that was changed a lot."""
    network = channels_last(model.to(ctx.compute.device)).eval()
    images = Images(ctx.preprocess(size), ctx.compute.device)
    norms = batch_norms(network)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    train = ctx.loader(ctx.splits.rest, size, train=True)
    for batch in itertools.islice(train.epoch(0), NUM_RECALIBRATION_BATCHES):
        with autocast(ctx.compute.device, ctx.compute.precision):
            network(images(batch.pixels))
    for norm in norms:
        norm.momentum = ctx.recipe.norm_momentum
    network.eval()


def seconds_per_step(trainer: Trainer) -> float:
    """What a step of a training takes; `trainer` is for nothing else afterwards."""
    steps = _endless(trainer)
    next(steps)  # primitives are created and cached
    return seconds_each(itertools.islice(steps, NUM_TIMED_STEPS))


def _endless(trainer: Trainer) -> Iterator[object]:
    """The steps of the first epoch, over and over: a small data set may have a single one."""
    while True:
        trainer.state.batch = 0
        yield from trainer.finished_steps()
