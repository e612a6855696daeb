"""A class is added to a finished run: its head is fitted again to features that are kept, with those of new photos.

The photos that the run was trained on are not needed, and nothing of its backbone changes.
"""

from __future__ import annotations

import json
import logging
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.manifest import FILE as LIST
from mobilenets.data.manifest import base_of, list_images, manifest_of
from mobilenets.data.readable import readable
from mobilenets.data.samples import Samples, SamplesBuilder, Splits
from mobilenets.data.sources.read import DEFAULT_VAL
from mobilenets.data.sources.survey import Survey, count_text, named
from mobilenets.data.sources.tree import name_warnings
from mobilenets.data.split import train_val_split
from mobilenets.data.walk import image_files
from mobilenets.errors import DataError, ModelFileError, UsageError
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import FILE as INDEX
from mobilenets.features.index import MAX_IMAGES, PER_CLASS, FeatureIndex, build_index, model_id
from mobilenets.features.known import ACCEPT, is_accepted
from mobilenets.features.neighbours import nearest, roots
from mobilenets.model_card import CLASSIFY, EXTENDED_FROM, ModelCard, read_card
from mobilenets.nn.io import Network, read_network
from mobilenets.preprocess.opening import max_pixels
from mobilenets.runtime.index_file import need_index
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.predictions import path_text
from mobilenets.tasks.objective import Objective
from mobilenets.training.origin import Origin, fit_rows
from mobilenets.training.plan import CONFIG
from mobilenets.training.probe.head import Head, fit_head
from mobilenets.training.recipe import ProbeRecipe, Recipe
from mobilenets.training.run_folder import export_model, write_answers
from mobilenets.training.settings import Settings, read_config, write_config
from mobilenets.training.vectors import VectorEngine
from mobilenets.weights.kept import KEPT, START, START_FILE

log = logging.getLogger(__name__)

_BATCH = 16


@dataclass(frozen=True)
class _Run:
    """A finished run, with what is kept of its photos."""

    folder: Path
    card: ModelCard
    settings: Settings
    recipe: Recipe
    index: FeatureIndex


