"""What an expert would try first, found out in seconds: what is seen of a photograph, at which size, turned how.

Every question is put to linear heads on features of the frozen network in a cross-validation over some training
photographs: a head that was fitted to most of them is asked about the rest, seen in another way. The validation
photographs take no part.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold

from mobilenets.data.augment import Augment
from mobilenets.data.samples import Samples
from mobilenets.preprocess import Preprocess
from mobilenets.system.timing import Clock
from mobilenets.training.loaders import LoaderFactory
from mobilenets.training.probe.features import Extractors
from mobilenets.training.probe.head import Head, choose_strength, fit
from mobilenets.training.recipe import ProbeRecipe, Recipe
from mobilenets.training.settings import Settings

MAX_IMAGES, MIN_IMAGES = 800, 60  # photographs; with fewer than 60 any difference is chance
PER_MINUTE = 80  # of them for each minute given
FOLDS = 5
TOLERANCE = 0.1  # what costs a head less than this fraction of its log loss leaves the answer as it was
MIN_TOLERANCE = 0.02  # likewise, in log loss, where there is hardly any
PART_AREA = 0.5  # of the area, where a part of a photograph is looked at
PART_TOLERANCE = 2  # as `TOLERANCE`, times this: what is cut out of a photograph always costs something
WIDE, NARROW = (0.35, 1.0), (0.75, 1.0)  # crops in training, as fractions of the area
TIME_FRACTION = 0.1  # of the time given
LARGER = 9 / 7  # of the side: 288 pixels for 224
LARGER_FROM_S = 1200.0  # given: in less time the training that it slows down loses more than it gains
SMALLER = 6 / 7  # 192

_A_PART = Augment(crop_scale=(PART_AREA, PART_AREA), crop_ratio=(1.0, 1.0), hflip=0.0)

Features = NDArray[np.float32]

TURNS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {  # uint8 pixels (N, H, W, C)
    "": lambda pixels: pixels,
    "mirrored": lambda pixels: pixels[:, :, ::-1],
    "upside down": lambda pixels: pixels[:, ::-1],
    "a quarter turned": lambda pixels: np.rot90(pixels, axes=(1, 2)),
}


class ViewFeatures(Protocol):
    """Some photographs, seen in any way."""

    labels: NDArray[np.int64]

    def __call__(self, preprocess: Preprocess, turn: str) -> Features:
        """Features float32 (N, D) as `preprocess` shows them and turned: a name of TURNS, or "part" of them."""


class FrozenFeatures:
    """Some training photographs, as a frozen network with features of this `width` sees them: a `ViewFeatures`."""

    def __init__(self, samples: Samples, width: int, extractors: Extractors, loaders: LoaderFactory) -> None:
        self.samples, self.labels = samples, samples.labels
        self._width, self._extractors, self._loaders = width, extractors, loaders.whole()

    def __call__(self, preprocess: Preprocess, turn: str) -> Features:
        """As `ViewFeatures`."""
        (extract, _), batch = self._extractors(preprocess), ProbeRecipe().batch_size
        if turn == "part":
            loader = self._loaders.loader(self.samples, preprocess, batch, Recipe(augment=_A_PART)).in_order()
        else:
            loader = self._loaders.loader(self.samples, preprocess, batch)
        features = np.zeros((len(self.samples), self._width), np.float32)
        for shown in loader.epoch(0):
            features[shown.indices] = extract(np.ascontiguousarray(TURNS.get(turn, TURNS[""])(shown.pixels)))
        return features


@dataclass(frozen=True)
class Open:
    """Which questions the settings leave open."""

    crop: bool = True
    size: bool = True
    turns: bool = True
    parts: bool = True

    @classmethod
    def of(cls, settings: Settings, recipe: Recipe, preprocess: Preprocess) -> Open:
        """Those that neither a setting nor a changed value of the recipe answers."""
        usual, own = Recipe().augment, recipe.augment
        turns = (usual.hflip, usual.vflip, usual.rot90) == (own.hflip, own.vflip, own.rot90)
        return cls(
            crop=settings.crop is None and preprocess.fit == "crop" and preprocess.crop < 1,
            size=settings.size is None,
            turns=settings.any_orientation is None and turns,
            parts=(usual.crop_scale, usual.crop_ratio) == (own.crop_scale, own.crop_ratio),
        )


def max_images_for(seconds: float) -> int:
    """How many photographs are asked about."""
    return max(MIN_IMAGES, min(MAX_IMAGES, round(PER_MINUTE * seconds / 60)))


@dataclass
class Choices:
    """What the network is to see, and how a training photograph may be changed."""

    preprocess: Preprocess
    augment: Augment

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for other processes."""
        return {"crop": self.preprocess.crop, "size": self.preprocess.size, "augment": asdict(self.augment)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], preprocess: Preprocess) -> Choices:
        """The inverse of `to_dict`, for what began with the same `preprocess`."""
        augment: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values["augment"].items()}
        seen = replace(preprocess, crop=values["crop"], size=values["size"])
        return cls(seen, Augment(**augment))


