"""A run on disk: its folder is begun with the plan, finished with the exported model, and complete with its metrics."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobilenets.data.loader import Loader
from mobilenets.data.readable import MAX_CHECKED
from mobilenets.data.samples import Samples
from mobilenets.data.sources.survey import Survey
from mobilenets.errors import ModelFileError
from mobilenets.exporting.targets.onnx import export_onnx, write_card
from mobilenets.features.embeddings import Embeddings
from mobilenets.features.index import FILE as INDEX
from mobilenets.features.index import MAX_IMAGES
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import Network, read_network, write_network
from mobilenets.system import torchrun_env
from mobilenets.system.files import write_atomic
from mobilenets.tasks.classify.predictions import path_text
from mobilenets.tasks.detect.metrics import without_boxes
from mobilenets.tasks.objective import Objective
from mobilenets.tasks.task import Labels, Outputs, Task
from mobilenets.training.feature_index import TrainImages, write_index
from mobilenets.training.plan import Plan
from mobilenets.training.vectors import VectorEngine
from mobilenets.training.whole_photos import Answers, answers_to_whole, whole_predictor
from mobilenets.weights.kept import KEPT, PROBE, TEST

log = logging.getLogger(__name__)

JOB = Path("checkpoint", "job")  # the launcher's job that made the folder, where that may start it again

FIXED_S = 7.0  # exporting, timing, heat maps, the report, the end of the process; the index takes longer than a look


def begin_folder(folder: Path, plan: Plan) -> None:
    """Make the run folder with its plan, before the work: that it cannot be written is told at once."""
    (folder / JOB).parent.mkdir(parents=True, exist_ok=True)
    plan.write(folder)
    if torchrun_env.may_restart():
        write_atomic(folder / JOB, torchrun_env.job())


def finishing_s(validated: int, trained: int, tested: int, look_image_s: float) -> float:
    """About how many seconds the end of a run takes: what `finish` writes, an audit of the data and the report.

    So many photographs validate, train and test; `look_image_s`: seconds of reading one and running it through the
    network.
    """
    in_all = validated + trained + tested
    audited = tested if in_all <= MAX_CHECKED else MAX_CHECKED  # the others were measured as they were checked
    return FIXED_S + look_image_s * (validated + min(trained, MAX_IMAGES) + tested + audited)


@dataclass(frozen=True)
class Finished:
    """What `finish` made: the card with the metrics, and the photographs of predictions.csv, row by row."""

    card: ModelCard
    images: Samples


def finish(
    folder: Path,
    objective: Objective,
    val: Loader,
    test: Loader | None = None,
    train: TrainImages | None = None,
    survey: Survey | None = None,
) -> Finished:
    """Turn `folder/model.safetensors` into a run folder with everything but what `complete` writes, and pages.

    `objective`: what the labels of the photographs number.
    The metrics are those of `model.onnx` on the validation photographs: of the file that will be used,
    not of the network in memory. They say which weights these are (`kept`), and have the main figures of the test
    photographs (`test`), where there are any: what chose the weights is not what tells their worth. `train`: what the
    index is made of, by which photographs of another kind are told; None: the folder gets none. `survey`: that of the
    data; where it was cut into tiles, the figures are of whole photographs, as `predict` answers them.
    """
    (folder / INDEX).unlink(missing_ok=True)  # of other weights, if the run was stopped before
    network = read_network(folder / "model.safetensors")
    model, card = network.model, network.card
    export_onnx(model, card, folder / "model.onnx")
    answers_to, engine = _answering(folder / "model.onnx", objective, survey)
    answers = answers_to(val)
    if answers is None:
        raise ModelFileError(f"{folder}: none of the validation photos can be read any more")
    texts, images, outputs, seen = answers
    kept = {KEPT: card.metrics[KEPT]} if KEPT in card.metrics else {}
    objective = Objective(objective.task.of(card).settled(outputs, images.labels, texts), texts)
    figures = objective.task.score(outputs, images.labels, texts)
    if line := without_boxes(figures):
        log.warning("validation: %s; --val DIR names others", line)
    card = replace(card, thresholds=objective.task.thresholds)
    tested = None if test is None else answers_to(test)
    card = replace(card, metrics={**figures, **kept, **_tested(tested, objective.task)})
    write_network(folder / "model.safetensors", model, card)
    write_card(card, folder / "model.onnx")
    write_answers(folder, card, objective, [path_text(image.path) for image in images], images.labels, outputs)
    if train is not None and engine is not None:
        write_index(folder, engine, card, train, seen, images, objective, is_probe=kept.get(KEPT) == PROBE)
    return Finished(card, images)


def _answering(
    model: Path, objective: Objective, survey: Survey | None
) -> tuple[Callable[[Loader], Answers | None], VectorEngine | None]:
    """What answers a loader's photographs, and the engine it does so with, where it gives features.

    Tiles are answered as the whole photographs that they were cut from, of which there are no features.
    """
    if survey is not None and survey.uncut:
        predictor = whole_predictor(model)
        return lambda loader: answers_to_whole(predictor, loader.samples, survey), None
    engine = VectorEngine(model)
    return lambda loader: _answers(engine, loader, objective.texts), engine


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


def _answers(engine: VectorEngine, loader: Loader, texts: tuple[str, ...]) -> Answers | None:
    """Those to a loader's photographs; None where none can be read."""
    batches = [(*engine(batch.pixels), batch.indices) for batch in loader.epoch(0)]
    if not batches:
        return None
    outputs, seen, shown = zip(*batches, strict=True)
    return Answers(texts, loader.samples.take(np.concatenate(shown)), np.concatenate(outputs), Embeddings.joined(seen))


def _tested(answers: Answers | None, task: Task[Any]) -> dict[str, Any]:
    """The main figures of the test photographs; nothing where there are none that can be read."""
    if answers is None:
        return {}
    figures = task.score(answers.outputs, answers.images.labels, answers.texts)
    return {TEST: {name: figures[name] for name in task.headline}}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _predictions(paths: Sequence[str], labels: Labels, card: ModelCard, objective: Objective, outputs: Outputs) -> str:
    text, task = io.StringIO(), objective.task
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "label", *task.recorded(card.classes)])
    for path, label, row in zip(paths, labels.tolist(), outputs, strict=True):
        rows.writerow([path, objective.texts[label], *task.record(row, card.classes)])
    return text.getvalue()
