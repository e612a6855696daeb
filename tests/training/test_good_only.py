"""Good photographs only: a run that tells what is unlike them, and where."""

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import mobilenets as mn
from conftest import Cli, is_one_line_error
from four import INSPECTED, SIDE, write_parts
from mobilenets.choices import Target, values
from mobilenets.data.manifest import manifest_of
from mobilenets.serving.app import make_app
from mobilenets.serving.overlay import inspector

INSTALLED = ("onnx", "openvino", "torch")  # the other converters are not in the test install
ALL = [pytest.param(t, marks=() if t in INSTALLED else pytest.mark.exports) for t in values(Target) if t != "web"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`good/part` to learn from, `defects` and a `test` folder with both kinds."""
    folder = tmp_path_factory.mktemp("parts")
    write_parts(folder / "good" / "part", 24, 0)
    write_parts(folder / "defects", 4, 100, (70, 20))
    write_parts(folder / "test" / "part", 6, 200)
    write_parts(folder / "test" / "blot", 6, 300, (24, 70))
    return folder


@pytest.fixture(scope="module")
def run(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> mn.Run:
    out = tmp_path_factory.mktemp("runs") / "parts"
    return mn.train(parts / "good", out=out, defects=parts / "defects", **INSPECTED)


def test_defects_are_told_from_good_ones_that_the_run_has_not_seen(run: mn.Run, parts: Path) -> None:
    figures = mn.evaluate(run.path, parts / "test").metrics
    assert figures["auroc"] == 1.0
    assert (figures["good_accepted"], figures["defects_found"]) == (1.0, 1.0)
    assert {name: row["n"] for name, row in figures["per_class"].items()} == {"blot": 6, "part": 6}


def test_the_strangest_place_is_the_defect(run: mn.Run, parts: Path) -> None:
    answers = list(mn.predict(run.path, parts / "test" / "blot"))
    for answer in answers:
        assert answer.label == "defect"
        left, top = answer.strangest
        assert abs(left - 24 / SIDE) < 0.2
        assert abs(top - 70 / SIDE) < 0.2
        assert answer.map.shape == (SIDE // 16, SIDE // 16)


def test_the_file_holds_the_patches_and_nothing_behind_the_maps(run: mn.Run) -> None:
    assert run.card.task == "anomaly"
    assert run.card.classes == ("part",)
    assert (len(run.card.net.blocks), run.card.net.last) == (13, None)
    assert (run.path / "model.onnx").stat().st_size < 4.5e6  # the whole network has 9


def test_the_folder_says_what_was_learned_from_and_what_chose(run: mn.Run) -> None:
    manifest = manifest_of(run.path)
    assert manifest is not None
    rows = list(zip(manifest.labels, manifest.splits, strict=True))
    assert (rows.count(("part", "train")), rows.count(("defect", "val"))) == (19, 4)
    with (run.path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        recorded = list(csv.DictReader(file))
    assert {(row["label"], row["predicted"]) for row in recorded} == {("part", "part"), ("defect", "defect")}
    chosen = json.loads((run.path / "patches.json").read_text(encoding="utf-8"))
    assert chosen["blocks"] == list(run.card.net.patches.taps)
    assert "defect" in (run.path / "report.html").read_text(encoding="utf-8")


def test_config_repeats_the_run_to_the_same_weights(run: mn.Run, tmp_path: Path) -> None:
    again = mn.train(config=run.path / "config.yaml", out=tmp_path / "again")
    ours, theirs = (path / "model.safetensors" for path in (run.path, again.path))
    assert ours.read_bytes() == theirs.read_bytes()


def test_in_json_an_answer_has_its_score_and_its_map(run: mn.Run, parts: Path, cli: Cli) -> None:
    result = cli("predict", run.path, parts / "test" / "blot" / "00.png", "--format", "jsonl")
    answer = json.loads(result.stdout)
    assert answer["label"] == "defect"
    assert answer["score"] >= answer["threshold"]
    assert np.shape(answer["map"]) == (SIDE // 16, SIDE // 16)


def test_what_does_not_go_with_good_ones_only_is_refused(parts: Path, cli: Cli) -> None:
    good = ["train", parts / "good", "--model", "mobilenet_v2"]
    assert is_one_line_error(cli(*good, "--recipe", "finetune"), "--recipe finetune", "good ones only")
    assert is_one_line_error(cli(*good, "--epochs", "3"), "--epochs 3", "good ones only")
    assert is_one_line_error(cli(*good, "--weights", "none"), "weights: none", "random features")
    assert is_one_line_error(cli(*good, "--defects", parts / "none"), "--defects", "no such folder")


@pytest.mark.parametrize("target", ALL)
def test_an_exported_file_puts_every_photo_on_the_same_side(
    run: mn.Run, parts: Path, tmp_path: Path, target: Target
) -> None:
    exported = mn.export(run.path, target, out=tmp_path / target)
    figures = exported.verification
    assert figures.agrees
    assert figures.ran == (target != "coreml")
    if figures.ran:
        assert (figures.n, figures.top1_agreement) == (9, 1.0)
        assert figures.max_probability_difference is not None
        assert figures.max_probability_difference < 1e-3
    if target not in ("coreml", "torch"):
        (answer,) = mn.predict(exported.path, parts / "test" / "blot" / "00.png")
        (expected,) = mn.predict(run.path, parts / "test" / "blot" / "00.png")
        assert answer.label == expected.label
        np.testing.assert_allclose(answer.map, expected.map, atol=1e-3)


def test_the_service_draws_where_the_defect_is(run: mn.Run, parts: Path) -> None:
    predictor = mn.load(run.path)
    content = (parts / "test" / "blot" / "00.png").read_bytes()
    with TestClient(make_app(predictor, explain=inspector(predictor, 10**7))) as client:
        (result,) = client.post("/predict?explain=true", content=content).json()["results"]
    assert result["label"] == "defect"
    assert np.shape(result["map"]) == (SIDE // 16, SIDE // 16)
    layer = np.asarray(Image.open(io.BytesIO(base64.b64decode(result["overlay"]))))[..., 3]
    heat = layer / layer.sum()
    assert abs(heat.sum(0) @ np.linspace(0, 1, layer.shape[1]) - 24 / SIDE) < 0.15
    assert abs(heat.sum(1) @ np.linspace(0, 1, layer.shape[0]) - 70 / SIDE) < 0.15


def test_the_sheet_of_predict_is_warm_where_the_defect_is(run: mn.Run, parts: Path, tmp_path: Path, cli: Cli) -> None:
    photos = (parts / "test" / "blot" / "00.png", parts / "test" / "part" / "00.png")
    assert cli("predict", run.path, *photos, "--save", tmp_path / "sheet.png").returncode == 0
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    warm = np.argwhere(sheet[..., 0] - sheet[..., 2] > 60)
    tile = sheet.shape[1] // 2
    assert warm[:, 1].max() < tile, "the good one has no heat"
    inner, title = tile - 16, sheet.shape[0] - tile
    assert abs((warm[:, 1].mean() - 8) / inner - 24 / SIDE) < 0.15
    assert abs((warm[:, 0].mean() - title - 8) / inner - 70 / SIDE) < 0.15


def test_the_report_shows_the_strangest_with_their_heat(run: mn.Run) -> None:
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Learned from photos of <bdi>part</bdi> alone" in page
    assert page.count("heat map: half of the heat") >= 4  # of every defect
    assert "On the wrong side" not in page


def test_what_is_kept_is_no_start_for_others_and_not_in_8_bits(
    run: mn.Run, photos: Path, parts: Path, cli: Cli
) -> None:
    weights = run.path / "model.safetensors"
    assert is_one_line_error(cli("train", photos, "--weights", weights), "keeps patches of good ones")
    assert is_one_line_error(cli("export", run.path, "--to", "onnx", "--int8"), "--int8", "8 bits do not hold")
    assert cli("audit", parts / "good").returncode == 0


def test_without_defects_the_report_says_that_what_is_found_is_not_known(parts: Path, tmp_path: Path) -> None:
    run = mn.train(parts / "good", out=tmp_path / "run", **INSPECTED)
    assert (run.metrics["auroc"], run.metrics["good_accepted"]) == (None, 1.0)
    assert "what it finds is not known" in (run.path / "report.html").read_text(encoding="utf-8")
