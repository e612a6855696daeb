"""Every command, given a detector where it needs classes or the reverse: one line, exit code 2, and nothing is lost."""

import csv
import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from annotated import write_csv, write_photos
from command import run_command
from conftest import Cli, is_one_line_error
from mobilenets.arch import build
from small import write_random

QUICK = ("--size", "32", "--recipe", "finetune", "--epochs", "1", "--precision", "fp32", "--device", "cpu")
QUICK += ("--set", "batch_size=4", "--set", "head_steps=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of boxes and a folder of classes; the runs `detector` and `classifier` of them; `begun`, a stopped one."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "photos").mkdir()
    write_photos(folder / "photos")
    shutil.move(write_csv(folder / "photos"), folder / "photos" / "boxes.csv")
    rng = np.random.default_rng(0)
    for i, (name, colour) in enumerate([("blue", (0, 0, 200)), ("red", (200, 0, 0))] * 5):
        (folder / "classes" / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(colour, 20, (24, 24, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "classes" / name / f"{i}.png")
    net = build("mobilenet_v3_small", width=0.35, num_classes=3)
    weights = write_random(folder / "weights.safetensors", net, ("a", "b", "c"), 32)
    for run, data in (("detector", "photos/boxes.csv"), ("classifier", "classes")):
        command = ["train", data, "--out", run, "--weights", str(weights), *QUICK]
        done = run_command(command, folder, {"MOBILENETS_HOME": str(folder / "home")}, None)
        assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "detector", folder / "begun")
    for name in ("metrics.json", "model.safetensors", "model.onnx", "card.json"):
        (folder / "begun" / name).unlink()
    with (folder / "ask.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "rank"], ["photos/one.png", "", "1"]])
    return folder


ONLY_CLASSES = [
    ("add-class detector classes/red --name new", "'detect'"),
    ("embed detector photos/one.png --out seen.npy", "use a run of classes, or mobilenet_v3_small"),
    ("embed detector photos/one.png --out seen.parquet", "finds boxes"),
    ("similar detector photos/one.png", "finds boxes"),
    ("similar detector photos/one.png --among photos", "finds boxes"),
    ("label-next photos --from detector", "'detect'"),
    ("explain detector photos/one.png", "'detect'"),
    ("search photos/boxes.csv --from detector --latency 1ms", "'detect'"),
    ("predict detector photos/one.png --sort-into sorted", "--sort-into"),
    ("predict detector photos/one.png --accept 0.9", "finds boxes, and knows no photos to be like; leave it out"),
    ("evaluate detector photos/boxes.csv --unknown classes", "--unknown"),
    ("serve detector --port 0 --among photos", "finds boxes"),
    ("serve detector --port 0 --accept 0.9", "finds boxes"),
    ("serve detector --port 0 --label ask.csv", "--label"),
    ("audit photos/boxes.csv --weights detector/model.safetensors", "finds boxes"),
    ("audit photos/boxes.csv --model ssdlite_mobilenet_v2", "finds boxes"),
]
OTHER_DATA = [
    ("evaluate detector classes", "'classify'"),
    ("evaluate classifier photos/boxes.csv", "'detect'"),
    ("export detector --to onnx --data classes", "'classify'"),
    ("export classifier --to onnx --data photos/boxes.csv", "'detect'"),
    ("search photos/boxes.csv --from classifier --latency 1ms", "'detect'"),
    ("train classes --from detector", "'detect'"),
    ("train photos/boxes.csv --from classifier", "--from"),
    ("train classes --weights detector/model.safetensors", "finds boxes"),
    ("train classes --model ssdlite_mobilenet_v2", "use mobilenet_v2"),
    ("train classes --config detector/config.yaml --out new", "finds boxes"),
    ("train classes --tile 100", "--tile"),
    ("predict classifier photos/one.png --tile 100", "--tile"),
    ("train --resume --out begun --data classes", "finds boxes"),
    ("train --resume --out detector", "--from detector"),
    ("train --resume --out classifier", "--from classifier"),
]


@pytest.mark.parametrize(("command", "what"), ONLY_CLASSES + OTHER_DATA)
def test_it_is_refused_in_one_line_and_nothing_is_written(place: Path, cli: Cli, command: str, what: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    done = cli(*command.split(), cwd=place)
    lines = [line for line in done.stderr.splitlines() if "/s]" not in line]  # but for the progress of reading boxes
    assert is_one_line_error(CompletedProcess(done.args, done.returncode, done.stdout, "\n".join(lines)), what)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_what_needs_no_classes_works(place: Path, cli: Cli, tmp_path: Path) -> None:
    shown = cli("show", "detector", cwd=place)
    assert shown.returncode == 0
    assert "ssdlite_mobilenet_v3_small" in shown.stdout
    done = cli("predict", "detector", "photos/one.png", "--save", tmp_path / "seen.png", "--format", "jsonl", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).keys() == {"path", "objects"}
    assert (tmp_path / "seen.png").exists()
    begun = ("photos/boxes.csv", "--weights", "detector/model.safetensors", "--out", tmp_path / "on", *QUICK)
    done = cli("train", *begun, cwd=place)
    assert done.returncode == 0, done.stderr
