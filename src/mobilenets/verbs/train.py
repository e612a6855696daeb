"""`mobilenets.train`: a folder of photos becomes a run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.system.collector import nothing_collected
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Balance, Cache, Fit, Rare, RecipeName, TrainPrecision
    from mobilenets.data.readable import Measure
    from mobilenets.data.sample import Sample
    from mobilenets.preprocess.depth import Range
    from mobilenets.system.progress import Report
    from mobilenets.training.run import Pages, TrainedRun
    from mobilenets.verbs.run import Run


@verb
def train(
    data: str | Path | None = None,
    *,
    model: str | None = None,
    weights: str | Path | None = "default",
    width: float | None = None,
    recipe: RecipeName | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    size: int | None = None,
    crop: float | None = None,
    fit: Fit | None = None,
    val: float | str | Path | None = None,
    defects: str | Path | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: TrainPrecision | None = None,
    workers: int | None = None,
    threads: int | None = None,
    cache: Cache | None = None,
    max_pixels: int | None = None,
    tile: int | None = None,
    range: str | None = None,
    rare: Rare | None = None,
    dropout: float | None = None,
    any_orientation: bool | None = None,
    freeze: str | int | None = None,
    balance: Balance | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    sync_bn: bool = False,
    changes: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    moved_to: str | Path | None = None,
    from_run: str | Path | None = None,
    config: str | Path | None = None,
    progress: Report | None = None,
) -> Run:
    """Train a network on a folder of photos and write a run folder.

    None leaves a setting as `Settings` and the recipe have it: what is not given may not differ from an interrupted
    run's, which what is given must not.

    Parameters
    ----------
    data
        Class folders, train/ and val/, a CSV, shards, parquet, or photos with boxes; a single class: good ones only,
        for which others are told.
    model
        Network, a name of `list_models`; None: mobilenet_v3_large, or that of `weights`.
    weights
        Start from these: a tag of `mobilenets.models`, a file, or "default", the most accurate. None, or "none": from
        random ones.
    width
        Width multiplier; None: 1.0, or that of `weights`.
    recipe
        "auto" (None), "probe", "finetune" or "scratch".
    minutes
        Plan the training into this time, above 0; None: 5 for "auto".
    epochs
        Train this many epochs instead, 1 or more.
    size
        Side of the input in pixels, 32 or more; None: that of the weights.
    crop
        Fraction of the resized side that is seen, 0.1 to 1.0 (all); None: that of the weights.
    fit
        What is not square: "crop" its centre (None), "pad" or "squash" it, or "auto" by their shapes.
    val
        Validate on this fraction, between 0 and 1 (None: 0.2), or on this folder.
    defects
        Where `data` shows good ones only: a folder with photos of defects, to choose the threshold by.
    seed
        Of every random number, 0 or more; None: 0.
    device
        "auto" (None), "cpu", "cuda" or "mps".
    precision
        "auto" (None, measured), "fp32" or "bf16".
    workers
        Decoding threads, 0 or more; None: by the machine.
    threads
        Of a training step on a CPU, 1 or more; None: measured.
    cache
        Keep decoded photos: "auto" (None), "ram", "disk" or "off".
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    tile
        Cut photos with boxes into tiles of so many pixels, 64 or more, that overlap; None: whole.
    range
        Black and white of 16-bit, integer and float photos: "auto" (None), "LOW,HIGH" or "none".
    rare
        Classes too small to validate: "keep" (None, warns), "drop" or "refuse".
    dropout
        Its probability before the classifier, 0 up to 1; None: the network's.
    any_orientation
        Photos without an up: also flip and turn them; None: "auto" finds out.
    freeze
        Keep still: "backbone", the first K blocks (a number), or "none".
    balance
        For unequal classes: "sampler" or "loss"; None: none.
    batch_size
        Photos per step, 2 or more.
    lr
        Peak learning rate, above 0.
    sync_bn
        Under torchrun: BatchNorm statistics of the whole batch.
    changes
        Any value of the recipe by its name (`--set`), as {"augment.hflip": 0}.
    out
        New run folder; None: runs/NAME-OF-DATA.
    resume
        Go on with the interrupted run in `out`.
    moved_to
        With `resume` or `config`: where the data is now (`--data`).
    from_run
        Train the network of this finished run on, in a new folder (`--from`).
    config
        Repeat the run of this config.yaml.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    Run
        The folder, with `metrics` of the validation photos.

    Raises
    ------
    DataError
        Data that cannot be learned from.
    UsageError
        Values that are out of range or contradict each other, an existing `out`.
    ModelFileError
        Weights, or a run to go on with, that are not there or damaged.
    DownloadError
        Weights that cannot be fetched.
    MissingExtraError
        What trains is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> run = mn.train("photos", minutes=5)  # doctest: +SKIP
    >>> run.path, run.metrics["accuracy"]  # doctest: +SKIP
    (PosixPath('runs/photos'), 0.93)
    >>> mn.train("photos", epoch=3)
    Traceback (most recent call last):
    mobilenets.errors.UsageError: train: no option is called 'epoch'; did you mean epochs?
    """
    started = time.monotonic()
    settings: dict[str, Any] = {
        "model": model, "weights": "none" if weights is None else str(weights), "width": width, "recipe": recipe,
        "minutes": minutes, "epochs": epochs, "size": size, "crop": crop, "fit": fit,
        "val": str(val) if isinstance(val, Path) else val,
        "defects": None if defects is None else str(defects), "seed": seed, "device": device, "precision": precision,
        "workers": workers, "threads": threads, "cache": cache, "max_pixels": max_pixels, "range": range, "rare": rare,
        "dropout": dropout, "any_orientation": any_orientation, "tile": tile,
        "from_run": None if from_run is None else str(from_run),
    }  # fmt: skip
    asked = {name: value for name, value in settings.items() if value is not None}
    if weights == "default":
        del asked["weights"]
    named = {"freeze": freeze, "balance": balance, "batch_size": batch_size, "lr": lr}
    changed = {name: value for name, value in named.items() if value is not None} | dict(changes or {})
    if sync_bn:
        changed["sync_norm"] = True
    _check(data, asked, changed, resume, moved_to, config)
    try:
        from mobilenets.training.settings import Settings

        wanted = Settings(data=str(data or ""), **asked)  # what is wrong here is told before torch is loaded
        wanted.make_recipe(changed)
        with nothing_collected():
            from mobilenets.training import run as training
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[train]'") from None
    from mobilenets.verbs.run import Run

    pages = _pages()
    there = None if moved_to is None else Path(moved_to)
    if resume:
        if out is None and data is None:
            raise UsageError("--resume: say which run with --out DIR")
        folder = Path(out) if out is not None else training.interrupted_run(Path(str(data)))
        given = asked | ({"data": str(data)} if data else {})
        result = training.resume(folder, given, changed, there, pages)
    elif config:
        where = there or (Path(data) if data else None)
        result = training.train_again(Path(config), None if out is None else Path(out), where, pages)
    elif data is None:
        raise UsageError("DATA: say which folder or CSV to train on")
    else:
        result = training.start(wanted, changed, out, started, pages)
    return Run(result.path, result.card, result.interrupted)


def _pages() -> Pages:
    """Audit a run's data, of photos as they are opened to be checked, and write its report.

    Whoever stopped the training does not wait for the rest of the audit.
    """
    from mobilenets.auditing.measure import ImageMeasures, measure_image
    from mobilenets.training.run import Pages

    measured: dict[Path, ImageMeasures] = {}

    def by_range(value_range: Range | None) -> Measure:
        def measure(sample: Sample) -> bool:
            found = measure_image(sample, value_range)
            if found is not None:
                measured[sample.path] = found
            return found is not None

        return measure

    def write(run: TrainedRun) -> None:
        with nothing_collected():
            from mobilenets.auditing.audit import audit_splits
            from mobilenets.report.run_pages import report_run

        opened, plan = run.opened, run.fitted.plan
        audit = None
        if not run.fitted.interrupted:
            audit = audit_splits(
                Path(plan.settings.data),
                opened.listed,
                val=plan.settings.val,
                seed=plan.settings.seed,
                decision=opened.range,
                preprocess=plan.preprocess,
                measured=measured,
            )
        report_run(opened.folder, run.images, audit)

    return Pages(write, by_range)


def _check(
    data: str | Path | None,
    asked: dict[str, Any],
    changed: dict[str, Any],
    resume: bool,
    moved_to: str | Path | None,
    config: str | Path | None,
) -> None:
    """Refuse what does not go together."""
    if resume and config:
        raise UsageError("--config: a resumed run has its own config.yaml; leave --config or --resume out")
    if config and (asked or changed):
        name = next(iter({**asked, **changed})).replace("_", "-")
        raise UsageError(f"--{name}: a repeated run has its settings in config.yaml; leave it out")
    if moved_to and not (resume or config):
        raise UsageError("--data: is for --resume and --config; name the photos of a new run without it")
    if moved_to and config and data:
        raise UsageError("--data: DATA says the same; leave one of them out")
