"""`train --from RUN`: the network goes on, and what it was trained on never validates it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import write_photos
from mobilenets.cli.main import main
from mobilenets.data.manifest import EARLIER, FILE, Manifest, list_images
from mobilenets.data.sources.read import read_splits
from mobilenets.errors import UserError
from mobilenets.model_card import read_card, read_tensors
from mobilenets.training.origin import Origin, fit_rows
from mobilenets.training.probe.head import Head
from mobilenets.training.settings import Settings, read_config

Trained = tuple[Path, Path]
QUICK = ("--epochs=1", "--precision=fp32", "--set=batch_size=8", "--device=cpu")


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Exit code and lines on standard error of a command."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, list[str]]:
        capfd.readouterr()
        code = main([*map(str, arguments)])
        return code, capfd.readouterr().err.splitlines()

    return call


def part(data: Path, name: str) -> list[Path]:
    splits = read_splits(data)
    return [sample.path for sample in getattr(splits, name)]


def copied(paths: list[Path], folder: Path) -> Path:
    """Copies under other names, in class folders."""
    for path in paths:
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name / f"copy {path.name}")
    return folder


def splits_of(run: Path) -> dict[str, str]:
    """From the hash of a photograph to its split."""
    with (run / FILE).open(encoding="utf-8", newline="") as file:
        return {row["sha256"]: row["split"] for row in csv.DictReader(file)}


def kept(run: Path, data: Path, val: Path | None = None):
    settings = Settings(str(data), val=str(val) if val else None)
    return Origin.open(run).keep_splits(read_splits(data, val=val, seed=7), settings)


# --- a run from a run -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def further(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, its data): the photographs of `trained` under other names, some more, and a third class."""
    run, data = trained
    folder = tmp_path_factory.mktemp("further")
    more = copied([*part(data, "train")[2:], *part(data, "val")], folder / "photos")
    write_photos(more, ("daisy", "rose"), 6, size=40, seed=5)
    write_photos(more, ("tulip",), 10, size=40, seed=6)
    assert main(["train", str(more), "--from", str(run), *QUICK, "--seed=3", "--out", str(folder / "run")]) == 0
    return folder / "run", more


def test_known_photographs_keep_their_split_and_new_ones_are_split(trained: Trained, further: Trained) -> None:
    before, after = splits_of(trained[0]), splits_of(further[0])
    common = before.keys() & after.keys()
    assert len(common) == 40
    gone = {Manifest.read(trained[0] / FILE).digests[i].tobytes().hex() for i in range(2)}
    assert {digest for digest in common if after[digest] == EARLIER} == gone
    assert all(after[digest] == before[digest] for digest in common - gone)
    new = [split for digest, split in after.items() if digest not in before]
    assert len(new) == 22
    assert 2 <= new.count("val") <= 7


def test_the_network_width_and_input_are_those_of_the_run(trained: Trained, further: Trained) -> None:
    old, new = read_card(trained[0]), read_card(further[0])
    assert new.classes == ("daisy", "rose", "tulip")
    assert (new.net.name, new.net.width, len(new.net.blocks)) == (old.net.name, old.net.width, len(old.net.blocks))
    assert new.preprocess == old.preprocess
    assert new.provenance["trained_from"] == trained[0].name
    assert new.provenance["classifier"] == "extended"


def test_the_run_says_what_it_began_with(trained: Trained, further: Trained) -> None:
    start = json.loads((further[0] / "start.json").read_text("utf-8"))
    assert start["run"] == trained[0].name
    assert 0 <= start["val_accuracy"] <= 1
    assert not (further[0] / "probe.json").exists()
    assert f"network of {trained[0].name}" in (further[0] / "report.html").read_text("utf-8")


