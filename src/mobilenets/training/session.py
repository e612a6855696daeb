"""The steps of one training run, in order: read, probe, fine-tune, finish."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mobilenets.auditing.audit import audit_splits
from mobilenets.data.cache.images import open_cache
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.manifest import FILE
from mobilenets.data.overview import overview
from mobilenets.data.readable import readable_splits
from mobilenets.data.sample import Samples, Splits
from mobilenets.data.value_range import decide_range, range_text, range_to_ask
from mobilenets.errors import DataError, UsageError
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.system import torchrun_env
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.metrics import log_loss
from mobilenets.training.choices import TIME_FRACTION, Choices, FrozenFeatures, Open, choose, max_images_for
from mobilenets.training.context import ComputeContext, pick_device, torch_threads
from mobilenets.training.depth import MAX_EPOCHS, Steps, choose_depth
from mobilenets.training.distributed.group import Group
from mobilenets.training.freeze import check_freeze
from mobilenets.training.input import fitted
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.loaders import LoaderFactory
from mobilenets.training.loop import Trainer, better
from mobilenets.training.origin import Origin, fit_rows
from mobilenets.training.plan import Speed, measure_speed, steps_within
from mobilenets.training.probe.activation_cache import ActivationCache
from mobilenets.training.probe.features import Extractor, extractor, extractors, features
from mobilenets.training.probe.head import Head, fit_head
from mobilenets.training.probe.warm_start import warm_start
from mobilenets.training.recipe import FINETUNE, ProbeRecipe, Recipe
from mobilenets.training.run_data import complete_list, draw_splits, open_splits, write_list
from mobilenets.training.run_folder import finish, finishing_s
from mobilenets.training.settings import Settings, read_asked, write_config
from mobilenets.weights.create import create, name_or_default
from mobilenets.weights.kept import KEPT, PROBE, START, START_FILE

LAST = Path("checkpoint", "last.pt")  # within a run folder
JOB = Path("checkpoint", "job")  # the launcher's job that made it, where that may start it again


def check_divisible(batch_size: int, images: int, processes: int) -> None:
    """Refuse batches that do not fall into equal parts: each would count for less or more than its images.

    Raises:
        UserError: as said.
    """
    if processes == 1:
        return
    if batch_size % (2 * processes):  # pairs: BatchNorm needs two images, and mixing keeps neighbours together
        fits = max(1, round(batch_size / (2 * processes))) * 2 * processes
        raise UsageError(
            f"batch_size: {batch_size} does not divide into pairs for {processes} processes; use {fits}, for example"
        )
    if images < batch_size:
        raise UsageError(
            f"batch_size: {batch_size} is more than the {images} training images, and {processes} processes "
            f"need whole batches; use {max(1, images // (2 * processes)) * 2 * processes} or one process"
        )


def _has_begun(folder: Path) -> bool:
    """Whether a run in this folder was trained, so that its split stands."""
    return any((folder / name).exists() for name in (FILE, LAST, "model.safetensors"))


class Session:
    """One run: its settings and recipe, its photographs, its network, and the folder it is written to."""

    def __init__(
        self, settings: Settings, recipe: Recipe, folder: Path, group: Group, started: float | None = None
    ) -> None:
        self.settings, self.recipe, self.folder, self.group = settings, recipe, folder, group
        self.asked = settings
        self.started = time.monotonic() if started is None else started
        self.device = pick_device(settings.device)
        begun = _has_begun(folder)
        self.origin = Origin.open(Path(settings.from_run)) if settings.from_run is not None else None
        self.listed = open_splits(folder, settings, resuming=True) if begun else self._draw()
        torch.manual_seed(settings.seed)  # of what starts random
        with group.one_per_machine_first():
            self.model = self._create(len(self.listed.classes))
        self.new_classes = self.origin.prepare(self.model, self.listed.classes) if self.origin else []
        self.settings = settings = replace(settings, model=self.model.net.name, width=self.model.net.width)
        check_freeze(self.model.net, recipe.freeze)
        preprocess = fitted(settings, self.model.preprocess, self.listed.train, quiet=not group.is_main)
        self.range = decide_range(self.listed.train, range_to_ask(settings.range, preprocess.range))
        settings = self.settings = replace(
            settings,
            range=range_text(self.range.range, settings.range),
            fit=preprocess.fit if settings.fit == "auto" else settings.fit,
        )
        if self.range.note and group.is_main:
            print(self.range.note, file=sys.stderr)
        self.preprocess = replace(preprocess, range=self.range.range)
        if group.is_main:
            self._begin_folder()
        self.loaders = LoaderFactory(
            self.device, settings.seed, settings.workers, Skipped(), rank=group.rank, world_size=group.size
        )
        self.splits = readable_splits(self.listed, self.loaders.skipped, settings.rare)
        self._check_parts()
        if group.is_main and not begun:
            print(*overview(self.splits), sep="\n", file=sys.stderr)
            write_list(folder, self.listed, settings, self.origin.earlier if self.origin else None)
        group.wait()
        cache = open_cache(settings.cache, self._expected_pixels() if settings.cache == "auto" else 0)
        self.loaders = replace(self.loaders, cache=cache)
        self.best: dict[str, Any] = {}
        self.look_image_s = 0.0  # of reading a photograph and running it through the network

    def _begin_folder(self) -> None:
        """Make the run folder with its settings, before the work: that it cannot be written is told at once."""
        (self.folder / JOB).parent.mkdir(parents=True, exist_ok=True)
        write_config(self.folder / "config.yaml", self.settings, self.recipe, asked=self._settled())
        if torchrun_env.may_restart():
            write_atomic(self.folder / JOB, torchrun_env.job())

    def _settled(self) -> dict[str, Any]:
        """What was asked for where something else was decided on since, by setting; a resumed run's config knows it."""
        config = self.folder / "config.yaml"
        since = {name: value for name, value in asdict(self.asked).items() if value != getattr(self.settings, name)}
        return {**since, **(read_asked(config) if config.exists() else {})}

    def _draw(self) -> Splits:
        """The data in new splits; those that the run it begins with knows keep theirs."""
        splits = draw_splits(self.settings)
        if self.origin is None:
            return splits
        self.origin.check_classes(self.settings.data, splits.classes)
        return self.origin.keep_splits(splits, self.settings)

    def _create(self, classes: int) -> MobileNet:
        asked, weights = self.settings, self.settings.pretrained
        name = name_or_default(asked.model, weights)
        model = create(name, weights=weights, num_classes=classes, width=asked.width, dropout=asked.dropout)
        if name is None and self.group.is_main:
            print(f"{weights}: a {model.net.name} of width {model.net.width:g}", file=sys.stderr)
        return model

    def _check_parts(self) -> None:
        """That several processes see the same photographs and that batches divide among them."""
        counts = [len(self.splits.train), len(self.splits.val)]
        if self.group.any(self.group.agreed(counts) != counts):
            raise DataError(
                f"{self.settings.data}: the processes find different photographs; give all of them the same"
            )
        if self.settings.recipe != "probe":
            check_divisible(self.recipe.batch_size, counts[0], self.group.size)

    def _expected_pixels(self) -> int:
        """Bytes of all the pixels that the processes of this machine would keep in memory."""
        train, val = self.splits.train, self.splits.val
        looked_at = [self.loader(val, 1)]
        if self.settings.pretrained is not None:
            looked_at.append(self.loader(train.spread(ProbeRecipe().max_images), 1))
        if self.settings.recipe != "probe":
            looked_at.append(self.loader(train, 1, self.recipe))
        return sum(loader.expected_bytes() for loader in looked_at) * torchrun_env.local_world()

    def loader(
        self,
        samples: Samples,
        batch_size: int,
        recipe: Recipe | None = None,
        shuffle: bool = False,
        whole: bool = False,
    ) -> Loader:
        """Batches of `samples`; with a recipe, as it wants them for training; `whole`: not this process's part."""
        loaders = replace(self.loaders, rank=0, world_size=1) if whole else self.loaders
        return loaders.loader(samples, self.preprocess, batch_size, recipe, shuffle)

    def run(self) -> bool:
        """Train and write every file of the run folder; False when interrupted."""
        last, group = self.folder / LAST, self.group
        resumed = group.agreed(last.exists())
        interrupted = False
        with Interrupt() as interrupt:
            if self.origin is not None and not resumed:
                self.go_on(self.origin)
            if self.settings.pretrained is not None and not resumed and self.is_probed:
                if self.is_planned:
                    self.choose()
                self.probe()
            if self.settings.recipe != "probe" and not group.any(interrupt.requested):
                interrupted = not self.finetune(interrupt, last if resumed else None)
            interrupted = interrupted or group.any(interrupt.requested)
        model = self.folder / "model.safetensors"
        if not group.agreed(model.exists()):  # stopped before there was anything to keep
            raise KeyboardInterrupt
        if group.is_main:
            # Before metrics.json, which completes a run: after a Ctrl-C here --resume goes on. Whoever stopped the
            # training does not wait for it.
            data, val, seed = Path(self.settings.data), self.settings.val, self.settings.seed
            if not interrupted:
                complete_list(self.folder, self.listed, self.settings)
            audit = None
            if not interrupted:
                audit = audit_splits(
                    data, self.listed, val=val, seed=seed, decision=self.range, preprocess=self.preprocess
                )
            test = None if interrupted else self.loader(self.splits.test, 16, whole=True)
            finish(self.folder, self.loader(self.splits.val, 16, whole=True), test, audit)
        group.wait()
        return not interrupted

    @property
    def is_probed(self) -> bool:
        """Whether a head of its own comes first: a run that was trained before has one."""
        return self.origin is None or self.settings.recipe == "probe"

    def go_on(self, origin: Origin) -> None:
        """Keep the network as the run it is from left it, with rows for new classes that were fitted to theirs."""
        recipe = ProbeRecipe()
        extract = extractor(self.model, self.preprocess, self.device)
        val_x, val_y = self._look(extract, self.loader(self.splits.val, recipe.batch_size), "features")
        weight, bias = (p.detach().cpu().numpy() for p in (self.classifier.weight, self.classifier.bias))
        head = Head(weight, bias, 0.0)
        if self.new_classes:
            some = self.loader(self.splits.train.spread(recipe.max_images), recipe.batch_size)
            head = fit_rows(head, *features(extract, some, "features", group=self.group), self.new_classes)
            head.put_into(self.classifier)
            self.group.same(self.model)
        figures = self.group.agreed(self._figures(head, val_x, val_y))
        if self.group.is_main:
            start = {**figures, "run": origin.run.resolve().name, "fine_tuned": origin.is_fine_tuned}
            write_atomic(self.folder / START_FILE, json.dumps(start, indent=2, ensure_ascii=False) + "\n")
        print(f"{origin.run}: validation accuracy {figures['val_accuracy']:.3f} as it came", file=sys.stderr)
        self.keep(self.model, {**figures, KEPT: START})

    @property
    def is_planned(self) -> bool:
        """Whether the run finds out by itself what it shows to the network and how much of it is trained."""
        return self.settings.recipe == "auto" and self.settings.seconds is not None

    def choose(self) -> None:
        """Find out what the network is to see, as far as the settings leave it open."""
        settings, recipe = self.settings, self.recipe
        assert settings.seconds is not None
        open_, seconds = Open.of(settings, recipe, self.preprocess), settings.seconds
        frozen_features = FrozenFeatures(self.splits.train.spread(max_images_for(seconds)), self.model, self.loaders)
        log = partial(print, file=sys.stderr) if self.group.is_main else (lambda line: None)
        chosen = choose(
            frozen_features, self.preprocess, recipe.augment, open_, TIME_FRACTION * seconds, settings.seed, log
        )
        chosen = Choices.from_dict(self.group.agreed(chosen.to_dict()), self.preprocess)
        self.preprocess = chosen.preprocess
        self.recipe = replace(recipe, augment=chosen.augment)
        self.settings = replace(settings, crop=self.preprocess.crop, size=self.preprocess.size)
        if self.group.is_main:
            write_config(self.folder / "config.yaml", self.settings, self.recipe, asked=self._settled())

    def probe(self) -> None:
        """Fit the head on frozen features, put it into the network and keep the result if it is the best."""
        recipe = ProbeRecipe()
        some = self.splits.train.spread(recipe.max_images)
        train, val = (self.loader(part, recipe.batch_size) for part in (some, self.splits.val))
        # Exact, as the file that will be compared with what is trained: a few answers may differ in a faster engine.
        extract, exact = extractors(self.model, self.preprocess, self.device)
        x, y = self._look(extract, train, "features", recipe.flip)
        val_x, val_y = features(exact, val, "features (validation)", group=self.group)
        head = fit_head(x, y, recipe, self.settings.seed, balanced=self.recipe.balance != "none")
        head.put_into(self.classifier)
        figures = self.group.agreed(self._figures(head, val_x, val_y))
        if self.group.is_main:  # what the report compares the model with
            write_atomic(self.folder / "probe.json", json.dumps({**figures, "C": head.strength}, indent=2) + "\n")
        print(f"probe: validation accuracy {figures['val_accuracy']:.3f} (C {head.strength:g})", file=sys.stderr)
        if better(figures, self.best):
            self.keep(self.model, {**figures, KEPT: PROBE})

    def _look(self, extract: Extractor, loader: Loader, title: str, flip: bool = False) -> tuple[Any, Any]:
        """As `features`, which tells how long a look at a photograph takes."""
        begun = time.monotonic()
        rows, labels = features(extract, loader, title, flip, self.group)
        self.look_image_s = (time.monotonic() - begun) / len(rows)
        return rows, labels

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

    def keep(self, model: nn.Module, figures: dict[str, Any]) -> None:
        """Write the weights as the run's model, as they validate better than all before."""
        self.best = figures
        if not self.group.is_main:
            return
        card = ModelCard(
            name=self.model.net.name,
            net=self.model.net,
            classes=self.splits.classes,
            preprocess=self.preprocess,
            metrics=figures,
            provenance=self.model.provenance,
        )
        write_network(self.folder / "model.safetensors", model, card)

    def _seen(self, loader: Loader) -> Loader | ActivationCache:
        """The loader, or its photographs as the frozen blocks see them."""
        if not self.recipe.views:
            return loader
        folder = self.folder / "checkpoint"
        folder.mkdir(exist_ok=True)
        return ActivationCache(loader, self.model, int(self.recipe.freeze), self.recipe.views, self.device, folder)

    def finetune(self, interrupt: Interrupt, checkpoint: Path | None) -> bool:
        """Fine-tune (or train from scratch) what is planned; False when interrupted."""
        if checkpoint is not None:
            trainer = self._trainer(*self._batches())
            trainer.resume(checkpoint)
            with torch_threads(self.settings.threads):
                return trainer.fit(self.keep, self.folder, interrupt)
        left = self._seconds_left()
        if left is not None and left <= 0 and self.best:
            return self._kept_as_it_is()
        if self.is_planned and self.best and self.recipe.freeze == "none" and not self.recipe.views:
            self._choose_depth()
        train, val = self._batches()
        trainer = self._trainer(train, val)
        threads = self.settings.threads
        speed = measure_speed(trainer, self.settings.precision, self._seconds_left(), threads)
        if threads is None and 0 < speed.threads < torch.get_num_threads():
            threads = speed.threads
            if self.group.is_main:
                caption = (
                    f"training: by {threads} of {torch.get_num_threads()} threads, faster beside what else runs here"
                )
                print(caption, file=sys.stderr)
        self.settings = replace(self.settings, precision=speed.precision, threads=threads)
        trainer.ctx = replace(trainer.ctx, precision=speed.precision)
        with torch_threads(self.settings.threads):
            return self._fit(trainer, speed, interrupt)

    def _fit(self, trainer: Trainer, speed: Speed, interrupt: Interrupt) -> bool:
        """Plan the steps, write the plan down and train by it; False when interrupted."""
        train = trainer.train
        has_own_statistics = self.origin is not None and self.origin.is_fine_tuned
        if self.settings.pretrained is not None and self.recipe.freeze != "backbone" and not has_own_statistics:
            # Some seconds, so each of several processes does all of it: statistics of whole batches.
            whole = self.loader(self.splits.train, self.recipe.batch_size, shuffle=True, whole=True)
            warm_start(trainer, train if isinstance(train, ActivationCache) else whole)
            self.group.same(trainer.model)
            trainer.ema.model.load_state_dict(trainer.model.state_dict())
        left, recipe = self._seconds_left(), self.recipe
        if left is not None:
            steps = steps_within(trainer, speed.step_s, left)
            if steps == 0 and self.best:
                return self._kept_as_it_is()
            recipe = recipe.planned(max(1, steps), len(train))
        self.recipe = trainer.recipe = recipe
        trainer.ema.decay = recipe.ema
        # What was planned stands from here on, also for whoever repeats the run.
        kind = "finetune" if self.is_planned else self.settings.recipe
        self.settings = replace(self.settings, recipe=kind, minutes=None, epochs=recipe.epochs)
        if self.group.is_main:
            write_config(self.folder / "config.yaml", self.settings, recipe, asked=self._settled())
        trainer.state.best = self.best
        return trainer.fit(self.keep, self.folder, interrupt)

    def _kept_as_it_is(self) -> bool:
        start = "probe" if self.origin is None else f"network of {self.origin.run}"
        print(f"fine-tuning: no time is left for it; the {start} is kept", file=sys.stderr)
        return True

    def _batches(self) -> tuple[Loader | ActivationCache, Loader | ActivationCache]:
        """Of the training and of the validation photographs."""
        train = self._seen(self.loader(self.splits.train, self.recipe.batch_size, self.recipe))
        return train, self._seen(self.loader(self.splits.val, self.recipe.batch_size))

    def _trainer(self, train: Loader | ActivationCache, val: Loader | ActivationCache) -> Trainer:
        ctx = ComputeContext(self.device, self.settings.precision, self.settings.seed, self.group)
        return Trainer(self.model, self.recipe, ctx, self.preprocess, train, val)

    def _seconds_left(self) -> float | None:
        """For training, until the run has to be finished, by the main process; None where epochs are counted."""
        if self.settings.seconds is None:
            return None
        passed, validated = time.monotonic() - self.started, len(self.splits.val)
        in_all = len(self.splits.train) + validated + len(self.splits.test)
        left = self.settings.seconds - passed - finishing_s(validated, in_all, self.look_image_s)
        return float(self.group.agreed(left))

    def _choose_depth(self) -> None:
        """How much of the network is trained in the time left, by what steps of so much of it take."""
        steps = Steps(self._trainer(*self._batches()), self.settings.precision, self.settings.threads)
        counts = len(self.splits.train), len(self.splits.val)
        look_s = self.group.agreed(self.look_image_s)

        def left() -> float:
            seconds = self._seconds_left()
            assert seconds is not None  # what is planned is planned into a time
            return seconds

        depth = choose_depth(self.model.net, self.preprocess.size, *counts, look_s, steps, left)
        epochs = MAX_EPOCHS if self.recipe.epochs == FINETUNE.epochs else self.recipe.epochs
        self.recipe = replace(self.recipe, freeze=depth.frozen or "none", views=depth.views, epochs=epochs)
        if self.group.is_main:
            blocks, caption = len(self.model.net.blocks), "the whole network"
            if depth.frozen:
                caption = f"the last {blocks - depth.frozen} of {blocks} blocks"
            views = "one stored view" if depth.views == 1 else f"{depth.views} stored views"
            stored = f", on {views} of each photograph" if depth.views else ""
            print(f"training: {caption}{stored} ({1 / depth.image_s:.0f} images/s)", file=sys.stderr)
