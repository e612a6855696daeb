"""The recipes, one value each, with every default in sight.

Sources: decoupled weight decay and its absence on BatchNorm and biases (1711.05101; torchvision's V2
recipe), cosine schedule with warm-up (1608.03983, 1706.02677), label smoothing 0.1 (1512.00567),
averaged weights (V2 and V3 papers, §6.1), RMSprop with eps = sqrt(0.001) for scratch training
(TensorFlow puts eps inside the root, where V3's published recipe has 0.001).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from mobilenets.data.augment import Augment
from mobilenets.errors import UsageError

_AUGMENT = "augment."
OPTIMIZERS = ("adamw", "sgd", "rmsprop")
BALANCES = ("none", "sampler", "loss")
WARMUP_FRACTION, EMA_FRACTION = 0.1, 0.1  # of all steps, at most


def _require(name: str, ok: bool, value: object, accepted: str) -> None:
    if not ok:
        raise UsageError(f"{name}: {value!r} is not accepted; use {accepted}")


@dataclass(frozen=True)
class ProbeRecipe:
    """A regularised logistic head on the features of the frozen network.

    `strengths` are candidates for scikit-learn's C (inverse regularisation, on standardised features);
    by `choose_strength` one is chosen by log loss on `holdout` of the training part. `flip` adds the features
    of the mirrored photographs. `max_images`: training photographs used; a linear head learns nothing from more.
    """

    strengths: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    holdout: float = 0.2
    flip: bool = False
    batch_size: int = 16
    max_images: int = 20_000


@dataclass(frozen=True)
class Recipe:
    """How the training loop moves the weights.

    `steps`: optimiser steps in all, with which the last of the `epochs` ends early; 0 for whole epochs. `repeats`: how
    often an epoch shows each photograph, augmented anew: of few photographs it would be hardly longer than the look at
    the validation photographs behind it.
    `freeze`: "none", "backbone" (only the classifier learns) or a number of blocks, counted from the
    stem, whose weights *and* BatchNorm statistics stay as they are. `views`: with a number of blocks frozen,
    how many augmented views of each photograph are run through them once and kept; 0 augments anew in every
    epoch. `balance`: "sampler" draws every class equally often, "loss" weighs classes by inverse frequency.
    `ema`: decay of the averaged weights, which are the ones validated and kept; 0 turns averaging off.
    `patience`: epochs without improvement before stopping, 0 for never. `norm_momentum`: the fraction of each
    batch in BatchNorm's running statistics; the published networks have as little as 0.001, which hundreds
    of thousands of steps need and a few hundred would never get anywhere with. `sync_norm`: where
    several processes divide a batch, BatchNorm normalises with the statistics of all of it instead of each part's own.
    `fixed_norm`: BatchNorm of the backbone keeps the statistics it came with. `backbone_lr`: the learning rate of the
    backbone as a multiple of `lr`. `head_steps`: of a detector, so many steps in which its head is trained alone at
    first; 0: a tenth of all.
    """

    epochs: int = 20
    steps: int = 0
    repeats: int = 1
    batch_size: int = 32
    optimizer: str = "adamw"
    lr: float = 5e-4
    weight_decay: float = 0.05
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    ema: float = 0.99
    norm_momentum: float = 0.1
    sync_norm: bool = False
    fixed_norm: bool = False
    backbone_lr: float = 1.0
    head_steps: int = 0
    clip: float = 1.0
    mixup: float = 0.0
    cutmix: float = 0.0
    balance: str = "none"
    freeze: str | int = "none"
    views: int = 0
    patience: int = 0
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        _require("optimizer", self.optimizer in OPTIMIZERS, self.optimizer, ", ".join(OPTIMIZERS))
        _require("balance", self.balance in BALANCES, self.balance, ", ".join(BALANCES))
        _require("epochs", self.epochs >= 1, self.epochs, "1 or more")
        _require("steps", self.steps >= 0, self.steps, "0 (whole epochs) or more")
        _require("repeats", self.repeats >= 1, self.repeats, "1 or more")
        # BatchNorm needs at least two values per channel to have a variance.
        _require("batch_size", self.batch_size >= 2, self.batch_size, "2 or more")
        _require("lr", self.lr > 0, self.lr, "a positive number")
        _require("weight_decay", self.weight_decay >= 0, self.weight_decay, "0 or more")
        _require("warmup_epochs", self.warmup_epochs >= 0, self.warmup_epochs, "0 or more")
        _require("label_smoothing", 0 <= self.label_smoothing < 1, self.label_smoothing, "0 up to 1")
        _require("ema", 0 <= self.ema < 1, self.ema, "0 up to 1")
        _require("norm_momentum", 0 < self.norm_momentum <= 1, self.norm_momentum, "above 0, up to 1")
        _require("backbone_lr", 0 < self.backbone_lr <= 10, self.backbone_lr, "above 0, up to 10")
        _require("head_steps", self.head_steps >= 0, self.head_steps, "0 (a tenth of all) or more")
        _require("clip", self.clip >= 0, self.clip, "0 (off) or more")
        _require("mixup", self.mixup >= 0, self.mixup, "0 (off) or more")
        _require("cutmix", self.cutmix >= 0, self.cutmix, "0 (off) or more")
        _require("patience", self.patience >= 0, self.patience, "0 (never) or more")
        valid_freeze = self.freeze in ("none", "backbone") or (isinstance(self.freeze, int) and self.freeze >= 0)
        _require("freeze", valid_freeze, self.freeze, "none, backbone or a number of blocks")
        _require("views", self.views >= 0, self.views, "0 (off) or more")
        some_frozen = isinstance(self.freeze, int) and self.freeze > 0
        _require("views", self.views == 0 or some_frozen, self.views, "0, or freeze a number of blocks")

    def steps_in_all(self, per_epoch: int) -> int:
        """Optimiser steps of the whole training, of which an epoch has `per_epoch`."""
        return min(self.steps or self.epochs * per_epoch, self.epochs * per_epoch)

    def planned(self, steps: int, per_epoch: int) -> Recipe:
        """This recipe for so many optimiser steps, with which warm-up and averaging become shorter too."""
        return replace(
            self,
            epochs=-(-steps // per_epoch),
            steps=steps,
            warmup_epochs=min(self.warmup_epochs, WARMUP_FRACTION * steps / per_epoch),
            ema=min(self.ema, max(0.0, 1 - 1 / max(1.0, EMA_FRACTION * steps))),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for config.yaml."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in _flat(dataclasses.asdict(self)).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The inverse of `to_dict`."""
        return cls().override(values)

    def override(self, values: dict[str, Any]) -> Recipe:
        """This recipe with some values changed; `augment.NAME` reaches into the augmentation.

        Raises
        ------
        UserError
            A name that no recipe has, or a value of the wrong kind.
        """
        augment = {k.removeprefix(_AUGMENT): v for k, v in values.items() if k.startswith(_AUGMENT)}
        own = {k: v for k, v in values.items() if not k.startswith(_AUGMENT)}
        changed = replace(self.augment, **_coerced(self.augment, augment, _AUGMENT))
        return replace(self, **_coerced(self, own), augment=changed)


