"""A training run from a folder of photos to a run folder."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mobilenets.artifact import ModelCard, write_safetensors
from mobilenets.data.cache import Cache, open_cache
from mobilenets.data.loader import PREFETCH, Loader, Skipped
from mobilenets.data.readable import readable
from mobilenets.data.sample import Samples, Splits
from mobilenets.data.source import read_splits
from mobilenets.errors import UserError
from mobilenets.evaluate.metrics import log_loss
from mobilenets.nn.model import MobileNet
from mobilenets.training.checkpoint import load
from mobilenets.training.device import pick_device
from mobilenets.training.features import extractor, features
from mobilenets.training.finish import finish
from mobilenets.training.freeze import check_freeze
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.loop import Place, Trainer
from mobilenets.training.memory import keep_freed_memory
from mobilenets.training.plan import make_plan
from mobilenets.training.probe import Head, fit_head
from mobilenets.training.recipe import ProbeRecipe, Recipe
from mobilenets.training.settings import Settings, read_config, write_config
from mobilenets.training.warmstart import warm_start
from mobilenets.weights.create import create


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) training: its folder, card and validation metrics."""

    path: Path
    card: ModelCard
    interrupted: bool = False

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return self.card.metrics


def train(
    data: str | Path, out: str | Path | None = None, changes: dict[str, Any] | None = None, **settings: Any
) -> Run:
    """Train a classifier on `data` and write the run folder `out` (default: `runs/NAME-OF-DATA`).

    `settings` are the fields of `Settings` (model, weights, recipe, minutes, epochs, size, val, seed, …);
    `changes` replaces values of the recipe by name, e.g. `{"lr": 3e-4, "augment.hflip": 0}`.

    Raises:
        UserError: unusable data, unknown names, an existing `out`.
    """
    asked = Settings(data=str(data), **settings)
    return start(asked, asked.make_recipe(changes or {}), out)


def start(settings: Settings, recipe: Recipe, out: str | Path | None = None) -> Run:
    """`train`, for settings and recipe that stand."""
    return _Session(settings, recipe, new_folder(out, Path(settings.data))).run()


def train_again(config: Path, out: Path | None = None) -> Run:
    """Repeat the run whose `config.yaml` this is, in a new folder."""
    return start(*read_config(config), out)


def resume(folder: Path) -> Run:
    """Go on with an interrupted run, to the same final weights as if it had never stopped.

    Raises:
        UserError: not a run folder, or one whose training is complete.
    """
    settings, recipe = read_config(folder / "config.yaml")
    last = folder / "checkpoint" / "last.pt"
    if (folder / "metrics.json").exists() and (not last.exists() or load(last)[0].epoch >= recipe.epochs):
        raise UserError(f"{folder}: this run is complete; train into a new folder with another --out")
    return _Session(settings, recipe, folder).run()


def new_folder(out: str | Path | None, data: Path) -> Path:
    """Where a new run goes; an existing folder is never reused.

    Raises:
        UserError: `out` exists.
    """
    if out is not None:
        if Path(out).exists():
            raise UserError(f"{out}: exists already; choose another --out, or go on with it by --resume")
        return Path(out)
    base = Path("runs") / (data.resolve().stem or "run")
    candidates = (base if i == 1 else base.with_name(f"{base.name}-{i}") for i in range(1, 10_000))
    return next(c for c in candidates if not c.exists())


