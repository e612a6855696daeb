"""`mobilenets demo`: real weights, real photographs, no network."""

import csv
import json
import os
from pathlib import Path

import pytest

from conftest import is_one_line_error
from mobilenets.errors import UsageError
from mobilenets.training.loop import Trainer
from mobilenets.verbs import demo
from mobilenets.verbs.demo import write_csv


def test_the_demos_photographs_are_the_published_ones(tmp_path: Path) -> None:
    rows = list(csv.DictReader(write_csv(tmp_path / "cells.csv").open(encoding="utf-8")))
    labels = [row["label"] for row in rows]
    assert (labels.count("functional"), labels.count("defective")) == (1803, 821)  # probability below, from 0.5
    assert {row["stratum"] for row in rows} == {"mono", "poly"}
    assert all(Path(row["path"]).is_file() for row in rows)


def _every(step: int, path: Path) -> Path:
    """The list with one photograph in `step`."""
    head, *rows = write_csv(path).read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *rows[::step]]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("step", "size", "validated", "least"),
    [(4, 96, 164, 0.75), pytest.param(1, 192, 656, 0.8, marks=pytest.mark.slow)],
    ids=["some of its photos, smaller", "all, as for a user"],
)
def test_the_demo_learns_evaluates_predicts_and_says_what_is_next(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, size: int, validated: int, least: float
) -> None:
    # Too short to fine-tune: the probe alone is already far above the larger class's 0.687. The proxy would catch
    # anything that asked for a network.
    monkeypatch.setattr(demo, "write_csv", lambda path: _every(step, path))
    monkeypatch.setitem(demo.SETTINGS, "size", size)
    trained: list[object] = []
    monkeypatch.setattr(Trainer, "fit", trained.append)
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    result = cli("demo", "--minutes", "0.002", env=offline)
    assert result.returncode == 0, result.stderr
    assert not trained
    folder = tmp_path / "runs" / "demo"
    metrics = json.loads((folder / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["n"] == validated
    assert metrics["accuracy"] > least
    assert (folder / "predictions.png").exists()
    probe = json.loads((folder / "run" / "probe.json").read_text(encoding="utf-8"))
    assert abs(probe["val_accuracy"] - metrics["accuracy"]) < 0.02  # it is the model that was kept
    report = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "linear probe" in report
    assert "ms for one photo, onnxruntime, one thread" in report
    assert report.count('alt="heat map: ') == 24
    for named in ("report.html", "model.onnx", "predictions.png", "mobilenets train"):
        assert named in result.stdout


def test_the_demo_overwrites_nothing(cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    result = cli("demo", "--out", tmp_path / "mine")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "mine" in result.stderr


def test_the_photos_it_shows_are_from_all_over_the_list(tmp_path: Path) -> None:
    rows = [f"{label}-{i}.png,{label}" for label in ("defective", "functional") for i in range(9)]
    (tmp_path / "predictions.csv").write_text("\n".join(["path,label", *rows]))
    shown = demo._four(tmp_path / "predictions.csv")
    assert shown == ["defective-3.png", "defective-6.png", "functional-3.png", "functional-6.png"]


def test_there_is_a_demo_of_classes_and_one_of_boxes_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="classify or detect"):
        demo.demo(task="multilabel", out=tmp_path / "demo")  # type: ignore[arg-type]
    assert not (tmp_path / "demo").exists()


def test_trees_that_cannot_be_fetched_are_told_with_the_place_to_put_them(cli, tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    result = cli("demo", "--task", "detect", env={**nowhere, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""})
    assert is_one_line_error(result, "deepforest==", "pip download --no-deps")


@pytest.mark.slow
def test_the_demo_of_trees_lists_every_tree_and_draws_what_it_finds(cli, tmp_path: Path) -> None:
    result = cli("demo", "--task", "detect", "--minutes", "0.2")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "runs" / "demo"
    rows = list(csv.DictReader((folder / "trees.csv").open(encoding="utf-8")))
    splits = [row["split"] for row in rows]
    assert (splits.count("train"), splits.count("val")) == (574, 279)
    assert all(Path(row["path"]).is_file() for row in rows)
    assert {"mAP50", "false_alarms"} <= json.loads((folder / "run" / "metrics.json").read_text()).keys()
    assert (folder / "predictions.png").exists()
    for named in ("report.html", "model.onnx", "predictions.png", "mobilenets train", "IoU 0.5"):
        assert named in result.stdout
