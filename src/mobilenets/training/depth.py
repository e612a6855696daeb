"""How many blocks are trained in the time left: the last ones, half of the network, or all of it.

Frozen blocks are run once for some views of each photograph and then cost nothing (see `views`): what is left trains
several times as fast, and most of what there is to gain lies there. With more time more blocks pay.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from mobilenets.data.loader import Batch
from mobilenets.spec.cost import costs
from mobilenets.spec.rows import Net
from mobilenets.training.loop import Trainer
from mobilenets.training.plan import EVALUATION_SHARE, ROUGH, Speed, measure_speed
from mobilenets.training.views import Front, as_stored

TRAINED = (1.0, 0.75, 0.5, 0.3)  # of the multiply-adds: the shares tried, in this order
ENOUGH = 7.0  # epochs, after which more blocks gain more than more epochs do
FEWEST_IMAGES, MOST_IMAGES = 4_000, 20_000  # what `ENOUGH` epochs come to at least, and need not exceed
MOST_VIEWS, FEWEST_VIEWS = 8, 2
MOST_EPOCHS = 60
MOST_BYTES = 2 * 10**9  # of stored views
VIEWS_SHARE = 0.35  # of the time, at most, before the first step


@dataclass(frozen=True)
class Depth:
    """How many blocks are `frozen`, and how many `views` of each photograph are stored behind them (0: none)."""

    frozen: int
    views: int


@dataclass(frozen=True)
class Costs:
    """What a photograph takes, in seconds.

    `train`: a step that trains what lies behind so many frozen blocks, by their number, the fewest first. `look`:
    reading it and running it through the whole network without training.
    """

    train: dict[int, float]
    look: float


class _Same:
    """One batch, again and again, in place of a loader."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.labels = batch, batch.labels

    def __len__(self) -> int:
        return 1

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batch."""
        yield self.batch


def frozen_blocks(net: Net, size: int) -> list[int]:
    """For each share of `TRAINED` how many blocks to freeze for the rest to take about that much; the fewest first."""
    rows = costs(net, size)
    total = sum(row.macs for row in rows)
    trained = [1 - sum(row.macs for row in rows[: 1 + frozen]) / total for frozen in range(len(net.blocks))]
    trained[0] = 1.0  # nothing is frozen, the stem neither
    return sorted({min(range(len(trained)), key=lambda i: abs(trained[i] - share)) for share in TRAINED})


def measure_steps(trainer: Trainer, precision: str, seconds: float | None) -> dict[int, Speed]:
    """What a step takes behind so many frozen blocks, by their number; in the precision that pays without any."""
    batch = next(iter(trainer.train.epoch(0)))
    found: dict[int, Speed] = {}
    for frozen in frozen_blocks(trainer.model.net, trainer.preprocess.size):
        shown = replace(batch, pixels=_behind(trainer, batch, frozen), after=frozen) if frozen else batch
        some = Trainer(
            copy.deepcopy(trainer.model),
            replace(trainer.recipe, freeze=frozen or "none"),
            trainer.place,
            trainer.preprocess,
            _Same(shown),
            _Same(shown),
        )
        found[frozen] = measure_speed(some, found[0].precision if found else precision, seconds, ROUGH)
    return found


@torch.inference_mode()
def _behind(trainer: Trainer, batch: Batch, blocks: int) -> np.ndarray:
    """The batch's maps behind the first blocks, as `StoredViews` has them."""
    front = Front(trainer.model, blocks).eval()
    return as_stored(front(trainer.images(batch.pixels)).cpu().numpy())


def choose_depth(net: Net, size: int, images: int, validated: int, each: Costs, seconds: float) -> Depth:
    """The most blocks for which `seconds` are enough; `images` in an epoch, `validated` after it."""
    wanted = min(max(ENOUGH * images, FEWEST_IMAGES), MOST_IMAGES)
    depth = Depth(0, 0)
    for frozen, image_s in sorted(each.train.items()):
        views = _views(net, size, frozen, images, each.look, seconds, wanted)
        if frozen and not views:
            image_s += each.look
        depth = Depth(frozen, views)
        epoch_s = images * image_s + validated * EVALUATION_SHARE * image_s
        left = seconds - views * images * each.look
        if left / epoch_s * images >= wanted:
            return depth
    return depth


def _views(net: Net, size: int, frozen: int, images: int, look_s: float, seconds: float, wanted: float) -> int:
    """How many views are stored behind so many blocks: half as many as epochs are wanted, if there is time and room."""
    if frozen == 0:
        return 0
    row = costs(net, size)[frozen]
    bytes_each = 2 * row.out * row.out_size**2  # float16
    fits = min(MOST_BYTES / (bytes_each * images), VIEWS_SHARE * seconds / (look_s * images))
    views = min(MOST_VIEWS, round(wanted / images / 2), int(fits))
    return views if views >= FEWEST_VIEWS else 0