class _Session:
    """The steps of one run, in order: read, probe, fine-tune, finish."""

    def __init__(self, settings: Settings, recipe: Recipe, folder: Path) -> None:
        self.settings, self.recipe, self.folder = settings, recipe, folder
        self.started = time.monotonic()
        keep_freed_memory()
        self.device = pick_device(settings.device)
        splits = read_splits(Path(settings.data), val=settings.val, seed=settings.seed)
        torch.manual_seed(settings.seed)  # of what starts random
        self.model = self._create(len(splits.classes))
        check_freeze(self.model.net, recipe.freeze)
        preprocess = self.model.preprocess
        self.preprocess = replace(
            preprocess, size=settings.size or preprocess.size, crop=settings.crop or preprocess.crop
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_config(folder / "config.yaml", settings, recipe)
        self.skipped = Skipped()
        self.splits = self._readable(splits)
        self.cache: Cache | None = None
        self.cache = open_cache(settings.cache, self._expected_pixels() if settings.cache == "auto" else 0)
        self.best: dict[str, float] = {}

    def _create(self, classes: int) -> MobileNet:
        asked = self.settings
        return create(
            asked.model,
            weights=asked.pretrained,
            num_classes=classes,
            width=asked.width,
            dropout=asked.dropout,
        )

    def _readable(self, splits: Splits) -> Splits:
        """The splits without files that cannot be read; each of those is reported once."""

        def kept(samples: Samples, part: str) -> Samples:
            usable, failures = readable(samples)
            for failure in failures:
                self.skipped.tell(failure)
            for k in sorted(set(range(len(splits.classes))) - set(usable.labels.tolist())):
                raise UserError(f"{splits.classes[k]}: no readable image is left for {part}; replace the files named")
            return usable

        return replace(splits, train=kept(splits.train, "train"), val=kept(splits.val, "val"))

    def _expected_pixels(self) -> int:
        """Bytes of all the pixels that this run would keep."""
        train, val = self.splits.train, self.splits.val
        looked_at = [self.loader(val, 1)]
        if self.settings.pretrained is not None:
            looked_at.append(self.loader(train.spread(ProbeRecipe().most), 1))
        if self.settings.recipe != "probe":
            looked_at.append(self.loader(train, 1, self.recipe))
        return sum(loader.expected_bytes() for loader in looked_at)

    def loader(
        self,
        samples: Samples,
        batch_size: int,
        recipe: Recipe | None = None,
        shuffle: bool = False,
    ) -> Loader:
        """Batches of `samples`; with a recipe, as it wants them for training."""
        training = shuffle or recipe is not None
        return Loader(
            samples,
            self.preprocess,
            batch_size,
            augment=recipe.augment if recipe else None,
            seed=self.settings.seed,
            workers=self.settings.workers,
            prefetch=0 if self.device.type == "cpu" else PREFETCH,
            shuffle=training,
            drop_last=training and len(samples) > batch_size,
            balanced=recipe is not None and recipe.balance == "sampler",
            cache=self.cache,
            skipped=self.skipped,
        )

    def run(self) -> Run:
        """Train and write every file of the run folder."""
        last = self.folder / "checkpoint" / "last.pt"
        resumed = last.exists()
        interrupted = False
        with Interrupt() as interrupt:
            if self.settings.pretrained is not None and not resumed:
                self.probe()
            if self.settings.recipe != "probe" and not interrupt.requested:
                interrupted = not self.finetune(interrupt, last if resumed else None)
            interrupted = interrupted or interrupt.requested
        if not (self.folder / "model.safetensors").exists():  # stopped before there was anything to keep
            raise KeyboardInterrupt
        card = finish(self.folder, self.loader(self.splits.val, 16))
        return Run(self.folder, card, interrupted)

    def probe(self) -> None:
        """Fit the head on frozen features, put it into the network and keep the result if it is the best."""
        recipe = ProbeRecipe()
        some = self.splits.train.spread(recipe.most)
        train, val = (self.loader(part, recipe.batch_size) for part in (some, self.splits.val))
        extract = extractor(self.model, self.preprocess, self.device)
        x, y = features(extract, train, "features", recipe.flip)
        val_x, val_y = features(extract, val, "features (validation)")
        head = fit_head(x, y, recipe, self.settings.seed, balanced=self.recipe.balance != "none")
        head.put_into(self.classifier)
        figures = self._figures(head, val_x, val_y)
        print(f"probe: validation accuracy {figures['val_accuracy']:.3f} (C {head.strength:g})", file=sys.stderr)
        self.keep(self.model, figures)

    @property
    def classifier(self) -> nn.Linear:
        """The network's last layer."""
        assert isinstance(self.model.classifier, nn.Linear)
        return self.model.classifier

    def _figures(self, head: Head, x: Any, y: Any) -> dict[str, float]:
        probabilities = head.probabilities(x)
        return {
            "val_accuracy": float((probabilities.argmax(1) == y).mean()),
            "val_loss": log_loss(probabilities, y),
        }

    def keep(self, model: nn.Module, figures: dict[str, float]) -> None:
        """Write the weights as the run's model, as they validate better than all before."""
        self.best = figures
        card = ModelCard(
            name=self.settings.model,
            net=self.model.net,
            classes=self.splits.classes,
            preprocess=self.preprocess,
            metrics=figures,
            provenance=self.model.provenance,
        )
        tensors = {k: v.detach().cpu().contiguous().numpy() for k, v in model.state_dict().items()}
        write_safetensors(self.folder / "model.safetensors", tensors, card)

    def finetune(self, interrupt: Interrupt, checkpoint: Path | None) -> bool:
        """Fine-tune (or train from scratch) what is planned; False when interrupted."""
        train = self.loader(self.splits.train, self.recipe.batch_size, self.recipe)
        trainer = Trainer(
            self.model,
            self.recipe,
            Place(self.device, self.settings.precision, self.settings.seed),
            self.preprocess,
            train,
            self.loader(self.splits.val, self.recipe.batch_size),
        )
        if checkpoint is not None:
            trainer.resume(checkpoint)
            return trainer.fit(self.keep, self.folder, interrupt)
        left = None
        if self.settings.seconds is not None:
            left = self.settings.seconds - (time.monotonic() - self.started)
        planned = make_plan(trainer, self.settings.precision, left)
        if planned.epochs == 0 and self.best:
            print("fine-tuning: no time is left for an epoch; the probe is kept", file=sys.stderr)
            return True
        self.recipe = replace(self.recipe, epochs=max(1, planned.epochs))
        self.settings = replace(self.settings, precision=planned.precision, minutes=None, epochs=self.recipe.epochs)
        write_config(self.folder / "config.yaml", self.settings, self.recipe)
        trainer.recipe, trainer.place = self.recipe, replace(trainer.place, precision=planned.precision)
        trainer.state.best = self.best
        if self.settings.pretrained is not None and self.recipe.freeze != "backbone":
            warm_start(trainer, self.loader(self.splits.train, self.recipe.batch_size, shuffle=True))
        return trainer.fit(self.keep, self.folder, interrupt)
