"""`predict` of a run with an index: what is unlike its training photographs is unknown."""

import asyncio
import csv
import io
import json
import pickle
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

import mobilenets as mn
from conftest import Cli, is_one_line_error, write_photos
from mobilenets.data.manifest import Manifest
from mobilenets.serving.app import make_app
from mobilenets.training.run import train

CLASSES = ("daisy", "rose")
ENGINE = "--engine", "onnxruntime"  # without a measurement of which is fastest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A probe on trained weights; beside it `known/`, photographs of its kind, and `other/`, of stripes."""
    folder = tmp_path_factory.mktemp("unknown")
    data = write_photos(folder / "photos", CLASSES, 30, size=40)
    train(data, folder / "run", model="mobilenet_v2", weights="torchvision-v1", recipe="probe", size=64, device="cpu")
    write_photos(folder / "known", CLASSES, 10, size=40, seed=1)
    (folder / "other").mkdir()
    for i in range(4):
        stripes = np.tile(np.arange(40) // (i + 2) % 2 * 255, (40, 1)).astype(np.uint8)
        Image.fromarray(stripes).convert("RGB").save(folder / "other" / f"{i}.png")
    return folder / "run"


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_unknown_have_no_label_and_say_how_known_they_are_and_what_they_are_most_like(cli: Cli, run: Path) -> None:
    other = lines(cli("predict", *ENGINE, run, run.parent / "other", "--format", "jsonl").stdout)
    assert [line["label"] for line in other] == [None] * 4
    for line in other:
        assert 0 < line["known"] < 0.05
        assert len(line["nearest"]) == 3
        assert all((run.parent / "photos" / path).exists() for path in line["nearest"])
        assert line["probability"] == line["top"][0]["probability"]
    known = lines(cli("predict", *ENGINE, run, run.parent / "known", "--format", "jsonl").stdout)
    accepted = [line for line in known if line["label"] is not None]
    assert len(accepted) >= 13
    assert all(line["known"] > 0.05 and line["label"] in CLASSES for line in accepted)


def test_the_table_and_csv_call_them_unknown(cli: Cli, run: Path) -> None:
    picture = run.parent / "other" / "0.png"
    table = cli("predict", *ENGINE, run, picture).stdout.splitlines()
    assert table[1].startswith("unknown (known: 0.0")
    assert "photos" not in table[1]
    assert table[2].startswith("class: ")
    (row,) = csv.DictReader(io.StringIO(cli("predict", *ENGINE, run, picture, "--format", "csv").stdout))
    assert row["label"] == "unknown"
    assert float(row["known"]) < 0.05
    assert row["nearest"] in table[1]


def test_accept_says_how_many_of_the_known_are_taken_for_known(cli: Cli, run: Path) -> None:
    def accepted(share: str) -> int:
        answers = lines(
            cli("predict", *ENGINE, run, run.parent / "known", "--format", "jsonl", "--accept", share).stdout
        )
        return sum(line["label"] is not None for line in answers)

    assert accepted("0.2") < accepted("0.9") <= accepted("1") == 20


def test_pictures_are_sorted_into_the_folders_of_their_classes_and_unknown(cli: Cli, run: Path, tmp_path: Path) -> None:
    sources = run.parent / "other", run.parent / "known" / "rose" / "000.jpg"
    assert cli("predict", *ENGINE, run, *sources, "--sort-into", tmp_path / "sorted", "--accept", "0.9").returncode == 0
    found = {path.relative_to(tmp_path / "sorted").parts[0] for path in (tmp_path / "sorted").rglob("*.*")}
    assert found <= {*CLASSES, "unknown"}
    assert len([*(tmp_path / "sorted" / "unknown").iterdir()]) >= 4
    again = cli("predict", *ENGINE, run, *sources, "--sort-into", tmp_path / "sorted")
    assert is_one_line_error(again, "sorted: holds files already")
    assert cli("predict", *ENGINE, run, sources[0], "--sort-into", tmp_path / "links", "--link").returncode == 0
    assert all(path.is_symlink() for path in (tmp_path / "links" / "unknown").iterdir())


def test_programs_get_none_as_label_and_a_pickled_classifier_answers_the_same(run: Path) -> None:
    classifier = mn.load(run, "onnxruntime")
    answer = classifier.predict(run.parent / "other" / "0.png")
    assert answer.label is None
    assert answer.title == ("unknown", f"{answer.known:.3f}")
    assert pickle.loads(pickle.dumps(classifier)).predict(run.parent / "other" / "0.png") == answer
    many = [*classifier.predict_many([run.parent / "other" / "0.png"] * 3)]
    assert [a.label for a in many] == [None] * 3
    assert [a.known for a in many] == [answer.known] * 3


def test_the_service_says_so_too(run: Path) -> None:
    app = make_app(mn.load(run, "onnxruntime"))

    async def ask(picture: Path) -> httpx.Response:
        options = {"transport": httpx.ASGITransport(app), "base_url": "http://x"}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(**options) as client,
        ):
            return await client.post("/predict", content=picture.read_bytes())

    (result,) = asyncio.run(ask(run.parent / "other" / "0.png")).json()["results"]
    assert result["label"] is None
    assert 0 < result["known"] < 0.05
    assert len(result["nearest"]) == 3


