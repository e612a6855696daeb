"""`train --from RUN` of a detector: it goes on with its anchors, its tiles and all that it knows of its classes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from command import run_command
from conftest import Cli
from mobilenets.arch import build
from mobilenets.data.manifest import EARLIER, FILE
from mobilenets.model_card import TILE, read_card, read_tensors
from mobilenets.nn.ssd import RARE, Detector
from mobilenets.tasks.detect.targets import Box, text_of
from mobilenets.training.settings import read_config
from small import write_random
from stopped import interrupted

COLOURS = {"blue": (40, 40, 220), "green": (40, 200, 40), "red": (220, 40, 40)}
OLD, ALL = ("blue", "red"), ("blue", "green", "red")
QUICK = ("--epochs", "2", "--precision", "fp32", "--device", "cpu", "--threads", "1", "--set", "batch_size=8")
BEGUN = ("--size", "64", "--recipe", "finetune", "--tile", "96", "--set", "head_steps=2")
SIZE, SIDE = np.array([150, 90]), 24


def draw(folder: Path, count: int, classes: tuple[str, ...], seed: int) -> Path:
    """Photos of two tiles with a square of each class, and `list.csv` with their boxes."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [["path", "boxes"]]
    for i in range(count):
        pixels = rng.integers(90, 160, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        boxes = []
        for name in classes:
            x, y = rng.integers(0, SIZE - SIDE)
            pixels[y : y + SIDE, x : x + SIDE] = COLOURS[name]
            boxes.append(Box(name, *(np.array([x, y, x + SIDE, y + SIDE]) / [*SIZE, *SIZE]).tolist()))
        Image.fromarray(pixels).save(folder / f"{seed}_{i}.png")
        lines.append([f"{seed}_{i}.png", text_of(boxes)])
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder / "list.csv"


def train(*arguments: str | Path) -> str:
    """Train in a few steps; what was said."""
    done = run_command([*map(str, ("train", *arguments, *QUICK))], Path.cwd(), {}, None)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("old"), 10, OLD, 0)


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    """A detector of blue and red squares, trained on tiles."""
    net = build("mobilenet_v3_small", width=0.35, num_classes=3)
    weights = write_random(data.parent / "weights.safetensors", net, ("a", "b", "c"), 64)
    train(data, "--weights", weights, *BEGUN, "--out", data.parent / "run")
    return data.parent / "run"


