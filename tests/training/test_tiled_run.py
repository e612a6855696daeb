"""A detector trained on tiles of large photos: it looks at other photos in the same tiles, unless told otherwise."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mobilenets as mn
from annotated import Photo, write_photos
from command import run_command
from conftest import Cli, is_one_line_error
from mobilenets.arch import build
from mobilenets.data.match import Matched
from mobilenets.data.samples import Samples, SamplesBuilder, Splits
from mobilenets.data.sources.survey import Survey
from mobilenets.data.tiles import cut, whole
from mobilenets.errors import DataError
from mobilenets.model_card import TILE, read_card
from mobilenets.tasks.detect.targets import Box, text_of
from mobilenets.tasks.detect.tiles import grid, merged
from mobilenets.weights.kept import closing_lines
from small import write_random

SIZE, SIDE = (200, 150), 96
QUICK = (
    "--size",
    "64",
    "--recipe",
    "finetune",
    "--epochs",
    "1",
    "--precision",
    "fp32",
    "--device",
    "cpu",
    "--threads",
    "1",
)
QUICK += ("--set", "batch_size=8", "--set", "head_steps=2", "--tile", str(SIDE))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos of 200×150 with three white squares each."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    lines = [["path", "boxes"]]
    for i in range(5):
        pixels = rng.integers(0, 120, (SIZE[1], SIZE[0], 3), np.uint8)
        boxes = []
        for _ in range(3):
            x, y = rng.integers(0, SIZE[0] - 20), rng.integers(0, SIZE[1] - 20)
            pixels[y : y + 20, x : x + 20] = 250
            corners = x / SIZE[0], y / SIZE[1], (x + 20) / SIZE[0], (y + 20) / SIZE[1]
            boxes.append(Box("square", *map(float, corners)))
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append([f"{i}.png", text_of(boxes)])
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder / "list.csv"


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out, net = data.parent / "run", build("mobilenet_v3_small", width=0.35, num_classes=3)
    weights = write_random(data.parent / "weights.safetensors", net, ("a", "b", "c"), 64)
    done = run_command(["train", str(data), "--out", str(out), "--weights", str(weights), *QUICK], Path.cwd(), {}, None)
    assert done.returncode == 0, done.stderr
    assert "--tile 96: 5 photos cut into 30 tiles" in done.stderr
    return out


def test_the_run_knows_its_tiles_and_the_photos_they_are_of(run: Path, data: Path) -> None:
    assert read_card(run).provenance[TILE] == str(SIDE)
    assert f"tile: {SIDE}" in (run / "config.yaml").read_text()
    with (run / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    held_out = {Path(row["path"]).name[0] for row in rows if row["split"] == "val"}
    assert len(held_out) == 1, "tiles of one photo are on one side"
    assert sum(row["split"] == "val" for row in rows) == 6


def test_photos_are_answered_in_the_tiles_of_the_training(run: Path, data: Path) -> None:
    predictor = mn.load(run, "onnxruntime")
    photo = data.parent / "0.png"
    image = Image.open(photo)
    tiles = grid(*SIZE, SIDE)
    crops = [image.crop((t.left, t.top, t.left + t.width, t.top + t.height)) for t in tiles]
    rows = [predictor.outputs(predictor.pixels(crop)[None])[0] for crop in crops]
    expected = merged(tiles, rows, *SIZE)
    assert len(expected) > 0
    found = predictor.predict(photo)
    assert found == predictor.task.with_size(predictor.task.answer(str(photo), expected, predictor.classes), SIZE)
    (answer,) = mn.predict(run, photo, engine="onnxruntime")
    assert answer == found
    (whole,) = mn.predict(run, photo, engine="onnxruntime", tile=0)
    predictor.tile = None
    assert whole == predictor.predict(photo)
    assert whole != found


@pytest.mark.ray
def test_workers_of_ray_look_in_the_same_tiles(run: Path, data: Path, tmp_path: Path) -> None:
    photos = [str(data.parent / f"{k}.png") for k in range(3)]
    for tile, name in ((None, "tiled"), (0, "whole")):
        written = mn.predict(run, photos, ray=True, out=tmp_path / name, format="jsonl", tile=tile)
        assert written.done == 3
        found = [json.loads(line) for line in (tmp_path / name / "part-000000.jsonl").read_text().splitlines()]
        expected = mn.predict(run, photos, engine="onnxruntime", threads=1, tile=tile)
        assert found == [{"path": answer.path, **answer.to_dict()} for answer in expected]
    with pytest.raises(DataError, match="another --tile"):
        mn.predict(run, photos, ray=True, out=tmp_path / "tiled", format="jsonl", tile=0)


def test_whole_photos_are_evaluated_by_what_was_found_in_their_tiles(run: Path, data: Path, cli: Cli) -> None:
    """And those the run was trained on are kept apart, though it had them in tiles."""
    result = cli("evaluate", run, data, "--engine", "onnxruntime", "--json")
    metrics = json.loads(result.stdout)
    assert "5 of 5 photos were searched in tiles of 96 pixels" in result.stderr
    assert (metrics["n"], metrics["boxes"]) == (1, 3)
    assert (metrics["trained_on"]["n"], metrics["validated_by"]["n"]) == (4, 1)
    with (run / "data.csv").open() as file:
        name = next(Path(row["path"]).name[0] for row in csv.DictReader(file) if row["split"] == "val")
    with data.open() as file:
        text = next(row["boxes"] for row in csv.DictReader(file) if row["path"] == f"{name}.png")
    predictor = mn.load(run, "onnxruntime")
    image, tiles = Image.open(data.parent / f"{name}.png"), grid(*SIZE, SIDE)
    crops = [image.crop((t.left, t.top, t.left + t.width, t.top + t.height)) for t in tiles]
    found = merged(tiles, [predictor.outputs(predictor.pixels(crop)[None])[0] for crop in crops], *SIZE)
    expected = predictor.task.score(found[None], np.zeros(1, int), [text])
    for figure in ("mAP", "mAP50", "AR100", "log_loss", "false_alarms"):
        assert metrics[figure] == pytest.approx(expected[figure], abs=1e-6)


def test_photos_without_any_object_are_told_where_they_are_all_there_is(run: Path, tmp_path: Path, cli: Cli) -> None:
    Image.fromarray(np.zeros((150, 200, 3), np.uint8)).save(tmp_path / "new.png")
    (tmp_path / "empty.csv").write_text("path,boxes\nnew.png,[]\n")
    result = cli("evaluate", run, tmp_path / "empty.csv", "--engine", "onnxruntime")
    assert "none of these photos has a box: mAP and recall are 0 and say nothing" in result.stderr


@pytest.mark.parametrize(("tile", "cut"), [(0, None), (160, 5), (200, 0)])
def test_photos_are_recognised_in_whatever_tiles_they_are_searched(
    tile: int, cut: int | None, run: Path, data: Path, cli: Cli
) -> None:
    result = cli("evaluate", run, data, "--engine", "onnxruntime", "--tile", str(tile), "--json")
    metrics = json.loads(result.stdout)
    assert (metrics["n"], metrics["trained_on"]["n"], metrics["validated_by"]["n"]) == (1, 4, 1)
    assert (f"{cut} of 5 photos were searched" in result.stderr) == (cut is not None)
    assert ("searched" in result.stderr) == (cut is not None)


def test_figures_and_thresholds_of_the_run_are_of_whole_photos_as_evaluate_has_them(run: Path, data: Path) -> None:
    written = json.loads((run / "metrics.json").read_text())
    evaluated = mn.evaluate(run, data, engine="onnxruntime").metrics
    assert (written["n"], written["boxes"]) == (1, 3)
    assert written.keys() - evaluated.keys() == {"kept"}
    for name in ("mAP", "mAP50", "mAP_medium", "AR100", "log_loss", "false_alarms"):
        assert written[name] == pytest.approx(evaluated[name], rel=1e-5), name
    assert written["confusion_with_background"] == evaluated["confusion_with_background"]
    assert read_card(run).thresholds == (written["per_class"]["square"]["threshold"],)


def test_one_photo_has_no_interval(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["mAP_ci95"], metrics["mAP50_ci95"]) == (None, None)
    first, *_, last = closing_lines(run, metrics, "mAP", SIDE)
    assert last.split(";")[0].endswith("(n 1)")
    assert first.endswith("; compared by tiles of 96 pixels")
    assert "there is no interval" in (run / "report.html").read_text()


def test_the_answers_and_the_report_are_of_whole_photos(run: Path, data: Path) -> None:
    with (run / "predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    with data.open() as file:
        (text,) = {own["boxes"] for own in csv.DictReader(file) if Path(row["path"]).name == own["path"]}
    assert row["label"] == text
    assert Path(row["path"]).parent == data.parent
    page = (run / "report.html").read_text()
    assert "in 1 validation photo. It also chose the thresholds" in page
    assert "Figures count whole photos, by what was found in all their tiles of 96 pixels" in page
    assert not re.search(r"[0-9a-f]{64}/", page)


def test_tiles_that_came_or_went_are_called_by_their_photo_and_place() -> None:
    name = f"/cache/tiles/0f/{'0f' * 32}/96-25-1-2/field_52_0.png"
    gone = Matched(Splits((), *[Samples.of([])] * 3), (), (name, name), (), ("a.png",), 0)
    assert gone.describe() == [
        "2 tiles are gone: field at 52, 0, field at 52, 0",
        "1 photo is labelled otherwise now and left out: a.png",
    ]


def test_all_boxes_of_the_photos_of_tiles_are_found_again(tmp_path: Path) -> None:
    """Also of copies with boxes of their own, of what was too small to be cut, and of photos of a group."""
    pixels = np.random.default_rng(0).integers(0, 255, (100, 150, 3), np.uint8)
    image = Image.fromarray(pixels)
    for name in ("a", "copy"):
        image.save(tmp_path / f"{name}.png")
    Image.fromarray(pixels[::-1]).save(tmp_path / "b.png")
    image.resize((64, 64)).save(tmp_path / "small.png")
    boxes = {name: text_of([Box(name, 0.0, 0.1 * k, 0.5, 1.0)]) for k, name in enumerate(("a", "b", "copy", "small"))}
    builder = SamplesBuilder(str(tmp_path), are_classes=False)
    for name, text in boxes.items():
        builder.add(f"{name}.png", text, group="site" if name == "b" else None)
    survey = Survey()
    tiles = cut(builder.samples(), 64, survey)
    assert len(tiles) > len(boxes)
    for name, text in boxes.items():
        group = "site" if name == "b" else str(tmp_path / f"{name}.png")
        of_one = [sample for sample in tiles if group in (sample.group, str(sample.path))]
        texts, (photo,) = whole(Samples.of(of_one), survey)
        assert (texts, photo.path) == ((text,), tmp_path / f"{name}.png")
    texts, photos = whole(tiles, survey)
    assert {photo.path.stem: texts[photo.label] for photo in photos} == boxes


def test_a_photo_that_cannot_be_read_has_its_place(run: Path, data: Path, tmp_path: Path, cli: Cli) -> None:
    shutil.copy(data.parent / "1.png", tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = cli("predict", run, tmp_path, "--format", "jsonl", "--engine", "onnxruntime")
    assert result.returncode == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert "error" in first
    assert second["path"].endswith("b.png")


def test_tiles_are_refused_where_there_are_no_boxes(tmp_path: Path, run: Path, data: Path, cli: Cli) -> None:
    for name in ("cat", "dog"):
        write_photos(tmp_path / "photos" / name, {f"{k}.jpg": Photo([]) for k in range(3)})
    is_one_line_error(
        cli("train", tmp_path / "photos", "--tile", "96", "--out", tmp_path / "run"), "cuts photos with boxes"
    )
    is_one_line_error(
        cli("train", tmp_path / "photos", "--tile", "9", "--out", tmp_path / "run"), "9 pixels are too few"
    )
    is_one_line_error(
        cli("predict", data.parent / "weights.safetensors", tmp_path / "photos", "--tile", "96"),
        "models that find objects",
    )


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("evaluate CLASSIFIER BOXES", ("'detect'", "'classify' is asked")),
        ("evaluate RUN CLASSES --engine onnxruntime", ("'classify'", "'detect' is asked")),
        ("export CLASSIFIER --to onnx --int8 --data BOXES --out OUT", ("'detect'", "'classify' is asked")),
        ("export RUN --to onnx --data CLASSES --out OUT", ("'classify'", "give other data")),
        ("train CLASSES --from RUN --out OUT", ("answers 'detect'", "asks for 'classify'")),
        ("train BOXES --val CLASSES --out OUT", ("'classify'", "'detect' is asked")),
        ("train CLASSES --val BOXES --out OUT", ("'detect'", "'classify' is asked")),
        ("search BOXES --from RUN --latency 1ms --out OUT", ("answers 'detect'",)),
        ("add-class RUN CLASSES/cat --name cow", ("answers 'detect'",)),
        ("explain RUN CLASSES/cat/0.jpg", ("'detect'",)),
    ],
)
def test_boxes_for_a_classifier_and_classes_for_a_detector_are_refused_in_a_line(
    command: str, words: tuple[str, ...], run: Path, data: Path, tmp_path: Path, cli: Cli
) -> None:
    for name in ("cat", "dog"):
        write_photos(tmp_path / "classes" / name, {f"{k}.jpg": Photo([]) for k in range(3)})
    there = {
        "CLASSIFIER": data.parent / "weights.safetensors", "RUN": run, "BOXES": data, "CLASSES": tmp_path / "classes",
        "OUT": tmp_path / "out",
    }  # fmt: skip
    for name, path in there.items():
        command = command.replace(name, str(path))
    is_one_line_error(cli(*command.split()), *words)
    assert not (tmp_path / "out").exists()
