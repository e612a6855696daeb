"""The one training loop, for fine-tuning and for training from scratch."""

from __future__ import annotations

import copy
import csv
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mobilenets.data.loader import Batch
from mobilenets.errors import UsageError
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import Images, to_device
from mobilenets.system.files import write_atomic
from mobilenets.system.progress import Progress
from mobilenets.tasks.objective import Objective
from mobilenets.training import checkpoint
from mobilenets.training.checkpoint import LAST, State
from mobilenets.training.context import ComputeContext, autocast, wait_for
from mobilenets.training.distributed.sync_batchnorm import sync_batch_layers
from mobilenets.training.ema import EMA
from mobilenets.training.freeze import fixed_norms, frozen_modules, set_training
from mobilenets.training.interrupt import Interrupt
from mobilenets.training.mix import mix
from mobilenets.training.optimizer import make_optimizer, schedule
from mobilenets.training.prediction import Batches, predict
from mobilenets.training.recipe import Recipe
from mobilenets.weights.kept import KEPT

CHECKPOINT_EVERY_S = 60.0
FETCH_EVERY = 10  # steps of a GPU, which is waited for when their figures are fetched


OnBest = Callable[[MobileNet, dict[str, Any]], None]


class Trainer:
    """One network, one recipe, one compute context; `fit` runs the epochs that are left.

    The weights validated and handed to `on_best` are the averaged ones. `train` yields batches of uint8
    pixels (N, H, W, C) and int64 labels (N,). `objective`: what these number; None: classes, one per output.
    """

    def __init__(
        self,
        model: MobileNet,
        recipe: Recipe,
        ctx: ComputeContext,
        preprocess: Preprocess,
        train: Batches,
        val: Batches,
        objective: Objective | None = None,
    ) -> None:
        self.objective = objective or Objective.classification(tuple(map(str, range(model.net.num_classes))))
        self.recipe, self.ctx, self.preprocess = recipe, ctx, preprocess
        self.train, self.val = train, val
        self.model = channels_last(model.to(ctx.device))
        self.frozen = frozen_modules(model, recipe.freeze) + (fixed_norms(model) if recipe.fixed_norm else [])
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = recipe.norm_momentum
        sync_batch_layers(model, ctx.group, recipe.sync_norm)
        self.network = ctx.group.wrap(self.model)  # what a step runs
        self.optimizer = make_optimizer(model, recipe)
        self.ema = EMA(model, recipe.ema)
        self.state = State()
        self.fetch_every = 1 if ctx.device.type == "cpu" else FETCH_EVERY
        self._pending: list[tuple[torch.Tensor, int]] = []  # (loss and right answers, images) of steps not fetched yet
        self.images = Images(preprocess, ctx.device)
        task = self.objective.task
        self.targets = torch.from_numpy(task.targets(self.objective.texts)).to(ctx.device)  # a row for each label
        self.criterion = task.loss(train.labels, self.targets, recipe.balance == "loss", recipe.label_smoothing)

    def copy(self, precision: str) -> Trainer:
        """Another trainer that starts where this one stands, in a precision of its own."""
        ctx = replace(self.ctx, precision=precision)
        model = copy.deepcopy(self.model)
        return Trainer(model, self.recipe, ctx, self.preprocess, self.train, self.val, self.objective)

    def compute_in(self, precision: str) -> None:
        """Compute in this precision from here on."""
        self.ctx = replace(self.ctx, precision=precision)

    def follow(self, recipe: Recipe, best: dict[str, float]) -> None:
        """Train by `recipe`, the same for other steps, and keep what validates better than figures `best` ({}: all)."""
        self.recipe, self.ema.decay, self.state.best = recipe, recipe.ema, best

    def step(self, model: nn.Module, batch: Batch, rng: np.random.Generator, precision: str) -> torch.Tensor:
        """Forward and backward of one batch; its mean loss and its number of right answers, float32 (2,)."""
        targets = self.targets[to_device(batch.labels, self.ctx.device)]
        if batch.frames is not None:
            targets = self.objective.task.framed(targets, to_device(batch.frames, self.ctx.device))
        images, targets = mix(self.images(batch.pixels), targets, rng, self.recipe.mixup, self.recipe.cutmix)
        with autocast(self.ctx.device, precision):
            outputs = model(images, batch.after).float()
        loss = self.loss(images, outputs, targets)
        torch.autograd.backward(loss)
        return torch.stack([loss.detach(), self.criterion.right(outputs, targets)])

    def loss(self, images: torch.Tensor, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss of what the network said, (N, W), of `images` of which `targets` (N, T) are wanted."""
        return self.criterion(outputs, targets)

    def fit(self, on_best: OnBest, folder: Path, interrupt: Interrupt) -> bool:
        """Train until the last epoch; True when it ended by itself, False when it was interrupted.

        After every epoch `folder/history.csv` and `folder/checkpoint/last.pt` are complete; `on_best`
        gets the averaged network, its figures and its epoch whenever it validates better than `state.best`, in each of
        several processes.
        """
        group = self.ctx.group
        last = folder / LAST
        saved = time.monotonic()
        title = f"training {self.model.net.name}"
        with interrupt.steps(), Progress(title, self.steps_in_all, "batch", initial=self.state.step) as progress:
            while self.state.epoch < self.epochs and not self._exhausted():
                started, before = time.monotonic(), self.state.seen
                for loss, quality in islice(self.steps(), self.steps_in_all - self.state.step):
                    rate = (self.state.seen - before) / (time.monotonic() - started)
                    figures = {"loss": loss, self.objective.task.train_quality: quality, "images_per_s": rate}
                    progress.advance(1, **figures, **self._val_note())
                    stopped, is_due = group.flags(interrupt.requested, time.monotonic() - saved > CHECKPOINT_EVERY_S)
                    if stopped:
                        self.save(last)
                        return False
                    if is_due:
                        self.save(last)
                        saved = time.monotonic()
                self._validate(on_best, (self.state.seen - before) / (time.monotonic() - started))
                if group.is_main:
                    write_history(folder / "history.csv", self.state.history)
                self.save(last)
                if group.any(interrupt.requested):
                    return False
        return True

    @property
    def steps_in_all(self) -> int:
        """How many optimiser steps the training has."""
        return self.recipe.steps_in_all(len(self.train))

    @property
    def epochs(self) -> int:
        """How many epochs there are, the last of which may be shorter than the others."""
        return -(-self.steps_in_all // len(self.train))

    def _exhausted(self) -> bool:
        return 0 < self.recipe.patience <= self.state.stale_epochs

    def _val_note(self) -> dict[str, float]:
        name = f"val_{self.objective.task.quality}"
        return {"val": float(self.state.history[-1][name])} if self.state.history else {}

    def steps(self) -> Iterator[tuple[float, float]]:
        """Train on the rest of the current epoch; yields mean loss and quality so far after each batch.

        A GPU may still be at work on it and a few before it, of which the figures do not know yet.
        """
        state, recipe, group = self.state, self.recipe, self.ctx.group
        set_training(self.model, self.frozen)
        moving = [m for m in self.model.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
        statistics = [s for m in moving for s in (m.running_mean, m.running_var) if s is not None]
        for batch in self.train.epoch(state.epoch, start_batch=state.batch):
            rng = np.random.default_rng((self.ctx.seed, state.epoch, state.batch, 1))
            torch.manual_seed(int(rng.integers(2**63)))  # dropout
            for parameters in self.optimizer.param_groups:
                parameters["lr"] = parameters["scale"] * recipe.lr * schedule(state.step, len(self.train), recipe)
            self.optimizer.zero_grad(set_to_none=True)
            figures = self.step(self.network, batch, rng, self.ctx.precision)
            if recipe.clip:
                nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
            self.optimizer.step()
            group.average(statistics)
            self.ema.update(self.model, state.step)
            state.step += 1
            state.batch += 1
            self._pending.append((figures, len(batch.labels)))
            if not state.seen or len(self._pending) >= self.fetch_every:
                self._fetch()
            yield state.loss_sum / state.seen, state.correct / state.seen

    def finished_steps(self) -> Iterator[tuple[float, float]]:
        """As `steps`, each at its end on a GPU too: for whoever times them."""
        for figures in self.steps():
            wait_for(self.ctx.device)
            yield figures

    def _fetch(self) -> None:
        """Add the figures of the last steps, of all processes, to the state."""
        if not self._pending:
            return
        figures = torch.stack([figures for figures, _ in self._pending]).cpu().double().numpy()
        images = np.array([count for _, count in self._pending], np.float64)
        self._pending = []
        for loss, correct, seen in self.ctx.group.total(np.stack([figures[:, 0] * images, figures[:, 1], images], 1)):
            self.state.loss_sum += float(loss)
            self.state.correct += float(correct)
            self.state.seen += int(seen)

    def _validate(self, on_best: OnBest, images_per_s: float) -> None:
        state = self.state
        self._fetch()
        figures = self.objective.validation_figures(*self.predict(self.ema.model, self.val))
        quality, train_quality = self.objective.task.quality, self.objective.task.train_quality
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "lr": self.optimizer.param_groups[0]["lr"],
                "train_loss": state.loss_sum / state.seen,
                f"train_{train_quality}": state.correct / state.seen,
                "val_loss": figures["val_loss"],
                f"val_{quality}": figures[f"val_{quality}"],
                "images_per_s": images_per_s,
            }
        )
        if self.objective.better(figures, state.best):
            state.best, state.stale_epochs = figures, 0
            on_best(self.ema.model, {**figures, KEPT: {"epoch": state.epoch + 1}})
        else:
            state.stale_epochs += 1
        state.epoch, state.batch = state.epoch + 1, 0
        state.loss_sum, state.correct, state.seen = 0.0, 0.0, 0

    def predict(self, model: nn.Module, loader: Batches) -> tuple[np.ndarray, np.ndarray]:
        """Outputs float32 (N, W) and labels int64 (N,), in the loader's order, of all processes' parts."""
        return predict(model, loader, self.images, self.ctx, self.objective.task)

    def save(self, path: Path) -> None:
        """Write the checkpoint from which `resume` goes on; all processes call it, the main one does."""
        self._fetch()
        if not self.ctx.group.is_main:
            return
        checkpoint.save(
            path,
            self.state,
            {
                "model": self.model.state_dict(),
                "average": self.ema.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, to the same final weights as without the interruption.

        Raises
        ------
        UserError
            The checkpoint cannot be read, or is of another network.
        """
        self.state, tensors = checkpoint.load(path)
        try:
            self.model.load_state_dict(tensors["model"])
            self.ema.model.load_state_dict(tensors["average"])
            self.optimizer.load_state_dict(tensors["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UsageError(f"{path}: is of another network or of other classes; train into a new folder") from error


def write_history(path: Path, history: list[dict[str, float | int | str]]) -> None:
    """Write a line per epoch, replacing the file at once."""
    text = io.StringIO()
    rows = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    rows.writeheader()
    rows.writerows(history)
    write_atomic(path, text.getvalue())
