"""A task that the package does not know: how bright a photograph is. All it takes is this class and a line in `TASKS`.

It is trained, exported, verified, measured, predicted with and served by the code that does so for classes.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import mobilenets as mn
from mobilenets.cli.main import main
from mobilenets.errors import DataError, UsageError
from mobilenets.serving.app import make_app
from mobilenets.tasks import TASKS
from mobilenets.tasks.mark import Placeless
from mobilenets.tasks.task import Labels, Loss, Outputs, Task

TOLERANCE = 0.2  # an answer so far off is right


@dataclass(frozen=True)
class Reading(Placeless):
    """How bright a photograph is, 0 to 1."""

    path: str | None
    brightness: float

    @property
    def title(self) -> tuple[str, str]:
        return "brightness", f"{self.brightness:.2f}"

    def cut(self, top: int | None) -> "Reading":
        return self

    def to_dict(self) -> dict[str, Any]:
        return {"brightness": self.brightness}

    def lines(self, classes: Sequence[str]) -> list[str]:
        return [f"brightness {self.brightness:.3f}"]

    def cells(self, top: int) -> dict[str, str]:
        return {"brightness": f"{self.brightness:.6f}"}


class Squared:
    """The mean squared error of what is behind the head."""

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs.sigmoid() - targets).square().mean()

    def right(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ((outputs.sigmoid() - targets).abs() <= TOLERANCE).float().sum()


class Brightness(Task[Reading]):
    name = label = "brightness"
    outputs = (name,)
    fields = {"brightness": float}  # noqa: RUF012
    quality = train_quality = "near"
    headline = ("near", "n")
    labels_are_classes = False

    def check(self, data: Path, labels: Sequence[str], images: int) -> None:
        for text in labels:
            if not text.replace(".", "", 1).isdigit():
                raise DataError(f"{data}: brightness is {text!r}; give a number from 0 to 1")

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        return ()

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        return np.array([[float(text)] for text in labels], np.float32)

    def strata(self, labels: Sequence[str], counts: Labels) -> Labels:
        return np.array([int(4 * float(text)) for text in labels])

    def width(self, classes: Sequence[str]) -> int:
        return 1

    def answer(self, path: str | None, row: Outputs, classes: Sequence[str]) -> Reading:
        return Reading(path, float(row[0]))

    def columns(self, top: int) -> list[str]:
        return ["brightness"]

    def recorded(self, classes: Sequence[str]) -> list[str]:
        return ["answer"]

    def record(self, row: Outputs, classes: Sequence[str]) -> list[str]:
        return [f"{row[0]:.6f}"]

    def score(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> dict[str, Any]:
        error = np.abs(outputs - self.targets(texts)[labels])
        return {"near": float((error <= TOLERANCE).mean()), "mean_error": float(error.mean()), "n": len(labels)}

    def validate(self, outputs: Outputs, labels: Labels, texts: Sequence[str]) -> tuple[float, float]:
        error = np.abs(outputs - self.targets(texts)[labels])
        return float(np.square(error).mean()), float((error <= TOLERANCE).mean())

    def compare(self, expected: Outputs, found: Outputs) -> tuple[float, float]:
        difference = np.abs(expected - found)
        return float((difference < 0.001).mean()), float(difference.max())

    def head(self, *outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (outputs[0].sigmoid(),)

    def loss(self, labels: Labels, targets: torch.Tensor, balanced: bool, smoothing: float) -> Loss:
        return Squared()


@pytest.fixture(scope="module", autouse=True)
def task() -> Iterator[Task[Reading]]:
    TASKS["brightness"] = brightness = Brightness()
    yield brightness
    del TASKS["brightness"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photographs and a CSV: path,brightness."""
    folder = tmp_path_factory.mktemp("brightness")
    rng = np.random.default_rng(0)
    lines = ["path,brightness"]
    for i in range(40):
        level = rng.uniform(0.05, 0.95)
        pixels = rng.normal(255 * level, 20, (40, 40, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{pixels.mean() / 255:.3f}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(photographs: Path) -> mn.Run:
    """Trained by default settings but for the size: a network that pools sees brightness at once."""
    return mn.train(
        photographs / "table.csv", out=photographs / "run", model="mobilenet_v2", width=0.35, size=32, weights=None,
        recipe="scratch", epochs=3, precision="fp32", device="cpu", lr=0.01, batch_size=8,
        changes={"warmup_epochs": 0, "ema": 0.0},
    )  # fmt: skip


def test_it_trains_and_its_own_figures_choose_and_are_kept(run: mn.Run) -> None:
    assert (run.card.task, run.card.classes, run.card.net.num_classes) == ("brightness", (), 1)
    with (run.path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"train_near", "val_near", "val_loss"} <= rows[0].keys()
    best = max(rows, key=lambda row: (float(row["val_near"]), -float(row["val_loss"])))
    assert run.metrics["kept"] == {"epoch": int(best["epoch"])}
    assert run.metrics["near"] == pytest.approx(float(best["val_near"]), abs=0.15)
    assert json.loads((run.path / "metrics.json").read_text())["mean_error"] == run.metrics["mean_error"]


def test_predictions_and_report_speak_of_it(run: mn.Run) -> None:
    with (run.path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == run.metrics["n"]
    error = np.mean([abs(float(row["label"]) - float(row["answer"])) for row in rows])
    assert error == pytest.approx(run.metrics["mean_error"], abs=1e-5)
    page = (run.path / "report.html").read_text()
    assert "mean_error" in page
    assert "curves" in page


def test_photographs_of_all_levels_validate(run: mn.Run) -> None:
    with (run.path / "data.csv").open() as file:
        held_out = [float(row["label"]) for row in csv.DictReader(file) if row["split"] == "val"]
    assert {int(4 * level) for level in held_out} == {0, 1, 2, 3}


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_it_is_exported_and_verified_by_its_own_measure(run: mn.Run, target: Any) -> None:
    result = run.export(target)
    verified = result.verification
    assert verified.top1_agreement == 1
    assert verified.accuracy_before == verified.accuracy_after
    assert mn.load(result.path).predict(np.zeros((32, 32, 3), np.uint8)).brightness >= 0


def test_it_predicts_in_python_and_on_the_command_line(
    run: mn.Run, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photographs / "00.png"
    expected = mn.load(run.path, "onnxruntime").predict(photo)
    (found,) = mn.predict(run.path, photo, engine="onnxruntime")
    assert found == Reading(str(photo), pytest.approx(expected.brightness, abs=1e-5))
    capsys.readouterr()
    for form in ("table", "jsonl", "csv"):
        assert main(["predict", str(run.path), str(photo), "--format", form, "--engine", "onnxruntime"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"brightness {expected.brightness:.3f}"
    assert json.loads(lines[2]) == {"path": str(photo), "brightness": pytest.approx(expected.brightness, abs=1e-5)}
    assert lines[3] == "path,brightness,error"
    assert lines[4].startswith(f"{photo},0.")


def test_it_is_drawn_with_its_figure(run: mn.Run, photographs: Path) -> None:
    list(mn.predict(run.path, photographs / "01.png", save=photographs / "sheet.png", engine="onnxruntime"))
    assert Image.open(photographs / "sheet.png").width > 0


def test_it_is_evaluated_on_photographs_with_known_answers(run: mn.Run, photographs: Path) -> None:
    result = run.evaluate(photographs / "table.csv", engine="onnxruntime")
    assert result.metrics["n"] == run.metrics["n"], "those that it was not trained on"
    assert result.metrics["near"] == pytest.approx(run.metrics["near"], abs=0.15)


def test_it_is_served_as_its_own_fields_say(run: mn.Run, photographs: Path) -> None:
    predictor = mn.load(run.path, "onnxruntime")
    expected = predictor.predict(photographs / "02.png").brightness
    with TestClient(make_app(predictor)) as client:
        (answer,) = client.post("/predict", content=(photographs / "02.png").read_bytes()).json()["results"]
        described = client.get("/openapi.json").json()["components"]["schemas"]["Answer"]["properties"]
    assert answer["brightness"] == pytest.approx(expected, abs=1e-5)
    assert "brightness" in described
    assert "label" not in described, "only what the task says"


def test_what_is_made_for_classes_refuses_it_in_one_line(
    run: mn.Run, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = run.path / "model.safetensors"
    for command in (
        ["explain", run.path, photographs / "00.png"],
        ["search", photographs / "table.csv", "--from", run.path, "--latency", "1ms", "--out", tmp_path / "s"],
        ["train", photographs / "table.csv", "--from", run.path, "--out", tmp_path / "t"],
        ["train", photographs / "table.csv", "--recipe", "probe", "--weights", weights, "--out", tmp_path / "u"],
        ["export", run.path, "--to", "web", "--out", tmp_path / "w"],
        ["audit", photographs / "table.csv"],
    ):
        assert main([str(word) for word in command]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "brightness" in line
    with pytest.raises(UsageError, match="answers 'brightness'"):
        run.classifier()


def test_labels_are_read_and_checked_by_the_task(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(f"path,brightness\n{photographs / '00.png'},bright\n")
    with pytest.raises(DataError, match=r"bad.csv: brightness is 'bright'; give a number from 0 to 1"):
        mn.train(tmp_path / "bad.csv", out=tmp_path / "run")
