"""Every setting of a training run, as the command line and `config.yaml` know them."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

import yaml

from mobilenets.arch.build import check_width
from mobilenets.arch.checks import check_fraction
from mobilenets.arch.cost import MIN_SIZE
from mobilenets.data.cache.images import MODES as CACHES
from mobilenets.data.rare import CHOICES as RARE
from mobilenets.data.rare import Rare
from mobilenets.data.sources.read import DEFAULT_VAL
from mobilenets.data.split import check_val_fraction
from mobilenets.data.value_range import AUTO as AUTO_RANGE
from mobilenets.data.value_range import parse_range, range_text
from mobilenets.errors import ModelFileError, UsageError
from mobilenets.preprocess import FITS, Preprocess
from mobilenets.runtime.base import check_threads
from mobilenets.system.files import write_atomic
from mobilenets.tasks.detect.tiles import check_side
from mobilenets.training.recipe import FINETUNE, SCRATCH, Recipe

log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "bf16")
RECIPES = ("auto", "probe", "finetune", "scratch")
_CHOICES = {"recipe": RECIPES, "fit": (*FITS, "auto"), "precision": PRECISIONS, "cache": CACHES, "rare": RARE}
AUTO_MINUTES = 5.0
MAX_SEED = 2**63 - 1  # what torch's generators take
PATH_SETTINGS = ("data", "val", "defects", "weights", "from_run")  # settings that are, or may be, paths


@dataclass(frozen=True)
class Settings:
    """What to train on what, and how.

    `model` and `width`: None for those of the file that `weights` is, else for mobilenet_v3_large and 1.0; a run's
    `config.yaml` has what they came to. `weights`: a tag of `mobilenets models`, a file, "default" or "none". `minutes`
    bounds fine-tuning by time (`auto` has 5 unless `epochs` is given), `epochs` by count. `size` in pixels, `crop`
    (fraction of the resized side that is seen) and `fit` (crop, pad, squash, or auto by the photographs' shapes)
    replace those of the pretrained weights; see `training.input`. `val`: the fraction of every class held out, or a
    folder.
    `defects`: a folder of photographs of defects, where the data shows good ones only.
    `any_orientation`: pictures without an up (cells, parts, aerial views) are also mirrored upside down and turned by
    quarters; None: `auto` finds out, else they are not. `cache`: where decoded photographs are kept for later epochs.
    `rare`: what becomes of classes without validation photographs: keep, drop or refuse. `max_pixels`: how many are
    decoded of a photograph at most (None: 120 million). `range`: "LOW,HIGH", what of 16-bit, integer and floating-point
    photographs becomes black and white; "auto" finds it in the training part, "none" judges each photograph by itself.
    `threads`: of torch, in a step on a CPU; None measures whether fewer than all are faster, as beside other work.
    `from_run`: the folder of a finished run whose network is trained on. `tile`: photographs with boxes that are larger
    are cut into tiles of so many pixels that overlap.
    """

    data: str
    model: str | None = None
    weights: str = "default"
    width: float | None = None
    recipe: str = "auto"
    minutes: float | None = None
    epochs: int | None = None
    size: int | None = None
    crop: float | None = None
    fit: str | None = None
    val: float | str | None = None
    defects: str | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    threads: int | None = None
    dropout: float | None = None
    any_orientation: bool | None = None
    cache: str = "auto"
    rare: Rare = "keep"
    max_pixels: int | None = None
    range: str = AUTO_RANGE
    from_run: str | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        self._check_types()
        for name, accepted in _CHOICES.items():
            if getattr(self, name) not in (None, *accepted):
                raise UsageError(f"{name}: {getattr(self, name)!r} is not one of {', '.join(accepted)}")
        if self.minutes is not None and self.epochs is not None:
            raise UsageError("minutes and epochs: give one of them, they both say when to stop")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise UsageError(f"minutes: {self.minutes} is not a time; use a positive number")
        for name in ("seed", "workers"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"{name}: {getattr(self, name)} is negative; use 0 or more")
        if self.seed > MAX_SEED:
            raise UsageError(f"seed: {self.seed} is too large; use {MAX_SEED} or less")
        check_threads("threads", self.threads)
        if self.size is not None and self.size < MIN_SIZE:
            raise UsageError(f"size: {self.size} pixels are too few; use {MIN_SIZE} or more")
        seen: dict[str, Any] = {"size": self.size, "crop": self.crop}
        Preprocess(**{name: value for name, value in seen.items() if value is not None})  # refuses what is out of range
        if isinstance(self.val, (int, float)):
            check_val_fraction("val", self.val)
        if self.width is not None:
            check_width(self.width)
        if self.dropout is not None:
            check_fraction("dropout", self.dropout)
        if self.tile is not None:
            check_side(self.tile)
        asked = parse_range(self.range)
        object.__setattr__(self, "range", asked if isinstance(asked, str) else range_text(asked, ""))
        if self.from_run is not None and self.weights != "default":
            raise UsageError(f"weights: {self.weights} with --from {self.from_run}, which has its own; leave it out")
        if self.from_run is not None and self.recipe == "scratch":
            raise UsageError(f"recipe: scratch starts from random weights, not from those of {self.from_run}")
        if self.recipe == "probe" and self.weights == "none":
            raise UsageError("weights: none with recipe probe; random features tell nothing, use recipe scratch")
        if self.recipe == "scratch" and self.weights not in ("none", "default"):
            raise UsageError(f"weights: {self.weights!r} with recipe scratch; scratch starts from random weights")

    def _check_types(self) -> None:
        """Refuse values that are no settings, as a `config.yaml` changed by hand may have."""
        for name, kinds in _types().items():
            value = getattr(self, name)
            taken = (*kinds, int) if float in kinds else kinds
            if not isinstance(value, taken) or (isinstance(value, bool) and bool not in kinds):
                raise UsageError(f"{name}: {value!r} is not a value for it; use {' or '.join(map(_kind, kinds))}")

    @property
    def pretrained(self) -> str | None:
        """The weights to start from; None for random ones."""
        if self.from_run is not None:
            return str(Path(self.from_run) / "model.safetensors")
        return None if self.recipe == "scratch" or self.weights == "none" else self.weights

    @property
    def seconds(self) -> float | None:
        """The time fine-tuning is planned into; None where the number of epochs decides."""
        if self.epochs is None and self.minutes is None:
            return AUTO_MINUTES * 60 if self.recipe == "auto" else None
        return None if self.minutes is None else self.minutes * 60

    def make_recipe(self, changes: dict[str, Any], usual: dict[str, Any] | None = None) -> Recipe:
        """The loop's recipe with the settings and the user's `changes` (name → value) applied.

        `usual`: what the task of the data does differently, where it is known.
        """
        recipe = (SCRATCH if self.recipe == "scratch" else FINETUNE).override(usual or {})
        if self.any_orientation:
            recipe = replace(recipe, augment=replace(recipe.augment, vflip=0.5, rot90=True))
        if self.epochs is not None:
            recipe = replace(recipe, epochs=self.epochs, repeats=1)
        return recipe.override(changes)


@cache
def _types() -> dict[str, tuple[type, ...]]:
    """The types that the value of each setting may have."""
    found = {}
    for name, hint in get_type_hints(Settings).items():
        kinds = get_args(hint) or (hint,)
        found[name] = tuple(dict.fromkeys(kind if isinstance(kind, type) else str for kind in kinds))
    return found


def _kind(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}[kind]


def write_config(
    path: Path,
    settings: Settings,
    recipe: Recipe,
    what: str = "Train again",
    asked: dict[str, Any] | None = None,
) -> None:
    """Write every setting, also the defaults: training again from this file gives the same model.

    `what`: what else training from it does. `asked`: what was asked for where a plan has replaced it since. Relative
    paths go with the working folder, which is written too.
    """
    content: dict[str, Any] = {"folder": str(Path.cwd()), "settings": asdict(settings), "recipe": recipe.to_dict()}
    if asked:
        content["asked"] = asked
    head = f"# {what} with: mobilenets train --config THIS_FILE --out NEW_FOLDER\n"
    write_atomic(path, head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_config(path: Path) -> tuple[Settings, Recipe]:
    """Read what `write_config` wrote; paths that were relative to another folder are absolute.

    Raises
    ------
    UserError
        No such file, not YAML, or settings this version does not know.
    """
    content = _content(path)
    try:
        settings, recipe = dict(content["settings"]), dict(content["recipe"])
        folder = str(content.get("folder") or Path.cwd())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path}: not a config.yaml of a run ({type(error).__name__})") from error
    known = {f.name for f in fields(Settings)}
    for name in settings.keys() - known:
        raise ModelFileError(f"{path}: no setting is called {name!r}; there are {', '.join(sorted(known))}")
    if "data" not in settings:
        raise ModelFileError(f"{path}: has no setting 'data'; put back the line that names the photos")
    if Path(folder) != Path.cwd():
        settings |= {
            name: _resolved(path, folder, name, settings.get(name)) for name in PATH_SETTINGS if name in settings
        }
    return Settings(**settings), Recipe.from_dict(recipe)


def read_asked(path: Path) -> dict[str, Any]:
    """What was asked for where a plan has replaced it since, by setting."""
    asked = _content(path).get("asked")
    return dict(asked) if isinstance(asked, dict) else {}


def _content(path: Path) -> Any:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file; a run folder has its settings in config.yaml") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ModelFileError(f"{path}: not a config.yaml of a run ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise ModelFileError(f"{path}: not a config.yaml of a run (it holds no settings)")
    for name in content.keys() - {"folder", "settings", "recipe", "asked"}:
        raise ModelFileError(
            f"{path}: {name!r} is no part of it; write it below settings or recipe, or delete the line"
        )
    return content


def _resolved(config: Path, folder: str, name: str, value: Any) -> Any:
    """A setting that may be a path relative to `folder`, where the run was started, as seen from here."""
    if not isinstance(value, str) or Path(value).is_absolute():
        return value
    there = Path(folder, value)
    if name == "weights" and not there.is_file():
        return value  # a tag, or a file that is told to be missing when it is opened
    if not there.exists() and Path(value).exists():
        log.warning("%s: %s is gone; %s is %s now", config, there, name, Path(value).absolute())
        return value
    return str(there)


def check_same(
    config: Path, settings: Settings, recipe: Recipe, given: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Refuse settings (`given`, by name) or values of the recipe (`changes`) that are not those of a run's `config`.

    A setting that a plan has replaced since agrees with either.

    Raises
    ------
    UserError
        One differs; names it with both values.
    """
    asked = read_asked(config)
    for name, value in given.items():
        kept = [getattr(settings, name), *([asked[name]] if name in asked else [])]
        if not any(_same(name, value, other) for other in kept):
            _refuse(config, name, value, kept[-1])
    known = recipe.to_dict()
    for name, text in changes.items():
        value = recipe.override({name: text}).to_dict()
        if value != known:
            differing = next(key for key in value if value[key] != known.get(key))
            _refuse(config, name, value[differing], known.get(differing))


def _same(name: str, given: Any, kept: Any) -> bool:
    if name == "val" and kept is None:
        kept = DEFAULT_VAL
    if name in PATH_SETTINGS and isinstance(given, str) and isinstance(kept, str):
        return given == kept or Path(given).resolve() == Path(kept).resolve()
    if name == "range":
        return parse_range(given) == parse_range(kept)
    return bool(given == kept)


def _refuse(config: Path, name: str, value: Any, kept: Any) -> NoReturn:
    option = {"data": "DATA", "from_run": "--from"}.get(name, f"--{name.replace('_', '-')}")
    was = "was not given" if kept is None else f"is {kept}"
    remedy = "say where the same photos are now with --data" if name == "data" else "leave it out"
    raise UsageError(
        f"{option}: {value} now, but it {was} in {config}; a resumed run keeps its settings: {remedy}, "
        "or train a new run"
    )
