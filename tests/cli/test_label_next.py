"""`mobilenets label-next`: typical photos of every kind first, then those that a run is unsure of."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import Cli, is_one_line_error, write_photos
from mobilenets.data.content import content_digests, content_sizes
from mobilenets.data.manifest import Manifest
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples
from mobilenets.exporting.full import full_onnx
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import build_index, model_id
from mobilenets.features.neighbours import unit
from mobilenets.model_card import read_card
from mobilenets.training.label_next import typical, unsure
from small import card_of, network

KINDS = ("daisy", "rose", "tulip")


def _rows(kinds: int, each: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return unit(np.repeat(np.eye(kinds, 8), each, 0) + rng.normal(0, 0.05, (kinds * each, 8))).astype(np.float32)


def test_typical_photos_are_of_kinds_that_have_no_label_yet() -> None:
    rows = _rows(4, 10)
    assert set(typical(rows, np.zeros((0, 8), np.float32), 4) // 10) == {0, 1, 2, 3}
    assert set(typical(rows, rows[[3, 25]], 2) // 10) == {1, 3}


@pytest.mark.filterwarnings("error")  # of scikit-learn, which counts the clusters
def test_photos_that_are_one_point_to_the_network_are_listed_once() -> None:
    rows = np.repeat(_rows(3, 1), 5, 0)
    assert sorted(typical(rows, np.zeros((0, 8), np.float32), 15) // 5) == [0, 1, 2]
    assert sorted(unsure(rows, np.full((15, 2), 0.5), 4) // 5) == [0, 1, 2]


def test_the_least_sure_photos_come_first_and_none_is_like_another() -> None:
    rows = _rows(4, 10)
    sure = np.where(np.arange(40) < 20, 0.52, 0.95) + np.arange(40) / 1000
    chosen = unsure(rows, np.stack([sure, 1 - sure], 1), 2)
    assert chosen.tolist() == [0, chosen[1]]
    assert unsure(rows, np.stack([sure, 1 - sure], 1), 40).tolist() == list(range(40))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an index of few labels."""
    folder = tmp_path_factory.mktemp("run")
    model = network(blocks=2)
    card = card_of(model)
    export_onnx(model, card, folder / "model.onnx")
    rows = np.abs(np.random.default_rng(0).normal(size=(6, model.head_width)))
    images = ImageFeatures.of(rows, np.arange(6) % 3, [str(i) for i in range(6)])
    build_index(images, images, model_id(card)).write(folder / "index.safetensors")
    return folder


def test_the_list_has_photos_in_order_without_copies_and_a_column_to_fill_in(
    run: Path, cli: Cli, tmp_path: Path
) -> None:
    photos = write_photos(tmp_path / "photos", KINDS, 4)
    shutil.copy(photos / "rose" / "000.jpg", photos / "rose" / "copy.jpg")
    (photos / "broken.jpg").write_bytes(b"no photo")
    result = cli("label-next", photos, "--from", run, "--n", "100", "--save", tmp_path / "sheet.png")
    assert result.returncode == 1, result.stderr
    assert "1 of 14 could not be read" in result.stderr
    assert "left out 1 that show the same" in result.stdout
    with (tmp_path / "label-next.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "why"]
    assert {row["why"] for row in rows} == {"typical"}
    assert {row["label"] for row in rows} == {""}
    assert len({row["path"] for row in rows}) == len(rows) == 12
    assert (tmp_path / "sheet.png").exists()


def test_a_file_that_takes_whole_photos_lists_the_same(run: Path, cli: Cli, tmp_path: Path) -> None:
    photos, whole = write_photos(tmp_path / "photos", KINDS, 2), tmp_path / "whole"
    whole.mkdir()
    shutil.copy(run / "index.safetensors", whole)
    file = run / "model.onnx"
    (whole / "model.onnx").write_bytes(full_onnx(file.read_bytes(), read_card(file)))
    listed = []
    for model in (file, whole / "model.onnx"):
        out = tmp_path / f"{model.parent.name}.csv"
        result = cli("label-next", photos, "--from", model, "--n", "100", "--out", out)
        assert result.returncode == 0, result.stderr
        listed.append({row["path"] for row in csv.DictReader(out.open(encoding="utf-8"))})
    assert listed[0] == listed[1]
    assert len(listed[0]) == 6


def test_what_cannot_be_used_is_told_in_a_line(run: Path, cli: Cli, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", KINDS, 1)
    assert is_one_line_error(cli("label-next", photos, "--n", "0"), "--n")
    assert is_one_line_error(cli("label-next", tmp_path / "nowhere", "--from", run), "nowhere")
    shutil.copy(run / "model.onnx", tmp_path)
    assert is_one_line_error(cli("label-next", photos, "--from", tmp_path / "model.onnx"), "index.safetensors")
    (tmp_path / "label-next.csv").write_text("")
    assert is_one_line_error(cli("label-next", photos, "--from", run), "exists already")


def test_photos_that_the_run_has_labels_for_are_counted(run: Path, cli: Cli, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", KINDS, 2)
    trained = shutil.copytree(run, tmp_path / "trained")
    samples = Samples.of([Sample(photos / "rose" / "000.jpg", 0)])
    sizes, digests = content_sizes(samples), content_digests(samples)[1]
    Manifest(["rose/000.jpg"], ["rose"], ["train"], sizes, digests, [str(photos)]).write(trained / "data.csv")
    shutil.copy(photos / "rose" / "000.jpg", photos / "again.jpg")
    result = cli("label-next", photos, "--from", trained, "--out", tmp_path / "list.csv")
    assert result.returncode == 0, result.stderr
    assert f"2 of 7 photos are among those of {trained} and have a label; give the others" in result.stderr


def test_photos_that_no_csv_can_name_are_left_out_and_counted(run: Path, cli: Cli, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", KINDS, 2)
    (photos / "rose" / "000.jpg").rename(photos / "rose" / "two\nlines.jpg")
    (photos / "rose" / "001.jpg").rename(photos / "rose" / "no \udcff text.jpg")
    result = cli("label-next", photos, "--from", run, "--n", "100", "--out", tmp_path / "list.csv")
    assert result.returncode == 0, result.stderr
    assert "left out: 2 with a line break or what is not UTF-8 in the name, as " in result.stderr
    names = [Path(row["path"]).name for row in csv.DictReader((tmp_path / "list.csv").open(encoding="utf-8"))]
    assert sorted(names) == ["000.jpg", "000.jpg", "001.jpg", "001.jpg"]