def check_run(folder: Path, name: str) -> _Run:
    """The run in `folder`, which is to learn the class `name`.

    Raises
    ------
    UserError
        It is none, is not finished, answers no classes, knows the class, or has no index of its own.
    """
    for file in (CONFIG, "metrics.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise ModelFileError(f"{folder}: has no {file}; give the folder of a run that came to its end")
    card = read_card(folder / "model.safetensors")
    if card.task != CLASSIFY:
        raise UsageError(
            f"{folder}: answers {card.task!r}, and only a classifier takes another class; train again on all photos"
        )
    if unicodedata.normalize("NFC", name) in {unicodedata.normalize("NFC", known) for known in card.classes}:
        raise UsageError(
            f"--name: {folder} has the class {name!r} already; choose another name, or train with the new "
            f"photos among the old ones: mobilenets train DATA --from {folder}"
        )
    known = name_warnings(card.classes)
    for line in name_warnings([*card.classes, name]):
        if line not in known:
            log.warning("%s: %s", folder, line)
    return _Run(folder, card, *read_config(folder / CONFIG), need_index(folder, card))


def add_class(run: _Run, photos: Path, name: str, folder: Path) -> ModelCard:
    """Write the new run `folder`, but for its report and metrics.json: `run` with the class that `photos` show.

    Raises
    ------
    UserError
        `photos` is no folder, or has fewer than two photos that can be read.
    """
    with max_pixels(run.settings.max_pixels):
        train, val = _split(photos, name, run.settings)
        engine = VectorEngine(run.folder / "model.onnx")
        old = run.index
        first = 1 + max(old.train.groups.max(initial=0), old.held_out.groups.max(initial=0))
        means = old.train.means.shape[1]
        new_train = _seen(engine, train, [path_text(image.path) for image in train], first, means)
        new_val = _seen(engine, val, [path_text(image.path) for image in val], first + len(train), means)
    _warn_inside(old, new_train, run.card.classes, name)
    classes = tuple(sorted([*run.card.classes, name]))
    numbers = np.array([classes.index(known) for known in run.card.classes], np.int64)

    def joined(known: ImageFeatures, new: ImageFeatures) -> ImageFeatures:
        return replace(known, labels=numbers[known.labels]) + replace(new, labels=new.labels + classes.index(name))

    learned, held_out = joined(old.train, new_train), joined(old.held_out, new_val)
    network = read_network(run.folder / "model.safetensors")
    is_fine_tuned = Origin(run.folder, run.card).is_fine_tuned
    # Beside other work a second thread of BLAS waits busily for its core: the fit took ten times as long.
    with threadpool_limits(1, user_api="blas"):
        head = _fit(run, network, learned, numbers, classes.index(name), is_fine_tuned)
    model = network.model
    model.reset_classifier(len(classes))
    assert isinstance(model.classifier, torch.nn.Linear)
    head.put_into(model.classifier)

    objective = Objective.classification(classes)
    outputs = head.probabilities(held_out.vectors)
    figures = objective.task.score(outputs, held_out.labels, classes)
    provenance = {**run.card.provenance, EXTENDED_FROM: run.folder.resolve().name, "added_class": name}
    provenance["classifier"] = "extended" if is_fine_tuned else "refitted"
    card = replace(run.card, net=model.net, classes=classes, metrics={**figures, KEPT: START}, provenance=provenance)
    folder.mkdir(parents=True)
    write_config(folder / CONFIG, run.settings, run.recipe, "Train the run that this one was made of again")
    base = base_of(Path(run.settings.data)) if _lies_in(photos, Path(run.settings.data)) else photos.parent
    _write_list(run, folder, Splits((name,), train, val, val.take(np.zeros(0, np.int64))), base)
    loss, accuracy = figures["log_loss"], figures["accuracy"]
    start = {"val_accuracy": accuracy, "val_loss": loss, "run": provenance[EXTENDED_FROM], "added": name}
    write_atomic(folder / START_FILE, json.dumps({**start, "fine_tuned": is_fine_tuned}, ensure_ascii=False) + "\n")
    export_model(folder, Network(model.eval(), card))
    write_answers(folder, card, objective, held_out.paths, held_out.labels, outputs)
    named_train = replace(learned, paths=(*old.train.paths, *(_below(path, base) for path in new_train.paths)))
    per_class = PER_CLASS if len(learned) > MAX_IMAGES else None
    build_index(named_train, held_out, model_id(card), per_class).write(folder / INDEX)
    return card


def _split(photos: Path, name: str, settings: Settings) -> tuple[Samples, Samples]:
    """The photos of the new class that can be read: to learn from, and held out."""
    if not photos.is_dir():
        raise DataError(f"{photos}: no such folder; give the one with the photos of {name!r}")
    survey, skipped = Survey(), Skipped()
    builder = SamplesBuilder(str(photos), survey)
    for path in image_files(photos, lambda error: skipped.add(str(error)), survey):
        builder.add(str(Path(path).relative_to(photos)), name)
    samples, messages = readable(builder.samples(), survey=survey)
    for message in messages:
        skipped.add(message)
    if len(samples) < 2:
        why = f" ({named(survey.lines())})" if survey.lines() else ""
        raise DataError(
            f"{photos}: has {count_text(len(samples))} that can be read{why}; a class needs 2 or more (one validates)"
        )
    val = settings.val if isinstance(settings.val, float) else DEFAULT_VAL
    return train_val_split(samples, (name,), val, settings.seed)


def _seen(engine: VectorEngine, samples: Samples, paths: list[str], first_group: int, means: int) -> ImageFeatures:
    """What is seen in photos, with the first so many `means`: an index has all of them or none."""
    seen, shown = engine.embeddings(Loader(samples, engine.card.preprocess, _BATCH, prefetch=0), "features")
    groups, labels = first_group + np.arange(len(samples)), samples.labels[shown]
    names = [paths[i] for i in shown.tolist()]
    return ImageFeatures.of(seen.vectors, labels, names, groups[shown], seen.means[:, :means])


def _fit(
    run: _Run, network: Network, learned: ImageFeatures, numbers: np.ndarray, new: int, is_fine_tuned: bool
) -> Head:
    """The head for all classes; of a network that was fine-tuned, whose features are too sure of its own training
    photos to fit a head to them, the rows of the old classes stay.
    """
    x, y = learned.vectors, learned.labels
    if not is_fine_tuned and len(np.unique(y)) == len(numbers) + 1:
        return fit_head(x, y, ProbeRecipe(), run.settings.seed, balanced=run.recipe.balance != "none")
    classifier = network.model.classifier
    assert isinstance(classifier, torch.nn.Linear)
    weight = np.zeros((len(numbers) + 1, x.shape[1]), np.float32)
    bias = np.zeros(len(numbers) + 1, np.float32)
    weight[numbers], bias[numbers] = classifier.weight.detach().numpy(), classifier.bias.detach().numpy()
    return fit_rows(Head(weight, bias, 0.0), x, y, [new])


def _warn_inside(index: FeatureIndex, new: ImageFeatures, classes: tuple[str, ...], name: str) -> None:
    """Say where most of the new photos are known ones, and nearer to a photo of the run than to one another."""
    near = index.nearest(new.features)
    rows, alone = roots(new.features), np.arange(len(new))
    apart = nearest(rows, rows, 1, alone, alone).distances[:, 0]
    inside = near.distances[:, 0] < apart
    inside &= np.array([is_accepted(one.known, ACCEPT) for one in index.likeness(new.embeddings)], np.bool_)
    if 2 * inside.sum() <= len(new):
        return
    label, often = Counter(index.labels[near.rows[inside, 0]].tolist()).most_common(1)[0]
    log.warning(
        "%d of %s of %r are more like photos of the run than like one another, %d of them like %r: "
        "the two will be confused if they show the same",
        int(inside.sum()), count_text(len(new)), name, often, classes[label],
    )  # fmt: skip


def _write_list(run: _Run, folder: Path, new: Splits, base: Path) -> None:
    listed, known = list_images(new, base / "."), manifest_of(run.folder)
    (listed if known is None else known + listed).write(folder / LIST)


def _lies_in(photos: Path, data: Path) -> bool:
    return data.is_dir() and photos.resolve().is_relative_to(data.resolve())


def _below(path: str, base: Path) -> str:
    """As `data.csv` has it."""
    return Path(path).relative_to(base).as_posix() if Path(path).is_relative_to(base) else path
