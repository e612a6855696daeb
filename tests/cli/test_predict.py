"""`mobilenets predict` as a user runs it: formats, sources, exit codes, pictures, and wrong use."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenets.arch import build
from mobilenets.data.sources.survey import Survey
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.verbs.sources import expand

CLASSES = ("daisy", "roses", "sunflowers")


def save_model(folder: Path, classes: tuple[str, ...]) -> Path:
    """A run folder with a tiny network."""
    torch.manual_seed(0)
    net = build("mobilenet_v3_small", width=0.35, num_classes=len(classes))
    model = MobileNet(net).eval()
    torch.nn.init.normal_(model.classifier.weight, 0, 20.0)
    card = ModelCard("tiny", net, classes, Preprocess(size=32))
    folder.mkdir(parents=True)
    export_onnx(model, card, folder / "model.onnx")
    write_safetensors(folder / "model.safetensors", {k: v.numpy() for k, v in model.state_dict().items()}, card)
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "run", CLASSES)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for all tests here: which engine is the fastest is measured once."""
    return tmp_path_factory.mktemp("home")


def draw(path: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.normal(rng.uniform(0, 255, 3), 40, (48, 60, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four photographs in two folders, and things that are none."""
    folder = tmp_path / "album"
    for i, name in enumerate(("a.jpg", "B.JPG", "sub dir/玫瑰.png", "sub dir/z.webp")):
        draw(folder / name, i)
    (folder / "notes.txt").write_text("not a photo")
    draw(folder / ".thumbnails" / "a.jpg")
    return folder


def jsonl(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_one_line_error(result: subprocess.CompletedProcess[str], *names: str) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for name in names:
        assert name in result.stderr


# --- formats --------------------------------------------------------------------------------------------


def test_the_table_lists_every_class_best_first_as_the_tutorial_does(cli, run_folder: Path, album: Path) -> None:
    result = cli("predict", run_folder, album / "a.jpg")
    assert (result.returncode, result.stderr) == (0, "")
    path, *lines = result.stdout.splitlines()
    assert path == str(album / "a.jpg")
    assert {line[7:20].rstrip() for line in lines} == set(CLASSES)
    assert all(line[:7] == "class: " and line[17:26] == "   prob: " for line in lines)
    probabilities = [float(line[26:]) for line in lines]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=0.002)


def test_wide_characters_keep_the_columns_aligned(cli, tmp_path: Path, album: Path) -> None:
    run = save_model(tmp_path / "run", ("玫瑰花", "rose"))
    lines = cli("predict", run, album / "a.jpg").stdout.splitlines()[1:]
    assert sorted(line.partition("prob:")[0] for line in lines) == ["class: rose     ", "class: 玫瑰花   "]


def test_jsonl_has_a_line_per_picture_in_order(cli, run_folder: Path, album: Path) -> None:
    (album / "bad.jpg").write_bytes(b"bad")
    result = cli("predict", run_folder, album, "--format", "jsonl", "--top", "2")
    lines = jsonl(result)
    names = ["B.JPG", "a.jpg", "bad.jpg", "sub dir/z.webp", "sub dir/玫瑰.png"]
    assert [line["path"] for line in lines] == [str(album / name) for name in names]
    assert result.returncode == 1
    assert lines[2].keys() == {"path", "error"}
    for line in (lines[0], lines[4]):
        assert line.keys() == {"path", "label", "probability", "top"}
        assert [entry.keys() for entry in line["top"]] == [{"label", "probability"}] * 2
        assert line["top"][0] == {"label": line["label"], "probability": line["probability"]}


def test_csv_has_a_header_and_quotes_what_needs_it(cli, run_folder: Path, album: Path) -> None:
    draw(album / 'a "quoted", name.png')
    result = cli("predict", run_folder, album, "--format", "csv", "--top", "2")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0]) == ["path", "label", "probability", "error", "label2", "probability2"]
    assert [row["path"] for row in rows][1] == str(album / 'a "quoted", name.png')
    assert all(float(row["probability"]) >= float(row["probability2"]) for row in rows)
    assert result.returncode == 0


def test_table_jsonl_and_csv_say_the_same(cli, run_folder: Path, album: Path) -> None:
    table, lines, rows = (
        cli("predict", run_folder, album / "a.jpg", "--format", f).stdout for f in ("table", "jsonl", "csv")
    )
    best = json.loads(lines)
    assert table.splitlines()[1] == f"class: {best['label']:<10}   prob: {best['probability']:.3f}"
    row = next(csv.DictReader(io.StringIO(rows)))
    assert (row["label"], row["error"]) == (best["label"], "")
    assert float(row["probability"]) == pytest.approx(best["probability"], abs=1e-6)


def test_of_many_classes_the_table_shows_five(cli, tmp_path: Path, album: Path) -> None:
    run = save_model(tmp_path / "run", tuple(f"class {k}" for k in range(30)))
    assert len(cli("predict", run, album / "a.jpg").stdout.splitlines()) == 1 + 5
    assert len(cli("predict", run, album / "a.jpg", "--top", "7").stdout.splitlines()) == 1 + 7
    assert len(jsonl(cli("predict", run, album / "a.jpg", "--format", "jsonl"))[0]["top"]) == 30


# --- sources --------------------------------------------------------------------------------------------


def test_files_folders_globs_and_standard_input_can_be_mixed(cli, run_folder: Path, album: Path) -> None:
    sources = [album / "sub dir", str(album / "*.jpg"), "-", album / "B.JPG"]
    listed = f"{album / 'sub dir' / 'z.webp'}\r\n\n{album / 'a.jpg'}\n"
    result = cli("predict", run_folder, *sources, "--format=jsonl", stdin=listed)
    names = [str(Path(line["path"]).relative_to(album)) for line in jsonl(result)]
    assert names == ["sub dir/z.webp", "sub dir/玫瑰.png", "a.jpg", "sub dir/z.webp", "a.jpg", "B.JPG"]
    assert result.returncode == 0


def test_a_recursive_glob_takes_pictures_only(cli, run_folder: Path, album: Path) -> None:
    result = cli("predict", run_folder, str(album / "**" / "*"), "--format=jsonl")
    assert {Path(line["path"]).name for line in jsonl(result)} == {"a.jpg", "B.JPG", "玫瑰.png", "z.webp"}


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(cli, run_folder: Path, album: Path) -> None:
    draw(album / "a[1].jpg")
    result = cli("predict", run_folder, album / "a[1].jpg", "--format=jsonl")
    assert jsonl(result)[0]["path"] == str(album / "a[1].jpg")


def test_a_folder_that_cannot_be_opened_is_a_failure_behind_the_others(album: Path) -> None:
    paths = expand([str(album)], Survey())
    found = [next(paths)]
    shutil.rmtree(album / "sub dir")  # listed already; nobody is refused a folder where tests run as root
    assert [*found, *paths] == [str(album / name) for name in ("B.JPG", "a.jpg", "sub dir")]


def test_a_link_that_leads_back_up_is_followed_once(cli, run_folder: Path, album: Path) -> None:
    (album / "sub dir" / "up").symlink_to(album)
    result = cli("predict", run_folder, album, "--format=jsonl")
    assert len(jsonl(result)) == 4


def test_a_file_name_that_is_no_text_is_printed_without_trouble(cli, process, run_folder: Path, album: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.jpg")
    shutil.copy(album / "a.jpg", album / name)
    result = process("predict", run_folder, album, "--format=jsonl")
    assert result.returncode == 0, result.stderr
    assert str(album / name) in [line["path"] for line in jsonl(result)], "JSON's escapes give the name back"
    result = cli("predict", run_folder, "-", "--format=jsonl", stdin=str(album / "a.jpg"))
    assert result.returncode == 0, result.stderr


def test_a_byte_order_mark_before_the_paths_on_standard_input_is_no_part_of_them(cli, run_folder, album: Path) -> None:
    result = cli("predict", run_folder, "-", "--format=jsonl", stdin=f"\ufeff{album / 'a.jpg'}\r\n")
    assert result.returncode == 0, result.stderr
    assert [line["path"] for line in jsonl(result)] == [str(album / "a.jpg")]


def test_names_are_printed_in_a_locale_without_them(process, run_folder: Path, album: Path) -> None:
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    result = process("predict", run_folder, album / "sub dir", "--format=csv", env=env)
    assert result.returncode == 0, result.stderr
    assert "玫瑰.png" in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error(run_folder: Path, album: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{album / 'a.jpg'}\n" * 3000)
    command = [sys.executable, "-m", "mobilenets", "predict", str(run_folder), "-"]
    with (
        (tmp_path / "list").open() as paths,
        (tmp_path / "errors").open("w") as errors,
        subprocess.Popen(command, stdin=paths, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(300) == 0
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert "Error" not in (tmp_path / "errors").read_text()


# --- some inputs fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["table", "csv"])
def test_unreadable_pictures_are_reported_counted_and_the_rest_goes_on(
    cli, run_folder: Path, album: Path, form: str
) -> None:
    (album / "empty.jpg").touch()
    (album / "cut.jpg").write_bytes((album / "a.jpg").read_bytes()[:300])
    result = cli("predict", run_folder, album, "--format", form)
    assert result.returncode == 1
    assert "empty.jpg" in result.stderr
    assert "cut.jpg" in result.stderr
    assert "2 of 6 could not be read" in result.stderr
    assert "z.webp" in result.stdout


def test_a_single_unreadable_picture_is_a_failure_too(cli, run_folder: Path, album: Path) -> None:
    result = cli("predict", run_folder, album / "notes.txt", "--format=jsonl")
    assert result.returncode == 1
    assert jsonl(result)[0].keys() == {"path", "error"}
    assert "1 of 1 could not be read" in result.stderr


def test_a_path_on_standard_input_that_does_not_exist_is_one_failure(cli, run_folder: Path, album: Path) -> None:
    result = cli("predict", run_folder, "-", "--format=jsonl", stdin=f"gone.jpg\n{album / 'a.jpg'}\n")
    assert [set(line) - {"path"} for line in jsonl(result)] == [{"error"}, {"label", "probability", "top"}]
    assert result.returncode == 1


# --- engines --------------------------------------------------------------------------------------------


def test_both_engines_print_the_same_table(cli, run_folder: Path, album: Path) -> None:
    by_onnx = jsonl(cli("predict", run_folder / "model.onnx", album / "a.jpg", "--format=jsonl"))[0]
    by_torch = jsonl(cli("predict", run_folder, album / "a.jpg", "--format=jsonl", "--engine=torch"))[0]
    assert by_onnx["label"] == by_torch["label"]
    for ours, theirs in zip(by_onnx["top"], by_torch["top"], strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-4)


def test_a_single_picture_is_predicted_in_the_engine_that_starts_the_soonest(
    process, run_folder: Path, album: Path, home: Path, tmp_path: Path
) -> None:
    """Nothing is measured for it and no other engine is started; a folder without a `.onnx` has but one."""
    empty = {"MOBILENETS_HOME": str(tmp_path / "nothing-measured")}
    assert process("predict", run_folder, album / "a.jpg", env=empty).returncode == 0
    assert not (tmp_path / "nothing-measured").exists()
    (tmp_path / "weights").mkdir()
    shutil.copy(run_folder / "model.safetensors", tmp_path / "weights")
    by_onnx = process("predict", run_folder, album / "a.jpg", env=empty).stdout
    assert process("predict", tmp_path / "weights", album / "a.jpg", env=empty).stdout == by_onnx


def test_a_published_name_predicts_imagenets_classes(cli, album: Path) -> None:
    result = cli("predict", "mobilenet_v2/torchvision-v1", album / "a.jpg", "--format=jsonl")
    assert result.returncode == 0, result.stderr
    assert len(jsonl(result)[0]["top"]) == 1000


# --- pictures -------------------------------------------------------------------------------------------


def test_save_draws_the_picture_below_a_title(cli, run_folder: Path, album: Path, tmp_path: Path) -> None:
    Image.new("RGB", (60, 48), (200, 0, 0)).save(album / "red.png")
    result = cli("predict", run_folder, album / "red.png", "--save", tmp_path / "out.png")
    assert result.returncode == 0, result.stderr
    drawn = np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).astype(int)
    red = (np.abs(drawn - [200, 0, 0]) < 8).all(2)
    black = (drawn < 60).all(2)
    assert red.sum() > 0.5 * drawn.shape[0] * drawn.shape[1]
    assert black.any(), "there is a title"
    assert np.argwhere(black)[:, 0].max() < np.argwhere(red)[:, 0].min(), "above the photo"


def test_several_pictures_share_a_sheet_of_at_most_sixteen(cli, run_folder: Path, album: Path, tmp_path: Path) -> None:
    (album / "bad.jpg").touch()
    paths = "\n".join([str(album / "bad.jpg"), *[str(album / "a.jpg")] * 20])
    result = cli("predict", run_folder, "-", "--save", tmp_path / "sheet.png", "--format=jsonl", stdin=paths)
    assert result.returncode == 1
    assert "the first 16 of 20" in result.stderr
    assert len(jsonl(result)) == 21
    width, height = Image.open(tmp_path / "sheet.png").size
    assert width == 4 * 320
    assert height > width


def test_a_name_that_no_font_has_is_drawn_as_its_number_with_a_warning(cli, tmp_path: Path, album: Path) -> None:
    run = save_model(tmp_path / "run", ("\U000107f0\U000107f1", "\U000107f2\U000107f3"))
    result = cli("predict", run, album / "a.jpg", "--save", tmp_path / "out.png")
    assert result.returncode == 0
    assert "no installed font can write" in result.stderr
    assert "drawn as 'class " in result.stderr
    assert (tmp_path / "out.png").exists()


# --- wrong use ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--top", "0"], "--top: 0"),
        (["--top", "-3"], "--top: -3"),
        (["--top", "many"], "many"),
        (["--batch", "0"], "--batch: 0"),
        (["--threads", "0"], "--threads: 0"),
        (["--threads", "99999999999"], "--threads: 99999999999 is too many"),
        (["https://example.com/a.jpg"], "web addresses are not fetched; download the photo first"),
        (["--engine", "tensorrt"], "'tensorrt' is not one of auto, onnxruntime, openvino, torch"),
        (["--format", "xml"], "xml"),
        (["--colour"], "--colour"),
        (["--save", "nowhere/out.png"], "there is no folder nowhere"),
        (["--save", "out.jpg"], "ends in .png"),
        (["--save", "taken.png"], "taken.png: exists already"),
        (["--save", "."], "exists already"),
        (["missing.jpg"], "missing.jpg: no such file or folder"),
        (["nothing*.jpg"], "nothing*.jpg: no photo matches"),
        (["empty"], "empty: no photos in this folder"),
        (["-"], "no paths on standard input"),
    ],
)
def test_wrong_options_and_sources_are_told_before_the_work(
    cli, run_folder: Path, album: Path, tmp_path: Path, options: list[str], named: str
) -> None:
    (tmp_path / "taken.png").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    result = cli("predict", run_folder, album / "a.jpg", *options, stdin="")
    assert_one_line_error(result, named)
    assert (tmp_path / "taken.png").read_bytes() == b"mine"


def test_a_picture_that_cannot_be_saved_says_so_and_leaves_nothing(cli, run_folder: Path, album: Path) -> None:
    target = Path("/proc/out.png")  # a folder in which nobody, root included, can make files
    result = cli("predict", run_folder, album / "a.jpg", "--save", target)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert str(target) in result.stderr


def test_wrong_models_are_named(cli, run_folder: Path, album: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "corrupt.onnx").write_bytes(b"\x08\x07garbage")
    content = (run_folder / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-1000])
    (tmp_path / "huge.safetensors").write_bytes(b"\xff" * 8 + content[8:])
    (tmp_path / "model.pth").write_bytes(b"x")
    for model, named in {
        "missing.onnx": "missing.onnx: no such file or folder",
        "mobilenet_v9": "mobilenet_v9: no such file or folder",
        "mobilenet_v2/none-such": "none-such",
        "empty": "empty: holds no model.onnx or model.safetensors",
        "corrupt.onnx": "corrupt.onnx: not a model",
        "cut.safetensors": "cut.safetensors",
        "huge.safetensors": "huge.safetensors: not a .safetensors file",
        "model.pth": "model.pth: not a model this runs",
        "album/a.jpg": "a.jpg: not a model this runs",
    }.items():
        assert_one_line_error(cli("predict", model, album / "a.jpg"), named)


def test_no_source_is_wrong_use(cli, run_folder: Path) -> None:
    assert_one_line_error(cli("predict", run_folder), "SOURCE")
