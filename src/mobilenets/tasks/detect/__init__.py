"""Objects in a photo: a box and a class for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.anchors import anchors
from mobilenets.arch.build import DETECTOR
from mobilenets.arch.net import Net
from mobilenets.arch.ssd import BOX, MAX_OVERLAP
from mobilenets.model_card import DETECT, INSIDE, ModelCard
from mobilenets.tasks.detect import answers, faults, metrics, targets
from mobilenets.tasks.detect.answers import Detection
from mobilenets.tasks.detect.boxes import detections, padded
from mobilenets.tasks.detect.own_anchors import SMALL
from mobilenets.tasks.ends import End, Suppression
from mobilenets.tasks.label_fault import LabelFault
from mobilenets.tasks.names import numbered
from mobilenets.tasks.task import Labels, Loss, Outputs, Task

if TYPE_CHECKING:
    from torch import Tensor

BOXES, SCORES, CLASSES = "boxes", "scores", "classes"  # what an exported file gives
MIN_SCORE = 0.01  # of a box that is kept: of lower ones there are as many as anchors
MAX_BOXES = 100  # that are kept of a photo
FEW_IMAGES = 500  # with fewer BatchNorm's statistics of batches say less than those of the weights
SOME_IMAGES = 1_000  # with fewer colours are changed too, and photos shown smaller
IMAGES_IN_ALL, PASSES = 48_000, (20, 300)  # where no time bounds them
EPOCH_IMAGES = 400  # of few photos so many are shown before one looks at the validation photos
NETWORK = "ssdlite_mobilenet_v2"


@dataclass(frozen=True)
class Detect(Task[Detection]):
    """Which objects a photograph shows, and where.

    Behind `head` there are boxes and scores of all anchors, float32 (N, A, 4) and (N, A, K); `finished`, they are
    outputs (N, 100, 6): x1 y1 x2 y2 score class, sorted by score, the class -1 where there is none.

    Parameters
    ----------
    known
        The classes of a model, in the order of its outputs; empty: those that occur.
    thresholds
        From which score on a box of each class is shown; empty: one half.
    max_overlap
        IoU of two boxes of a class above which the one with the higher score stays, 0 to 1.
    """

    known: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    max_overlap: float = MAX_OVERLAP

    name = DETECT
    label = "boxes"
    outputs = (BOXES, SCORES)
    fields = answers.FIELDS
    labels_are_classes = False
    has_boxes = True
    probe = "loop"
    quality = "mAP"
    train_quality = "anchor_accuracy"
    headline = ("mAP", "mAP_ci95", "mAP50", "mAP50_ci95", "mAP75", "false_alarms", "n", "boxes")
    is_audited = True
    label_kinds = faults.KINDS
    kinds_left_out = faults.LEFT_OUT

    @property
    def suppression(self) -> Suppression:
        """Of boxes that overlap by more than `max_overlap` the best, 100 in all."""
        return Suppression(MIN_SCORE, self.max_overlap, MAX_BOXES)

    def of(self, card: ModelCard) -> Detect:
        """With the classes and thresholds of the card, and what its network takes for one object."""
        return replace(self.of_network(card.net), known=card.classes, thresholds=card.thresholds)

    def of_network(self, net: Net) -> Detect:
        """With what the network takes for one object."""
        return replace(self, max_overlap=net.ssd.max_overlap)

    def settled(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> Detect:
        """With the thresholds that are best for these photographs."""
        chosen = metrics.choose_thresholds(outputs, self._truth(labels, texts), len(self.classes(texts)))
        return replace(self, thresholds=tuple(map(float, chosen)))

    def network(self, name: str | None) -> str | None:
        """A detector on the network of this name; SSDLite on V2, if none is named."""
        if name is None:
            return NETWORK
        return name if name.startswith(DETECTOR) else f"{DETECTOR}{name}"

    def recipe(self, images: int, labels: Sequence[str]) -> dict[str, Any]:
        """Slower steps of the backbone than of the head; crops, and from few photos all that can be made of them.

        Objects that are small already are not shown smaller: no anchor would be like them.
        """
        few = images < SOME_IMAGES
        repeats = math.ceil(EPOCH_IMAGES / max(images, 1))
        passes = float(np.clip(IMAGES_IN_ALL / max(images, 1), *PASSES))
        sides = [math.sqrt((b.x2 - b.x1) * (b.y2 - b.y1)) for text in labels for b in targets.boxes_of(text)]
        has_large = float(np.median(sides or [0.0])) >= SMALL
        return {
            "epochs": math.ceil(passes / repeats), "repeats": repeats,
            "batch_size": 8, "fixed_norm": images < FEW_IMAGES,
            "lr": 1e-3, "backbone_lr": 0.2, "label_smoothing": 0.0,
            "mixup": 0.0, "cutmix": 0.0, "augment.trivial": False, "augment.erase": 0.0,
            "augment.crop_scale": (0.6, 1.0), "augment.crop_ratio": (0.8, 1.25),
            "augment.zoom_out": 2.5 if few and has_large else 1.0, "augment.jitter": 0.3 if few else 0.0,
        }  # fmt: skip

    def check(self, data: Path, labels: Sequence[str], images: int) -> None:
        """One box at least; of a model, classes that it knows."""
        targets.check(data, labels, images, self.known)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Those of the model, or those that occur, sorted."""
        return self.known or _classes(tuple(labels))

    def members(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Which classes the boxes of each text are of."""
        return targets.members(labels, self.classes(labels))

    def targets(self, labels: Sequence[str]) -> NDArray[np.float32]:
        """The boxes, float32 (V, M * 6): x1 y1 x2 y2 class flag; see `targets.targets`."""
        return targets.targets(labels, self.classes(labels))

    def points(self, labels: Sequence[str]) -> list[NDArray[np.float32]]:
        """The centres of the boxes that count."""
        rows = self.targets(labels).reshape(len(labels), -1, targets.COLUMNS)
        there = targets.counted(rows)
        return [(own[:, :2] + own[:, 2:4])[kept] / 2 for own, kept in zip(rows, there, strict=True)]

    def framed(self, targets: Tensor, frames: Tensor) -> Tensor:
        """Boxes move, are cut at the edges, and go with their centres."""
        from mobilenets.tasks.detect.head import framed

        return framed(targets, frames)

    def shown(self, text: str) -> str:
        """The classes of the boxes: corners of two copies need not agree."""
        return faults.shown(text)

    def label_faults(self, labels: Sequence[str], counts: Labels, size: int) -> Iterator[LabelFault]:
        """Boxes drawn twice and tiny ones, classes with few, and photos without objects."""
        return faults.faults(labels, counts, size)

    def strata(self, labels: Sequence[str], counts: Labels) -> Labels:
        """By their rarest class."""
        return targets.strata(labels, counts)

    def numbered(self, labels: Sequence[str], classes: Sequence[str]) -> tuple[list[int], Sequence[str]]:
        """As they are, but for texts with a class that the model does not know."""
        return numbered(map(targets.names_of, labels), classes), labels

    def width(self, classes: Sequence[str]) -> int:
        """One for each class, and one for the background."""
        return len(classes) + 1

    def ends(self, card: ModelCard) -> tuple[End, ...]:
        """Boxes and scores of the anchors, or with NMS inside the best ones, and their classes."""
        if card.nms == INSIDE:
            count = MAX_BOXES
            return (End(BOXES, (count, BOX)), End(SCORES, (count,)), End(CLASSES, (count,), "int64"))
        count = len(anchors(card.net, card.preprocess.size))
        return (End(BOXES, (count, BOX)), End(SCORES, (count, card.net.num_classes - 1)))

    def finished(self, *ends: NDArray[Any]) -> Outputs:
        """The 100 best boxes that no better one of their class overlaps, float32 (N, 100, 6)."""
        boxes, scores, *classes = ends
        if classes:
            return np.concatenate([boxes, scores[..., None], classes[0][..., None]], -1, dtype=np.float32)
        limits = {**self.suppression._asdict(), "max_candidates": None}
        found = (detections(*photo, **limits) for photo in zip(boxes, scores, strict=True))
        return np.stack([padded(rows, MAX_BOXES) for rows in found])

    def answer(self, path: str | None, row: Outputs, classes: Sequence[str]) -> Detection:
        """The objects whose scores reach the thresholds."""
        return answers.detection(path, row, classes, self._thresholds(len(classes)).tolist())

    def with_size(self, answer: Detection, size: tuple[int, int]) -> Detection:
        """With its boxes in pixels."""
        return replace(answer, size=size)

    def columns(self, top: int) -> list[str]:
        """objects, as JSON; label and score of the best."""
        return answers.columns(top)

    def recorded(self, classes: Sequence[str]) -> list[str]:
        """The boxes found, with their scores."""
        return ["found"]

    def record(self, row: Outputs, classes: Sequence[str]) -> list[str]:
        """By the columns of `recorded`."""
        return [answers.recorded(row, classes)]

    def score(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> dict[str, Any]:
        """COCO's figures, those of each class, and what is shown at the thresholds."""
        classes = self.classes(texts)
        return metrics.score(outputs, self._truth(labels, texts), classes, self._thresholds(len(classes)))

    def validate(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> tuple[float, float]:
        """The loss of the scores, and mean average precision."""
        return metrics.validate(outputs, self._truth(labels, texts), len(self.classes(texts)))

    def compare(self, expected: Outputs, found: Outputs) -> tuple[float, float]:
        """The fraction of boxes that are found again, and the largest difference of their scores."""
        return metrics.compare(expected, found)

    def head(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """Corner boxes and scores of all anchors."""
        from mobilenets.tasks.detect.head import decoded

        return decoded(*outputs)

    def loss(self, labels: Labels, targets: Tensor, balanced: bool, smoothing: float) -> Loss:
        """SSD's."""
        from mobilenets.tasks.detect.loss import SsdLoss

        return SsdLoss(labels, targets, balanced, smoothing)

    def _truth(self, labels: Labels, texts: Sequence[str]) -> NDArray[np.float32]:
        """The true boxes (N, M, 6) of photos with these labels."""
        rows = _box_rows(tuple(texts), self.classes(texts))
        return targets.filled([rows[k] for k in labels.tolist()])

    def _thresholds(self, count: int) -> NDArray[np.float64]:
        return np.array(self.thresholds) if self.thresholds else np.full(count, metrics.DEFAULT_THRESHOLD)


# Every validation asks for those of the same texts, which of a large data set take seconds to read.
@lru_cache(maxsize=2)
def _classes(texts: tuple[str, ...]) -> tuple[str, ...]:
    return targets.classes_of(texts)


@lru_cache(maxsize=2)
def _box_rows(texts: tuple[str, ...], classes: tuple[str, ...]) -> list[NDArray[np.float32]]:
    return targets.box_rows(texts, classes)