@pytest.fixture(scope="module")
def more(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All photos of `data` but two under other names, and new ones with green squares too."""
    folder = tmp_path_factory.mktemp("more")
    rows = list(csv.reader(draw(folder, 6, ALL, 1).open()))
    for path, boxes in list(csv.reader(data.open()))[3:]:
        shutil.copy(data.parent / path, folder / f"copy_{path}")
        rows.append([f"copy_{path}", boxes])
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "list.csv"


@pytest.fixture(scope="module")
def further(run: Path, more: Path) -> Path:
    said = train(more, "--from", run, "--seed", "3", "--out", more.parent / "run")
    assert f"{run}: validation mAP" in said
    assert "the classifier is new" not in said
    return more.parent / "run"


def photos(run: Path) -> dict[str, set[str]]:
    """Of each split the photos that its tiles are of."""
    found: dict[str, set[str]] = {}
    with (run / FILE).open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["split"], set()).add(Path(row["path"]).stem.rsplit("_", 2)[0].removeprefix("copy_"))
    return found


def test_network_anchors_input_and_tiles_are_those_of_the_run(run: Path, further: Path) -> None:
    before, after = read_card(run), read_card(further)
    assert after.classes == ALL
    assert after.net == before.net.with_classes(4)
    assert after.net.ssd.levels == before.net.ssd.levels
    assert after.net.ssd.max_overlap == before.net.ssd.max_overlap
    assert after.preprocess == before.preprocess
    assert after.provenance[TILE] == "96"
    assert after.provenance["trained_from"] == run.name
    assert after.provenance["classifier"] == "extended"


def test_known_photos_keep_their_split_and_those_that_are_gone_stay_known(run: Path, further: Path) -> None:
    before, after = photos(run), photos(further)
    gone = {"0_0", "0_1"}
    assert after["train"] >= before["train"] - gone
    assert after["val"] >= before["val"] - gone
    assert not after["val"] & before["train"]
    assert after.get(EARLIER, set()) == before["train"] & gone


def test_what_is_kept_is_no_worse_than_what_it_began_with(further: Path, run: Path) -> None:
    start = json.loads((further / "start.json").read_text())
    assert start["run"] == run.name
    with (further / "history.csv").open() as file:
        epochs = [(float(row["val_mAP"]), -float(row["val_loss"])) for row in csv.DictReader(file)]
    is_better = max(epochs) > (start["val_mAP"], -start["val_loss"])
    assert (read_card(further).metrics["kept"] != "start") == is_better
    assert f"network of {run.name}" in (further / "report.html").read_text()


def test_where_nothing_is_better_the_run_is_kept_as_it_was(run: Path, data: Path, tmp_path: Path) -> None:
    said = train(data, "--from", run, "--set", "lr=1000", "--set", "ema=0", "--out", tmp_path / "run")
    assert f"they are those of {run}, and stay: without --from there would be new ones" in said, "of 64 pixels"
    metrics = read_card(tmp_path / "run").metrics
    assert (metrics["kept"], metrics["mAP"]) == ("start", read_card(run).metrics["mAP"])
    before, after = read_tensors(run / "model.safetensors"), read_tensors(tmp_path / "run" / "model.safetensors")
    for name in before:
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def test_stopped_or_repeated_it_comes_to_the_same_weights(
    run: Path, more: Path, further: Path, tmp_path: Path, cli: Cli
) -> None:
    again = ("train", "--config", further / "config.yaml", "--out", tmp_path / "again")
    assert read_config(further / "config.yaml")[0].from_run == str(run)
    assert interrupted(lambda number: number == 4, *again).returncode == 130
    assert cli("train", "--resume", "--out", tmp_path / "again").returncode == 0
    one, other = read_tensors(further / "model.safetensors"), read_tensors(tmp_path / "again" / "model.safetensors")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert (tmp_path / "again" / FILE).read_text() == (further / FILE).read_text()


def test_a_stop_while_the_head_is_trained_loses_nothing(run: Path, data: Path, tmp_path: Path, cli: Cli) -> None:
    command = ("train", data, "--from", run, *QUICK, "--recipe", "probe", "--set", "head_steps=6")
    assert cli(*command, "--out", tmp_path / "whole").returncode == 0
    assert interrupted(lambda number: number == 5, *command, "--out", tmp_path / "stopped").returncode == 130
    assert cli("train", "--resume", "--out", tmp_path / "stopped").returncode == 0
    one, other = (read_tensors(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert read_card(tmp_path / "whole").metrics == read_card(tmp_path / "stopped").metrics


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        (OLD, ("--tile", "80"), ("--tile: 80", "trained on tiles of 96 pixels; leave it out")),
        (("green", "red"), (), ("has no photos of blue", "--weights")),
        (OLD, ("--model", "mobilenet_v3_large"), ("mobilenet_v3_large",)),
    ],
)
def test_what_contradicts_the_run_is_refused(
    run: Path, tmp_path: Path, classes: tuple[str, ...], options: tuple[str, ...], words: tuple[str, ...], cli: Cli
) -> None:
    data = draw(tmp_path / "data", 6, classes, 4)
    done = cli("train", data, "--from", run, *QUICK, *options, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert all(word in done.stderr.splitlines()[-1] for word in words), "below the progress of cutting tiles"
    assert not (tmp_path / "out").exists()


def test_what_is_known_scores_as_before_and_what_is_new_is_a_rare_part_of_the_background() -> None:
    torch.manual_seed(0)
    model = Detector(build("ssdlite_mobilenet_v3_small", width=0.35, num_classes=3)).eval()
    for heads in model.heads:
        torch.nn.init.normal_(heads.classes.predict.bias)
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        before = model(images)
        model.extend_classes([0, 2, 3], 5)
        after = model(images)
    old, new = before[..., :3].softmax(-1), after[..., :5].softmax(-1)
    torch.testing.assert_close(new[..., [2, 3]], old[..., [1, 2]], atol=1e-6, rtol=0)
    torch.testing.assert_close(new[..., [0, 1, 4]].sum(-1), old[..., 0], atol=1e-6, rtol=0)
    for k in (1, 4):
        torch.testing.assert_close(new[..., k], old[..., 0] * RARE / 4, atol=1e-6, rtol=0)
    torch.testing.assert_close(after[..., 5:], before[..., 3:])


def test_a_class_that_changes_places_takes_its_rows_along() -> None:
    torch.manual_seed(0)
    model = Detector(build("ssdlite_mobilenet_v3_small", width=0.35, num_classes=3)).eval()
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = model(images)
        model.extend_classes([0, 2, 1], 3)
        after = model(images)
    torch.testing.assert_close(after[..., [0, 2, 1]], before[..., :3])
    assert model.provenance["classifier"] == "kept"
