"""A training run from a folder of photos to a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenets import launch
from mobilenets.artifact import ModelCard, read_card
from mobilenets.errors import UserError
from mobilenets.preprocess.opening import max_pixels
from mobilenets.training.checkpoint import load
from mobilenets.training.parallel import Group, processes
from mobilenets.training.recipe import Recipe
from mobilenets.training.session import JOB, LAST, Session
from mobilenets.training.settings import Settings, read_config


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
    with processes() as group:
        folder = Path(group.agreed(str(_folder(out, Path(settings.data))) if group.is_main else ""))
        if launch.restarts() and (folder / LAST).exists():
            settings, recipe = read_config(folder / "config.yaml")
        return _run(settings, recipe, folder, group)


def _run(settings: Settings, recipe: Recipe, folder: Path, group: Group) -> Run:
    with max_pixels(settings.max_pixels):
        completed = Session(settings, recipe, folder, group).run()
    return Run(folder, read_card(folder / "model.safetensors"), interrupted=not completed)


def train_again(config: Path, out: Path | None = None) -> Run:
    """Repeat the run whose `config.yaml` this is, in a new folder."""
    return start(*read_config(config), out)


def resume(folder: Path) -> Run:
    """Go on with an interrupted run, to the same final weights as if it had never stopped.

    Raises:
        UserError: not a run folder, or one whose training is complete.
    """
    with processes() as group:
        settings, recipe = read_config(folder / "config.yaml")
        last = folder / LAST
        if (folder / "metrics.json").exists() and (not last.exists() or load(last)[0].epoch >= recipe.epochs):
            raise UserError(f"{folder}: this run is complete; train into a new folder with another --out")
        return _run(settings, recipe, folder, group)


def _folder(out: str | Path | None, data: Path) -> Path:
    """A new folder, or the one this job made before torchrun started it again."""
    if launch.may_restart() and out is None:
        raise UserError("--out: say where to with --max-restarts, so that a restarted run finds its folder")
    if out is not None and launch.restarts():
        job = Path(out) / JOB
        if job.exists() and job.read_text(encoding="utf-8") == launch.job():
            return Path(out)
    return new_folder(out, data)


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
