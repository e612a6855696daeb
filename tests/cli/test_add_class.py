"""`mobilenets add-class`: a run learns one class more from the features that it kept."""

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

import mobilenets as mn
from conftest import Cli, is_one_line_error, write_photos
from mobilenets.arch import build
from mobilenets.model_card import read_card, read_tensors
from mobilenets.runtime.index_file import find_index
from mobilenets.training.add_class import check_run
from mobilenets.training.probe.head import fit_head
from mobilenets.training.recipe import ProbeRecipe
from mobilenets.training.run import train
from small import write_random

CLASSES = ("daisy", "rose", "tulip")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, photos): a probe of two classes, whose photos are gone, and those of a third one."""
    folder = tmp_path_factory.mktemp("probed")
    photos = write_photos(folder / "photos", CLASSES, 16, size=40)
    (photos / "rose").rename(folder / "rose")
    net = build("mobilenet_v2", width=0.35, num_classes=2)
    weights = write_random(folder / "random.safetensors", net, CLASSES[:2], 32)
    run = train(photos, folder / "run", weights=str(weights), recipe="probe", device="cpu").path
    shutil.rmtree(photos)
    return run, folder / "rose"


@pytest.fixture(scope="module")
def extended(probed: tuple[Path, Path]) -> mn.Run:
    run, rose = probed
    return mn.add_class(run, rose, name="rose")


def test_the_run_with_one_class_more_knows_all_of_them_without_the_old_photos(
    probed: tuple[Path, Path], extended: mn.Run
) -> None:
    run, rose = probed
    assert extended.path == run.with_name("run-2")
    assert extended.card.classes == CLASSES
    # Of 16, by a network of random weights: what it sees, and so a few answers, are another processor's.
    assert [answer.top[0][0] for answer in mn.predict(extended.path, rose)].count("rose") >= 10
    assert (read_card(run).metrics["n"], extended.metrics["n"]) == (6, 9)
    assert extended.metrics["accuracy"] > 0.5
    assert json.loads((extended.path / "metrics.json").read_text("utf-8")) == extended.metrics
    made_from = {name: extended.card.provenance[name] for name in ("extended_from", "added_class", "classifier")}
    assert made_from == {"extended_from": "run", "added_class": "rose", "classifier": "refitted"}
    page = (extended.path / "report.html").read_text("utf-8")
    assert "the network of run, to which the class rose was added" in page
    files = {path.name for path in run.iterdir()} - {"checkpoint", "probe.json", "history.csv"}
    assert files <= {path.name for path in extended.path.iterdir()}


def test_its_head_is_that_of_a_probe_on_all_classes_at_once(extended: mn.Run) -> None:
    index = find_index(extended.path, extended.card)
    assert index is not None
    assert np.bincount(index.labels).tolist() == [13, 13, 13]
    head = fit_head(index.train.vectors, index.labels, ProbeRecipe(), seed=0)
    tensors = read_tensors(extended.path / "model.safetensors")
    np.testing.assert_array_equal(tensors["classifier.weight"], head.weight)


def test_a_further_class_is_added_to_what_add_class_made(extended: mn.Run, tmp_path: Path) -> None:
    more = write_photos(tmp_path / "more", ("violet",), 4, size=40) / "violet"
    again = mn.add_class(extended.path, more, name="violet", out=tmp_path / "run")
    assert again.card.classes == (*CLASSES, "violet")
    listed = (tmp_path / "run" / "data.csv").read_text("utf-8")
    assert all(f",{name},train," in listed and f",{name},val," in listed for name in again.card.classes)


def test_a_network_that_was_trained_keeps_the_rows_of_its_classes(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", CLASSES, 6, size=40)
    (photos / "tulip").rename(tmp_path / "tulip")
    run = train(
        photos, tmp_path / "run", {"batch_size": 4}, model="mobilenet_v3_small", width=0.35, recipe="scratch",
        epochs=1, size=32, precision="fp32", device="cpu",
    ).path  # fmt: skip
    extended = mn.add_class(run, tmp_path / "tulip", name="tulip", out=tmp_path / "out")
    before, after = (read_tensors(folder / "model.safetensors") for folder in (run, extended.path))
    np.testing.assert_array_equal(after["classifier.weight"][:2], before["classifier.weight"])
    assert extended.card.provenance["classifier"] == "extended"


def test_photos_that_look_like_an_old_class_are_told(
    probed: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    like_daisies = write_photos(tmp_path, CLASSES, 6, size=40) / "daisy"
    mn.add_class(probed[0], like_daisies, name="oxeye", out=tmp_path / "out")
    assert "are more like photos of the run than like one another" in caplog.text
    assert "like 'daisy'" in caplog.text


def test_a_name_that_looks_like_a_known_one_is_told(
    probed: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    check_run(probed[0], "Daisy")
    assert "the classes 'Daisy' and 'daisy' differ only in case" in caplog.text


def test_what_cannot_be_used_is_told_in_a_line_and_nothing_is_written(
    probed: tuple[Path, Path], cli: Cli, tmp_path: Path
) -> None:
    run, rose = probed
    empty, one, copy = tmp_path / "empty", tmp_path / "one", tmp_path / "copy"
    empty.mkdir()
    write_photos(one, ("x",), 1)
    (one / "broken.jpg").write_bytes(b"no photo")
    shutil.copytree(run, copy)
    out = tmp_path / "out"

    def refused(*words: str | Path, told: tuple[str, ...]) -> bool:
        result = cli("add-class", *words, "--out", out)
        return is_one_line_error(_without_progress(result), *told) and not out.exists()

    assert refused(run, rose, "--name", "daisy", told=("--name", "daisy"))
    assert refused(run, rose, "--name", " ", told=("--name", "blank"))
    assert refused(run, empty, "--name", "x", told=(str(empty), "0 photos"))
    assert refused(run, tmp_path / "nowhere", "--name", "x", told=("nowhere", "no such folder"))
    assert refused(run, one, "--name", "x", told=(str(one), "1 photo", "2 or more"))
    assert refused(empty, rose, "--name", "x", told=(str(empty), "config.yaml"))
    index = (copy / "index.safetensors").read_bytes()
    (copy / "index.safetensors").write_bytes(index[:1000])
    assert refused(copy, rose, "--name", "x", told=("index.safetensors", "damaged"))
    (copy / "index.safetensors").unlink()
    assert refused(copy, rose, "--name", "x", told=(str(copy), "index.safetensors"))
    (copy / "metrics.json").unlink()
    assert refused(copy, rose, "--name", "x", told=(str(copy), "metrics.json"))
    out.mkdir()
    assert is_one_line_error(cli("add-class", run, rose, "--name", "x", "--out", out), str(out), "exists already")


def _without_progress(result: CompletedProcess[str]) -> CompletedProcess[str]:
    """What is told at last, behind progress and photos that were skipped."""
    result.stderr = result.stderr.strip().splitlines()[-1]
    return result


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_is_left_of_a_run_that_did_not_come_to_its_end(
    probed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr("mobilenets.training.add_class.write_answers", full)
    with pytest.raises(type(error)):
        mn.add_class(*probed, name="rose", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
