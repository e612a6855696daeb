"""Each verb from Python gives what its command gives, prints nothing, and reports where it is asked to."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import mobilenets as mn
from mobilenets.runtime.predictor import Failure
from mobilenets.tasks.classify.answers import Prediction
from mobilenets.verbs.run import Run


@pytest.fixture(autouse=True)
def _no_output(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """A verb writes nothing to standard output."""
    yield
    assert capfd.readouterr().out == ""


@pytest.fixture
def run(trained: tuple[Path, Path]) -> Path:
    return trained[0]


@pytest.fixture
def data(trained: tuple[Path, Path]) -> Path:
    return trained[1]


def test_models(cli) -> None:
    rows = mn.models("mobilenet_v3*")
    assert [row.to_dict() for row in rows] == json.loads(cli("models", "mobilenet_v3*", "--json").stdout)
    assert {row.model for row in rows if row.default} == {row.model for row in rows}


def test_show(cli, run: Path) -> None:
    table = mn.show("mobilenet_v2", width=0.5, size=96)
    lines = cli("show", "mobilenet_v2", "--width", "0.5", "--size", "96").stdout
    assert f"{table.parameters:,}" in lines
    assert f"{table.macs:,}" in lines
    assert mn.show(run).stored


def test_evaluate_and_its_progress(cli, run: Path, data: Path) -> None:
    told: list[tuple[int, int | None, str]] = []
    result = mn.evaluate(run, data, engine="onnxruntime", progress=lambda *report: told.append(report))
    command = cli("evaluate", run, data, "--engine", "onnxruntime", "--json")
    assert result.to_dict() == json.loads(command.stdout)
    assert result.accuracy == result.metrics["accuracy"]
    assert [report for report in told if report[2] == "evaluating"] == [
        (i + 1, result.total, "evaluating") for i in range(result.total)
    ]


def test_predict(cli, run: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    photo = next(data.rglob("*.jpg"))
    results = list(mn.predict(run, [photo, tmp_path / "broken.jpg", photo], engine="onnxruntime", top=1))
    lines = cli("predict", run, photo, tmp_path / "broken.jpg", photo, "--engine", "onnxruntime", "--format", "jsonl",
                "--top", "1").stdout.splitlines()  # fmt: skip
    assert [type(result) for result in results] == [Prediction, Failure, Prediction]
    for result, line in zip(results, map(json.loads, lines), strict=True):
        if isinstance(result, Prediction):
            assert (result.label, len(result.top)) == (line["label"], 1)
            assert line["probability"] == pytest.approx(result.probability, abs=1e-4)
        else:
            assert result.error == line["error"]


def test_explain(run: Path, data: Path, tmp_path: Path) -> None:
    photo = next(data.rglob("*.jpg"))
    (explanation,) = mn.explain(run, photo, save=tmp_path / "seen.png")
    (prediction,) = mn.predict(run, photo, engine="torch")
    assert not isinstance(explanation, Failure)
    assert isinstance(prediction, Prediction)
    assert explanation.label == prediction.label
    assert explanation.heat.max() > 0
    assert (tmp_path / "seen.png").exists()


def test_audit(cli, data: Path, tmp_path: Path) -> None:
    found = mn.audit(data, weights="none", html=tmp_path / "audit.html", write_clean=tmp_path / "clean.csv")
    assert found.to_dict() == json.loads(cli("audit", data, "--weights", "none", "--json").stdout)
    assert (tmp_path / "audit.html").exists()
    with (tmp_path / "clean.csv").open(encoding="utf-8") as file:
        assert 0 < len(list(csv.reader(file))) - 1 <= found.files


def test_export_of_a_run(run: Path, tmp_path: Path) -> None:
    from mobilenets.model_card import read_card

    trained = Run(run, read_card(run / "model.safetensors"))
    result = trained.export("onnx", out=tmp_path / "onnx")
    assert result.agrees
    assert result.path == tmp_path / "onnx" / "model.onnx"
    assert result.to_dict() == json.loads((tmp_path / "onnx" / "verify.json").read_text(encoding="utf-8"))
    with pytest.raises(mn.UsageError, match="--half: not with --int8"):
        trained.export("onnx", out=tmp_path / "both", int8=True, half=True)


def test_a_run_predicts_and_is_evaluated(run: Path, data: Path) -> None:
    from mobilenets.model_card import read_card

    trained = Run(run, read_card(run / "model.safetensors"))
    photo = next(data.rglob("*.jpg"))
    assert trained.classifier("onnxruntime").predict(photo).label in trained.card.classes
    assert trained.evaluate(data, engine="onnxruntime").metrics["n"] > 0
    assert trained.metrics["accuracy"] == trained.card.metrics["accuracy"]


def test_train(photos: Path, tmp_path: Path) -> None:
    told: list[str] = []
    run = mn.train(
        photos, model="mobilenet_v3_small", width=0.35, weights=None, recipe="scratch", epochs=1, size=32,
        batch_size=8, precision="fp32", device="cpu", changes={"augment.hflip": 0}, out=tmp_path / "run",
        progress=lambda done, total, what: told.append(what),
    )  # fmt: skip
    assert isinstance(run, Run)
    assert (run.path / "model.onnx").exists()
    assert run.metrics["n"] == run.classifier().card.metrics["n"]
    assert any("loss" in what for what in told)
    with pytest.raises(mn.UserError, match="complete"):
        mn.train(resume=True, out=run.path)


def test_search_says_what_is_missing(run: Path, data: Path) -> None:
    with pytest.raises(mn.UsageError, match="--latency MS: is missing"):
        mn.search(data, run=run)
    with pytest.raises(mn.UsageError, match=r"2\.0ms"):
        mn.search(data, run=run, latency_ms="fast")


def test_cache(cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(home))
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "file").write_bytes(b"12345")
    assert mn.cache().files == ((home / "weights" / "file", 5),)
    cleared = mn.cache(clear=True)
    assert (cleared.freed, cleared.files, cleared.folder) == (5, (), home)


def test_bench(run: Path) -> None:
    told: list[str] = []
    report = mn.bench(run / "model.onnx", engine="onnxruntime", threads=1, progress=lambda *of: told.append(of[2]))
    (row,) = report
    assert report.to_dict()[0]["quiet_ms"] == row.quiet_ms > 0
    assert "measuring" in told
