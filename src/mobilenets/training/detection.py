"""What a detector learns before all else: the anchors that its boxes are corrections of, and its head."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from mobilenets.data.samples import Splits
from mobilenets.data.shapes import stored_sizes
from mobilenets.errors import UsageError
from mobilenets.nn.model import MobileNet
from mobilenets.nn.ssd import Detector
from mobilenets.tasks.detect.own_anchors import describe, own_head, own_overlap
from mobilenets.tasks.detect.targets import counted

log = logging.getLogger(__name__)

MUCH_MORE = 0.05  # of overlap than a run was made for: some objects beside each other would be taken for one


def take_own_anchors(model: MobileNet, size: int, listed: Splits, origin: Path | None = None) -> None:
    """Give a detector anchors like the boxes of its training photographs, and say how many of these they match.

    What it takes for one object is like these boxes too: as much overlap as they have, and some more.

    One that comes trained for as many classes keeps its own, and so does one that goes on from the run `origin`.

    Raises
    ------
    UserError
        The network is no detector.
    """
    if not isinstance(model, Detector):  # weights of another library, by whose names and shapes it was created
        raise UsageError(f"weights: are of a {model.net.name}, no detector; say --model {model.net.name} as well")
    objective = listed.objective
    rows = objective.task.targets(objective.texts).reshape(len(objective.texts), -1, 6)[listed.train.labels]
    boxes = rows[counted(rows)][:, :4].astype(np.float64)
    overlap = own_overlap(rows)
    if origin is None and model.provenance.get("classifier") != "pretrained":
        model.reset_head(replace(own_head(model.net, boxes), max_overlap=overlap))
    sides = [np.sqrt(width * height) for width, height in stored_sizes(listed.train)]
    line, is_enough = describe(model.net, size, boxes, float(np.median(sides)) if sides else 0.0)
    if origin is not None and not is_enough:
        line += f"; they are those of {origin}, and stay: without --from there would be new ones"
    log.log(logging.INFO if is_enough else logging.WARNING, "%s", line)
    if origin is not None and overlap > model.net.ssd.max_overlap + MUCH_MORE:
        log.warning(
            "boxes of a class overlap by more here than in %s, which takes what overlaps by %.2f for one object, and "
            "goes on so; without --from it would be %.2f", origin, model.net.ssd.max_overlap, overlap,
        )  # fmt: skip