FINETUNE = Recipe()
SCRATCH = Recipe(
    epochs=100,
    optimizer="rmsprop",
    lr=0.004,  # 0.064 at the published batch of 1024, scaled to 64 by the linear rule
    batch_size=64,
    weight_decay=1e-5,
    warmup_epochs=5.0,
    ema=0.999,
    mixup=0.2,
    augment=Augment(crop_scale=(0.08, 1.0), trivial=True, erase=0.1),
)


def settable() -> list[str]:
    """Every name that `Recipe.override` takes."""
    return list(_flat(dataclasses.asdict(Recipe())))


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    augment = values.pop("augment")
    return {**values, **{f"augment.{k}": v for k, v in augment.items()}}


def _coerced(holder: Recipe | Augment, values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    known = {f.name for f in fields(holder)} - {"augment"}
    for key in values.keys() - known:
        raise UsageError(f"{prefix}{key}: no such setting of a recipe; there are {', '.join(settable())}")
    return {k: _coerce(prefix + k, v, getattr(holder, k)) for k, v in values.items()}


def _coerce(name: str, value: Any, like: Any) -> Any:
    """`value` (a string of the command line, or a YAML value) as the type of the present value."""
    try:
        if name == "freeze":
            return int(value) if str(value).isdigit() else str(value)
        if isinstance(like, tuple):
            parts = value.split(",") if isinstance(value, str) else value
            if len(parts) != len(like):
                raise ValueError
            return tuple(_finite(p) for p in parts)
        if isinstance(like, bool):
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(like, (int, float)):
            number = _finite(value)
            if isinstance(like, int) and not number.is_integer():
                raise ValueError
            return type(like)(value)
        return str(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise UsageError(f"{name}: {value!r} is not a value for it; now it is {like!r}") from None


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number
