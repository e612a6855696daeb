"""A run on disk: its folder is begun with the plan, finished with the exported model, and complete with its metrics."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mobilenets.data.loader import Loader
from mobilenets.data.readable import MAX_CHECKED
from mobilenets.data.samples import Samples
from mobilenets.errors import ModelFileError
from mobilenets.exporting.targets.onnx import export_onnx, write_card
from mobilenets.features.index import FILE as INDEX
from mobilenets.features.index import MAX_IMAGES
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import Network, read_network, write_network
from mobilenets.runtime.tiled import tile_side
from mobilenets.system import torchrun_env
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.predictions import path_text
from mobilenets.tasks.objective import Objective
from mobilenets.tasks.task import Labels, Outputs
from mobilenets.training.feature_index import TrainImages, write_index
from mobilenets.training.plan import Plan
from mobilenets.training.vectors import VectorEngine
from mobilenets.weights.kept import COUNTED, KEPT, PROBE, TEST, TILES

JOB = Path("checkpoint", "job")  # the launcher's job that made the folder, where that may start it again

FIXED_S = 10.0  # exporting, timing, heat maps, the report, the end of the process


def begin_folder(folder: Path, plan: Plan) -> None:
    """Make the run folder with its plan, before the work: that it cannot be written is told at once."""
    (folder / JOB).parent.mkdir(parents=True, exist_ok=True)
    plan.write(folder)
    if torchrun_env.may_restart():
        write_atomic(folder / JOB, torchrun_env.job())


def finishing_s(validated: int, trained: int, in_all: int, look_image_s: float) -> float:
    """About how many seconds the end of a run takes: what `finish` writes, an audit of the data and the report.

    `validated` of the photographs `in_all` validate and `trained` train; `look_image_s`: seconds of reading one and
    running it through the network.
    """
    return FIXED_S + look_image_s * (validated + min(trained, MAX_IMAGES) + min(in_all, MAX_CHECKED))


@dataclass(frozen=True)
class Finished:
    """What `finish` made: the card with the metrics, and the photographs of predictions.csv, row by row."""

    card: ModelCard
    images: Samples


def finish(
    folder: Path, objective: Objective, val: Loader, test: Loader | None = None, train: TrainImages | None = None
) -> Finished:
    """Turn `folder/model.safetensors` into a run folder with everything but what `complete` writes, and pages.

    `objective`: what the labels of the photographs number.
    The metrics are those of `model.onnx` on the validation photographs: of the file that will be used,
    not of the network in memory. They say which weights these are (`kept`), that they count tiles where the run has
    them (`counted`), and have the main figures of the test
    photographs (`test`), where there are any: what chose the weights is not what tells their worth. `train`: what the
    index is made of, by which photographs of another kind are told; None: the folder gets none.
    """
    (folder / INDEX).unlink(missing_ok=True)  # of other weights, if the run was stopped before
    network = read_network(folder / "model.safetensors")
    model, card = network.model, network.card
    export_onnx(model, card, folder / "model.onnx")
    engine = VectorEngine(folder / "model.onnx", has_vectors=not objective.task.has_boxes)
    answers = _answers(engine, val)
    if answers is None:
        raise ModelFileError(f"{folder}: none of the validation photos can be read any more")
    outputs, features, labels, shown = answers
    kept = {KEPT: card.metrics[KEPT]} if KEPT in card.metrics else {}
    counted = {} if tile_side(card) is None else {COUNTED: TILES}
    objective = replace(objective, task=objective.task.settled(outputs, labels, objective.texts))
    figures = objective.task.score(outputs, labels, objective.texts)
    card = replace(card, thresholds=objective.task.thresholds)
    card = replace(card, metrics={**figures, **kept, **counted, **_tested(engine, objective, test)})
    images = val.samples.take(shown)
    write_network(folder / "model.safetensors", model, card)
    write_card(card, folder / "model.onnx")
    write_answers(folder, card, objective, [path_text(image.path) for image in images], labels, outputs)
    if train is not None:
        write_index(folder, engine, card, train, features, images, objective, is_probe=kept.get(KEPT) == PROBE)
    return Finished(card, images)


def export_model(folder: Path, network: Network) -> None:
    """Write a network, whose card has its figures, as the two files of a model."""
    export_onnx(network.model, network.card, folder / "model.onnx")
    write_network(folder / "model.safetensors", network.model, network.card)


def write_answers(
    folder: Path, card: ModelCard, objective: Objective, paths: Sequence[str], labels: Labels, outputs: Outputs
) -> None:
    """Write the card, the classes, and predictions.csv: the answers (N, W) to the validation photographs."""
    write_atomic(folder / "card.json", card.to_json())
    write_atomic(folder / "class_indices.json", _json({str(k): name for k, name in enumerate(card.classes)}))
    write_atomic(folder / "predictions.csv", _predictions(paths, labels, card, objective, outputs))


def complete(folder: Path, card: ModelCard) -> None:
    """Write metrics.json, which completes a run: until it is there, --resume goes on."""
    write_atomic(folder / "metrics.json", _json(card.metrics))


class _Answers(NamedTuple):
    """Outputs float32 (N, W), features (N, D), labels and indices int64 (N,) of photographs that can be read."""

    outputs: Outputs
    features: np.ndarray
    labels: Labels
    shown: Labels


def _answers(engine: VectorEngine, loader: Loader) -> _Answers | None:
    """Those of a loader's photographs; None where none can be read."""
    batches = [(*engine(batch.pixels), batch.labels, batch.indices) for batch in loader.epoch(0)]
    return _Answers(*map(np.concatenate, zip(*batches, strict=True))) if batches else None


def _tested(engine: VectorEngine, objective: Objective, test: Loader | None) -> dict[str, Any]:
    """The main figures of the test photographs; nothing where there are none that can be read."""
    answers = _answers(engine, test) if test is not None else None
    if answers is None:
        return {}
    figures = objective.task.score(answers.outputs, answers.labels, objective.texts)
    return {TEST: {name: figures[name] for name in objective.task.headline}}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _predictions(paths: Sequence[str], labels: Labels, card: ModelCard, objective: Objective, outputs: Outputs) -> str:
    text, task = io.StringIO(), objective.task
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "label", *task.recorded(card.classes)])
    for path, label, row in zip(paths, labels.tolist(), outputs, strict=True):
        rows.writerow([path, objective.texts[label], *task.record(row, card.classes)])
    return text.getvalue()
