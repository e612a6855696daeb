"""A run of good photographs only: their patches are kept, and what validates best of a few ways to ask by them."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mobilenets.data.loader import Loader
from mobilenets.nn.patches import PatchMemory
from mobilenets.system.files import write_atomic
from mobilenets.tasks.anomaly.metrics import choose_threshold
from mobilenets.tasks.classify.metrics import auroc
from mobilenets.tasks.task import Labels
from mobilenets.training.opening import OpenedRun
from mobilenets.training.plan import Plan
from mobilenets.training.probe.features import run_on_pixels
from mobilenets.training.probe.patches import Patches, tap_choices
from mobilenets.training.trainers import Start, keep_model

log = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]

BATCH = 16
MAX_IMAGES = 20_000  # whose patches are drawn from


def keep_patches(run: OpenedRun, plan: Plan) -> Start:
    """Keep the network that keeps patches of the training photographs, asked as validates best.

    Only defects among the validation photographs can choose the maps; else they are the usual ones.

    Raises
    ------
    UserError
        The network's maps are no numbers.
    """
    loaders, objective = run.loaders.whole(), run.splits.objective
    train = loaders.loader(run.splits.train.spread(MAX_IMAGES), plan.preprocess, BATCH)
    val = loaders.loader(run.splits.val, plan.preprocess, BATCH)
    is_defect = objective.task.targets(objective.texts)[:, 0] > 0
    choices = tap_choices(run.model.net)
    if not is_defect[run.splits.val.labels].any():
        choices = choices[:1]
    begun = time.monotonic()
    taps = sorted({tap for choice in choices for tap in choice})
    patches = Patches(run.model, taps, plan.preprocess, run.loaders.device, train, plan.settings.seed)
    look_image_s = (time.monotonic() - begun) / max(1, len(train.labels))
    found = [_distances_of(run, plan, patches.network(choice), val) for choice in choices]
    areas = [auroc(one.scores, is_defect[one.labels].astype(np.int64)) for one in found]
    for choice, area in zip(choices, areas, strict=True):
        log.info("good ones: %s", _describe(choice, area))
    chosen = found[choose_maps(areas, is_defect[found[0].labels])]
    distance = _threshold(chosen.scores, is_defect[chosen.labels])
    model, both = chosen.model, np.concatenate([chosen.scores[:, None], chosen.distances], 1)
    model.threshold.data = torch.tensor([distance], dtype=torch.float32)
    figures = objective.validation_figures(np.float32(both / (both + distance)), chosen.labels)
    if run.group.is_main:
        content = {**figures, "blocks": list(model.net.patches.taps), "distance": distance}
        write_atomic(run.folder / "patches.json", json.dumps(content, indent=2) + "\n")
    keep_model(run, plan, model, figures)
    return Start(figures, look_image_s)


def choose_maps(areas: Sequence[float | None], is_defect: NDArray[np.bool_]) -> int:
    """The number of the best AUROC in `areas`; the first, unless it is beaten by more than its standard error.

    `is_defect` bool (N,): of the photographs that it is of. None: there is none. The error is Hanley's and McNeil's
    (1982).

    Examples
    --------
    >>> is_defect = np.arange(100) < 10
    >>> choose_maps([0.90, 0.92, 0.98], is_defect), choose_maps([0.90, 0.92], is_defect), choose_maps([None], is_defect)
    (2, 0, 0)
    """
    usual, bad = areas[0], int(is_defect.sum())
    if usual is None:
        return 0
    good = len(is_defect) - bad
    one, two = usual / (2 - usual), 2 * usual**2 / (1 + usual)
    variance = usual * (1 - usual) + (bad - 1) * (one - usual**2) + (good - 1) * (two - usual**2)
    best = max(range(len(areas)), key=lambda k: areas[k] or 0.0)
    return best if (areas[best] or 0.0) > usual + math.sqrt(max(variance, 0.0) / (good * bad)) else 0


def _threshold(scores: Floats, is_defect: NDArray[np.bool_]) -> float:
    """The distance from which on photographs are called defects."""
    usual = max(float(np.median(scores)), 1e-9)
    middle = choose_threshold(scores / (scores + usual), is_defect)
    return usual * middle / max(1 - middle, 1e-9)


class _Distances(NamedTuple):
    """A network and its distances: of photographs, float32 (N,), and of their patches (N, P); and labels (N,)."""

    model: PatchMemory
    scores: Floats
    distances: Floats
    labels: Labels


def _distances_of(run: OpenedRun, plan: Plan, model: PatchMemory, loader: Loader) -> _Distances:
    """What a network whose threshold is 1 says of the photographs that can be read, in float32 arithmetic."""
    compute = run_on_pixels(model, plan.preprocess, run.loaders.device, exact=True)
    rows, labels = [], []
    for batch in loader.epoch(0):
        rows.append(compute(batch.pixels))
        labels.append(batch.labels)
    outputs = np.concatenate(rows)
    distances = outputs / np.maximum(1 - outputs, 1e-6)
    return _Distances(model, distances[:, 0], distances[:, 1:], np.concatenate(labels))


def _describe(taps: tuple[int, ...], area: float | None) -> str:
    maps = " and ".join(map(str, taps))
    figure = "" if area is None else f": AUROC {area:.3f}"
    return f"by the map{'s' if len(taps) > 1 else ''} of block{'s' if len(taps) > 1 else ''} {maps}{figure}"
