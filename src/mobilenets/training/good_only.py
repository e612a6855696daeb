"""A run of good photographs only: their patches are kept, and what validates best of a few ways to ask by them."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace

import numpy as np
import torch

from mobilenets.data.loader import Loader
from mobilenets.nn.patches import PatchMemory
from mobilenets.system.files import write_atomic
from mobilenets.tasks.anomaly.metrics import choose_threshold
from mobilenets.tasks.classify.metrics import auroc
from mobilenets.tasks.task import Labels, Outputs
from mobilenets.training.opening import OpenedRun
from mobilenets.training.plan import Plan
from mobilenets.training.probe.features import run_on_pixels
from mobilenets.training.probe.patches import LARGEST, Patches, tap_choices
from mobilenets.training.trainers import Start, keep_model

log = logging.getLogger(__name__)

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
    found: list[tuple[float, int, PatchMemory, int, Outputs, Outputs, Labels]] = []  # the first two decide
    for choice in choices:
        model = patches.network(choice)
        outputs, labels = _outputs(run, plan, model, val)
        maps = outputs[:, 1:] / np.maximum(1 - outputs[:, 1:], 1e-9)  # distances
        for largest in LARGEST if is_defect[labels].any() else LARGEST[:1]:
            scores = np.sort(maps, axis=1)[:, -largest:].mean(1)
            area = auroc(scores, is_defect[labels].astype(np.int64))
            log.info("good ones: %s", _describe(choice, largest, area))
            found.append((area or 0.0, -len(found), model, largest, scores, maps, labels))
    _, _, model, largest, best, distances, labels = max(found, key=lambda one: one[:2])
    model.net = replace(model.net, head=replace(model.net.patches, largest=largest))
    usual = max(float(np.median(best)), 1e-9)
    middle = choose_threshold(best / (best + usual), is_defect[labels])
    distance = usual * middle / max(1 - middle, 1e-9)
    model.threshold.data = torch.tensor([distance], dtype=torch.float32)
    both = np.concatenate([best[:, None], distances], 1)
    figures = objective.validation_figures(np.float32(both / (both + distance)), labels)
    if run.group.is_main:
        content = {**figures, "blocks": list(model.net.patches.taps), "largest": largest, "distance": distance}
        write_atomic(run.folder / "patches.json", json.dumps(content, indent=2) + "\n")
    keep_model(run, plan, model, figures)
    return Start(figures, look_image_s)


def _outputs(run: OpenedRun, plan: Plan, model: PatchMemory, loader: Loader) -> tuple[Outputs, Labels]:
    """Scores float32 (N, 1 + h * h) and labels int64 (N,) of photographs that can be read, in float32 arithmetic."""
    compute = run_on_pixels(model, plan.preprocess, run.loaders.device, exact=True)
    rows, labels = [], []
    for batch in loader.epoch(0):
        rows.append(compute(batch.pixels))
        labels.append(batch.labels)
    return np.concatenate(rows), np.concatenate(labels)


def _describe(taps: tuple[int, ...], largest: int, area: float | None) -> str:
    maps = " and ".join(f"{tap}" for tap in taps)
    figure = "" if area is None else f": AUROC {area:.3f}"
    return f"by the maps of block{'s' if len(taps) > 1 else ''} {maps}, the {largest} strangest patches{figure}"