def test_evaluate_says_how_well_others_are_told_from_the_known(cli: Cli, run: Path) -> None:
    options = run, run.parent / "known", "--unknown", run.parent / "other"
    result = cli("evaluate", *ENGINE, *options, "--json")
    metrics = json.loads(result.stdout)
    found = metrics["unknown"]
    assert (metrics["n"], found["n"], found["accepted"]) == (20, 4, 0)
    assert found["auroc"] > 0.9
    assert found["known_accepted"] > 0.6
    assert found["accuracy_accepted"] == 1
    assert "taken for known" in cli("evaluate", *ENGINE, *options).stdout
    # What the run was trained on is no known photograph that it could fail on.
    photos, listed = run.parent / "photos", Manifest.read(run / "data.csv")
    mixed = json.loads(cli("evaluate", *ENGINE, run, photos, *options[2:], "--json").stdout)
    assert mixed["n"] + mixed["trained_on"]["n"] == 60
    rows = [f"{listed.paths[i]},{Path(listed.paths[i]).parts[0]}" for i in listed.of("val")]
    (photos / "val.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    alone = json.loads(cli("evaluate", *ENGINE, run, photos / "val.csv", *options[2:], "--json").stdout)
    (photos / "val.csv").unlink()
    assert mixed["unknown"] == alone["unknown"]


def test_what_is_not_there_to_be_told_from_the_known_is_refused(cli: Cli, run: Path, tmp_path: Path) -> None:
    known = run.parent / "known"
    (tmp_path / "no.txt").write_text("no photo")
    refused = cli("evaluate", *ENGINE, run, known, "--unknown", tmp_path / "no.txt")
    assert refused.returncode == 2
    assert "none of these photos can be read" in refused.stderr
    assert is_one_line_error(cli("evaluate", *ENGINE, run, known, "--unknown", tmp_path / "nowhere"), "no such file")
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("index.safetensors"))
    assert is_one_line_error(cli("evaluate", *ENGINE, tmp_path / "run", known, "--unknown", known), "has no index")


@pytest.mark.parametrize("file", ["model.safetensors", "model.onnx"])
def test_the_engines_agree(run: Path, file: str) -> None:
    engine = "openvino" if file == "model.onnx" else "torch"
    other = mn.load(run / file, engine).predict(run.parent / "other" / "1.png")
    ours = mn.load(run, "onnxruntime").predict(run.parent / "other" / "1.png")
    assert (other.known, other.nearest, other.label) == (ours.known, ours.nearest, None)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("onnx --input full"),
        *(pytest.param(options, marks=pytest.mark.slow) for options in ("onnx --half", "onnx --int8", "openvino")),
        *(pytest.param(target, marks=pytest.mark.exports) for target in ("litert", "executorch", "ncnn")),
    ],
)
def test_exported_files_tell_the_unknown_too(cli: Cli, run: Path, tmp_path: Path, options: str) -> None:
    exported = cli("export", run, "--to", *options.split(), "--allow-loss", "--out", tmp_path / "out")
    assert exported.returncode == 0, exported.stderr
    other = lines(cli("predict", tmp_path / "out", run.parent / "other", "--format", "jsonl").stdout)
    assert [line["label"] for line in other] == [None] * 4
    known = lines(cli("predict", tmp_path / "out", run.parent / "known", "--format", "jsonl").stdout)
    assert sum(line["label"] is not None for line in known) >= 10


def test_a_run_without_an_index_answers_as_before(cli: Cli, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("index.safetensors"))
    (line,) = lines(
        cli("predict", *ENGINE, tmp_path / "run", run.parent / "other" / "0.png", "--format", "jsonl").stdout
    )
    assert line.keys() == {"path", "label", "probability", "top"}
    assert line["label"] in CLASSES
    header = cli(
        "predict", *ENGINE, tmp_path / "run", run.parent / "other" / "0.png", "--format", "csv"
    ).stdout.splitlines()[0]
    assert header == "path,label,probability,error"
    refused = cli("predict", *ENGINE, tmp_path / "run", run.parent / "other", "--accept", "0.9")
    assert is_one_line_error(refused, "no index.safetensors beside it")


def test_an_index_of_another_run_and_a_damaged_one_are_refused(cli: Cli, run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    content = bytearray((copy / "index.safetensors").read_bytes())
    (copy / "index.safetensors").write_bytes(content[:-10])
    assert is_one_line_error(cli("predict", *ENGINE, copy, run.parent / "other"), "index.safetensors", "damaged")
    (copy / "index.safetensors").write_bytes(
        content.replace(mn.load(run, "onnxruntime").index.model.encode(), b"0" * 64)
    )
    assert is_one_line_error(cli("predict", *ENGINE, copy, run.parent / "other"), "the index of another model")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--accept", "0"], "--accept: 0 is no fraction"),
        (["--accept", "1.5"], "--accept: 1.5 is no fraction"),
        (["--accept", "nan"], "--accept: nan is no fraction"),
        (["--link"], "--link: is for --sort-into"),
    ],
)
def test_what_makes_no_sense_is_refused(cli: Cli, run: Path, options: list[str], named: str) -> None:
    assert is_one_line_error(cli("predict", *ENGINE, run, run.parent / "other", *options), named)