def test_its_config_repeats_it(trained: Trained, further: Trained, told) -> None:
    assert read_config(further[0] / "config.yaml")[0].from_run == str(trained[0])
    assert told("train", "--config", further[0] / "config.yaml", "--out", "again")[0] == 0
    one, other = read_tensors(further[0] / "model.safetensors"), read_tensors(Path("again/model.safetensors"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert splits_of(Path("again")) == splits_of(further[0])


def test_evaluate_counts_what_the_earlier_run_was_trained_on(
    trained: Trained, further: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(further[0]), str(trained[1]), "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["n"], metrics["trained_on"]["n"]) == (8, 32)


# --- the split ------------------------------------------------------------------------------------------


def test_of_validation_photographs_that_the_data_names_those_trained_on_are_left_out(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = trained
    held = copied(part(data, "train")[::4], write_photos(tmp_path / "held", ("daisy", "rose"), 3, size=40, seed=8))
    new = write_photos(tmp_path / "new", ("daisy", "rose"), 4, size=40, seed=9)
    splits = kept(run, new, held)
    assert len(splits.train) == 8
    assert {sample.path.name for sample in splits.val} == {"000.jpg", "001.jpg", "002.jpg"}
    assert "8 photos do not validate or test" in capsys.readouterr().err
    earlier = Origin.open(run).earlier(list_images(splits, new, held))
    assert (len(earlier), set(earlier.splits)) == (32, {EARLIER})


def test_a_group_goes_where_the_run_had_one_of_it(trained: Trained, tmp_path: Path) -> None:
    run, data = trained
    new = write_photos(tmp_path / "new", ("daisy", "rose"), 8, size=40, seed=10)
    rows = [f"{path},{path.parent.name},{k}" for k, path in enumerate(part(data, "train"))]
    rows += [f"{path},{path.parent.name},{k + 50}" for k, path in enumerate(part(data, "val"))]
    rows += [f"{path},{path.parent.name},{k}" for k, path in enumerate(sorted(new.rglob("*.jpg")))]
    table = tmp_path / "list.csv"
    table.write_text("path,label,group\n" + "\n".join(rows) + "\n")
    splits = kept(run, table)
    assert not {s.group for s in splits.train} & {s.group for s in splits.val}
    assert {s.path for s in splits.val} == set(part(data, "val"))


def test_where_all_was_trained_on_nothing_could_validate(trained: Trained, tmp_path: Path, told) -> None:
    known = copied(part(trained[1], "train"), tmp_path / "known")
    code, lines = told("train", known, "--from", trained[0], *QUICK, "--out", "out")
    assert code == 2
    assert "was trained on all that could validate" in lines[-1]
    assert not Path("out").exists()


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--model=mobilenet_v3_large"], "mobilenet_v3_large"),
        (["--width=0.75"], "0.75"),
        (["--weights=torchvision-v1"], "weights: torchvision-v1 with --from"),
        (["--recipe=scratch"], "scratch"),
    ],
)
def test_what_contradicts_the_run_is_refused(trained: Trained, told, options: list[str], named: str) -> None:
    code, lines = told("train", trained[1], "--from", trained[0], *QUICK, *options, "--out", "out")
    assert code == 2
    assert named in lines[-1]
    assert not Path("out").exists()


def test_data_without_some_of_the_classes_is_refused(trained: Trained, tmp_path: Path, told) -> None:
    data = write_photos(tmp_path / "photos", ("daisy", "tulip"), 5, size=40)
    code, lines = told("train", data, "--from", trained[0], *QUICK, "--out", "out")
    assert (code, len(lines)) == (2, 1)
    assert "has no photos of rose, which" in lines[0]
    assert "--weights" in lines[0]


def test_only_a_finished_run_is_trained_on(trained: Trained, tmp_path: Path, told) -> None:
    shutil.copytree(trained[0], tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    for run, named in ((tmp_path / "run", "is not finished"), (tmp_path / "nowhere", "is no run folder")):
        code, lines = told("train", trained[1], "--from", run, "--out", "out")
        assert (code, len(lines)) == (2, 1)
        assert named in lines[0]


def test_of_a_run_without_a_list_the_split_is_drawn_anew_or_not_known(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained[0], tmp_path / "run")
    (tmp_path / "run" / FILE).unlink()
    assert Origin.open(tmp_path / "run").manifest.splits.count("val") == 8
    assert "has no data.csv; its split is drawn anew" in capsys.readouterr().err
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text("utf-8").replace(str(trained[1]), "/nowhere/photos"), "utf-8")
    with pytest.raises(UserError, match="what it was trained on is not known"):
        _ = Origin.open(tmp_path / "run").manifest


# --- new classes ----------------------------------------------------------------------------------------


def test_rows_of_new_classes_are_fitted_and_the_others_stay_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(4, 16)).astype(np.float32)
    y = np.arange(200) % 4
    x = (centres[y] + rng.normal(size=(200, 16))).astype(np.float32)
    head = Head(centres / 2, -(centres**2).sum(1) / 4, 1.0)
    blank = Head(head.weight.copy(), head.bias.copy(), 1.0)
    blank.weight[[1, 3]], blank.bias[[1, 3]] = 0, 0
    fitted = fit_rows(blank, x, y, [1, 3])
    for k in (0, 2):
        assert np.array_equal(fitted.weight[k], head.weight[k])
        assert fitted.bias[k] == head.bias[k]
    before, after = ((h.probabilities(x).argmax(1) == y).mean() for h in (blank, fitted))
    assert before < 0.8
    assert after > 0.95