def choose(
    see: ViewFeatures,
    preprocess: Preprocess,
    augment: Augment,
    open_: Open,
    seconds: float | None,
    seed: int,
    log: Callable[[str], object] = lambda line: None,
    clock: Clock = time.monotonic,
) -> Choices:
    """Put the open questions, as long as what the next one will take still fits into `seconds` (None: all of them).

    What is not asked stays as `preprocess` and `augment` say. `log` gets a line for each answer.
    """
    chosen = Choices(preprocess, augment)
    if open_ == Open(False, False, False, False):
        return chosen
    if len(see.labels) < MIN_IMAGES or np.bincount(see.labels).min() < FOLDS:
        log(f"choices: none; of {len(see.labels)} photos any difference is chance")
        return chosen
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the bound on steps is meant
        questions = _Questions(see, chosen, seconds, seed, log, clock)
        for is_open, question in (
            (open_.crop, questions.crop),
            (open_.turns, questions.turns),
            (open_.parts, questions.parts),
            (open_.size, questions.size),
        ):
            if is_open:
                question()
    return chosen


class _Questions:
    """What has been seen so far, and the questions that build on it; each changes `chosen`."""

    def __init__(
        self,
        see: ViewFeatures,
        chosen: Choices,
        seconds: float | None,
        seed: int,
        log: Callable[[str], object],
        clock: Clock,
    ) -> None:
        self._see, self._chosen, self._log = see, chosen, log
        self._begun, self._seconds, self._clock = clock(), seconds, clock
        splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(see.labels, see.labels)
        self._folds = [(np.asarray(train), np.asarray(rest)) for train, rest in splits]
        x = see(chosen.preprocess, "")
        self._look_s = clock() - self._begun  # of one look at all photographs; the first one makes the graph too
        self._strength = choose_strength(x, see.labels, ProbeRecipe(), seed, False)
        self._heads = self._fitted(x)
        self._losses = self._losses_of(self._heads, x)
        log(f"choices: by {len(see.labels)} training photos in {FOLDS} folds, log loss {self._loss_text(0)}")

    def crop(self) -> None:
        """The whole photograph, unless its centre is clearly better."""
        whole = replace(self._chosen.preprocess, crop=1.0)
        begun = self._clock()
        x = self._see(whole, "")
        self._look_s = self._clock() - begun
        heads = self._fitted(x)
        losses = self._losses_of(heads, x)
        more = losses - self._losses
        is_taken = more.mean() <= 2 * _error(more)
        what = "the whole photo" if is_taken else f"the centre ({self._chosen.preprocess.crop:g})"
        self._log(
            f"crop: {what} is seen ({self._loss_text(more.mean())} of the whole, {self._loss_text(0)} of the centre)"
        )
        if is_taken:
            self._chosen.preprocess, self._heads, self._losses = whole, heads, losses

    def turns(self) -> None:
        """Every turn that leaves the answer as it was."""
        names = [name for name in TURNS if name]
        if not self._has_time(len(names)):
            return
        same = {}
        for name in names:
            more = self._seen(name)
            same[name] = bool(more.mean() - _error(more) <= self._limit)
            self._log(
                f"turns: {name}, photos show {'the same' if same[name] else 'another thing'} "
                f"({self._loss_text(more.mean())}, {self._loss_text(0)} as they are)"
            )
        mirrored, upside_down, quarter = (same[name] for name in names)
        self._chosen.augment = replace(
            self._chosen.augment, hflip=0.5 * mirrored, vflip=0.5 * upside_down, rot90=upside_down and quarter
        )

    def parts(self) -> None:
        """Small crops in training, unless parts of a photograph do not show what it is."""
        if not self._has_time(1):
            return
        more = self._seen("part")
        scale = WIDE if more.mean() - _error(more) <= PART_TOLERANCE * self._limit else NARROW
        self._chosen.augment = replace(self._chosen.augment, crop_scale=scale)
        self._log(
            f"parts: {scale[0]:.0%} of a photo and more is shown in training "
            f"({self._loss_text(more.mean())} of {PART_AREA:.0%}, {self._loss_text(0)} of the whole)"
        )

    def size(self) -> None:
        """A smaller input where it costs nothing, a larger one where it is clearly better: it takes longer, always."""
        side, losses = self._chosen.preprocess.size, []
        taken = side
        is_long = self._seconds is None or self._seconds >= TIME_FRACTION * LARGER_FROM_S
        for factor in (SMALLER, LARGER) if is_long else (SMALLER,):
            size = round(side * factor / 32) * 32
            if size == side or taken != side or not self._has_time(1.5 * factor**2):
                continue
            x = self._see(replace(self._chosen.preprocess, size=size), "")
            more = self._losses_of(self._fitted(x), x) - self._losses
            losses.append(f"{self._loss_text(more.mean())} at {size}")
            if more.mean() <= 0 if size < side else more.mean() < -2 * _error(more):
                taken = size
        if losses:
            self._log(f"size: {taken} pixels ({self._loss_text(0)} at {side}, {', '.join(losses)})")
            self._chosen.preprocess = replace(self._chosen.preprocess, size=taken)

    @property
    def _limit(self) -> float:
        return max(TOLERANCE * float(self._losses.mean()), MIN_TOLERANCE)

    def _loss_text(self, more: float) -> str:
        return f"{self._losses.mean() + more:.3f}"

    def _has_time(self, looks: float) -> bool:
        return self._seconds is None or self._clock() - self._begun + looks * self._look_s <= self._seconds

    def _fitted(self, x: Features) -> list[Head]:
        """The head of each fold, fitted to all but it; their regularisation is chosen once."""
        return [fit(x[train], self._see.labels[train], self._strength, False) for train, _ in self._folds]

    def _losses_of(self, heads: list[Head], x: Features) -> NDArray[np.float64]:
        """Log loss (N,) of each photograph by the head that has not seen it."""
        losses, labels = np.zeros(len(self._see.labels)), self._see.labels
        for head, (_, rest) in zip(heads, self._folds, strict=True):
            right = head.probabilities(x[rest])[np.arange(len(rest)), labels[rest]]
            losses[rest] = -np.log(np.maximum(right, 1e-7))
        return losses

    def _seen(self, turn: str) -> NDArray[np.float64]:
        """By how much the log loss of each photograph (N,) grows where it is seen like this."""
        return self._losses_of(self._heads, self._see(self._chosen.preprocess, turn)) - self._losses


def _error(values: NDArray[np.float64]) -> float:
    """Standard error of their mean."""
    return float(values.std() / np.sqrt(len(values)))
