"""How many blocks are trained in the time left: only the last ones, half of the network, or all of it.

Frozen blocks are run once for some views of each photograph and then cost nothing (see `views`): what is left trains
several times as fast, and most of what there is to gain lies there. With more time more blocks pay.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mobilenets.arch.cost import costs
from mobilenets.arch.net import Net
from mobilenets.data.loader import Batch
from mobilenets.training.loop import Trainer
from mobilenets.training.speed import EFFORT, EVALUATION_FRACTION, ROUGH, measure_speed

TRAINED = (0.15, 0.3, 0.5, 0.75, 1.0)  # of the multiply-adds: the fractions tried, in this order
ENOUGH = 14.0  # epochs of the whole network; of a part in proportion: with fewer, less of it gains more
MIN_IMAGES, MAX_IMAGES = 8_000, 40_000  # what `ENOUGH` epochs come to at least, and need not exceed
EPOCHS_PER_VIEW = 2
MAX_VIEWS = 8
MAX_EPOCHS = 60
MAX_BYTES = 2 * 10**9  # of stored views
HOPELESS = 0.75  # of the time in proportion to the multiply-adds: no step is faster


@dataclass(frozen=True)
class Depth:
    """How many blocks are `frozen`, how many `views` of each photograph are stored behind them (0: none).

    `image_s`: seconds that a photograph takes in a step that trains the others.
    """

    frozen: int
    views: int
    image_s: float


class _Same:
    """One batch, again and again, in place of a loader."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.labels = batch, batch.labels

    def __len__(self) -> int:
        return 1

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batch."""
        yield self.batch


def trained_fractions(net: Net, size: int) -> list[float]:
    """By how many blocks are frozen: which fraction of the multiply-adds is trained."""
    rows = costs(net, size)
    total = sum(row.macs for row in rows)
    fractions = [1 - sum(row.macs for row in rows[: 1 + frozen]) / total for frozen in range(len(net.blocks))]
    return [1.0, *fractions[1:]]  # with no block frozen, the stem is not either


def frozen_blocks(net: Net, size: int) -> list[int]:
    """For each fraction of `TRAINED` how many blocks to freeze for the rest to take about that much; the most first."""
    fractions = trained_fractions(net, size)
    found = {min(range(len(fractions)), key=lambda i: abs(fractions[i] - fraction)) for fraction in TRAINED}
    return sorted(found, reverse=True)


class Steps:
    """What a step of `trainer` takes behind so many frozen blocks: measured on its first batch, it changes nothing."""

    def __init__(self, trainer: Trainer, precision: str, threads: int | None = None) -> None:
        self._trainer, self.precision, self.threads = trainer, precision, threads
        self._batch = next(iter(trainer.train.epoch(0)))
        self._effort = EFFORT

    def __call__(self, frozen: int, seconds: float | None) -> float:
        """Seconds of a photograph, in the precision and with the threads that paid at first; as `measure_speed`."""
        trainer, batch = self._trainer, self._batch
        shown = replace(batch, pixels=self._behind(frozen), after=frozen) if frozen else batch
        some = Trainer(
            copy.deepcopy(trainer.model),
            replace(trainer.recipe, freeze=frozen or "none"),
            trainer.ctx,
            trainer.preprocess,
            _Same(shown),
            _Same(shown),
            trainer.objective,
        )
        speed = measure_speed(some, self.precision, seconds, self.threads, self._effort)
        self.precision, self.threads = speed.precision, speed.threads or None
        self._effort = ROUGH
        return speed.step_s / len(batch.labels)

    def _behind(self, blocks: int) -> np.ndarray:
        """Maps as `ActivationCache` has them behind the first blocks, of noise: a step takes as long with any."""
        row = costs(self._trainer.model.net, self._trainer.preprocess.size)[blocks]
        shape = (len(self._batch.labels), row.out_size, row.out_size, row.out)
        return np.random.default_rng(0).standard_normal(shape, np.float32).astype(np.float16)


def choose_depth(
    net: Net,
    size: int,
    images: int,
    validated: int,
    look_s: float,
    measure: Callable[[int, float], float],
    left: Callable[[], float],
) -> Depth | None:
    """The most blocks for which the time that is `left` is enough: seconds, as asked for each number of blocks.

    None where storing a view of each photograph leaves no time to learn once from all of them.

    `images` in an epoch, `validated` after it; `look_s`: seconds of reading one and running it through the network.
    `measure`: seconds of a photograph in a step behind so many frozen blocks, and how long it may measure; it is not
    asked about more blocks once some were too many.
    """
    wanted, fractions = min(max(ENOUGH * images, MIN_IMAGES), MAX_IMAGES), trained_fractions(net, size)

    def depth(frozen: int, image_s: float) -> tuple[Depth, float]:
        """So many blocks, and for how many epochs there is time."""
        seconds, max_views = left(), _max_views(net, size, frozen, images)
        view_s = images * look_s
        seen_s = image_s if max_views or not frozen else image_s + look_s
        epoch_s = (images + validated * EVALUATION_FRACTION) * seen_s
        if max_views:  # the maps of what is validated on are stored once
            seconds -= validated * look_s
        views = min(max_views, max(1, int(seconds / (EPOCHS_PER_VIEW * epoch_s + view_s))))
        epochs = (seconds - views * view_s) / epoch_s
        return Depth(frozen, views, image_s), epochs

    def is_enough(frozen: int, epochs: float) -> bool:
        return epochs * images >= fractions[frozen] * wanted

    fewest, *more = frozen_blocks(net, size)
    chosen, epochs = depth(fewest, measure(fewest, left()))
    if chosen.views and epochs < 1:
        return None
    for frozen in more:
        at_best = HOPELESS * chosen.image_s * fractions[frozen] / fractions[chosen.frozen]
        if not is_enough(frozen, depth(frozen, at_best)[1]):
            break
        found, epochs = depth(frozen, measure(frozen, left()))
        if not is_enough(frozen, epochs):
            break
        chosen = found
    return chosen


def _max_views(net: Net, size: int, frozen: int, images: int) -> int:
    """How many views of each photograph there is room for behind so many blocks; none behind no blocks."""
    if frozen == 0:
        return 0
    row = costs(net, size)[frozen]
    bytes_each = 2 * row.out * row.out_size**2  # float16
    return min(MAX_VIEWS, MAX_BYTES // (bytes_each * images))
