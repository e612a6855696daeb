"""`mobilenets train` told wrong things: one line, exit code 2, nothing of the user's touched."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenets.cli.main import main

QUICK = (
    "--model=mobilenet_v3_small",
    "--weights=none",
    "--width=0.35",
    "--size=32",
    "--recipe=finetune",
    "--epochs=1",
)


def _assert_one_line(result, *names: str) -> None:
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert result.stdout == ""
    for name in names:
        assert name in lines[0]


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The command line within this process: the same code as `cli` without the seconds that importing torch takes."""
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        try:
            code = main([*map(str, args)])
        except SystemExit as exit_:
            code = exit_.code
        told = capfd.readouterr()
        return subprocess.CompletedProcess(args, code, told.out, told.err)

    return run


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--recipe", "fast"], ["fast", "finetune"]),
        (["--epochs", "0"], ["epochs", "0"]),
        (["--epochs", "three"], ["--epochs", "three"]),
        (["--epochs", "2", "--minutes", "2"], ["minutes", "epochs"]),
        (["--minutes", "0"], ["minutes"]),
        (["--model", "resnet50"], ["resnet50", "mobilenet_v2"]),
        (["--weights", "imagenet"], ["imagenet"]),
        (["--weights", "missing.pth"], ["missing.pth"]),
        (["--width", "0"], ["width"]),
        (["--size", "8"], ["size", "8"]),
        (["--crop", "3"], ["crop", "3"]),
        (["--val", "1.5"], ["1.5"]),
        (["--val", "nowhere"], ["nowhere"]),
        (["--seed", "-1"], ["seed"]),
        (["--device", "tpu"], ["tpu", "cpu"]),
        (["--precision", "int4"], ["int4", "bf16"]),
        (["--workers", "-1"], ["workers"]),
        (["--cache", "tape"], ["tape", "disk"]),
        (["--dropout", "2"], ["dropout"]),
        (["--freeze", "99"], ["99"]),
        (["--balance", "maybe"], ["maybe", "sampler"]),
        (["--set", "lr"], ["NAME=VALUE"]),
        (["--set", "speed=1"], ["speed", "lr"]),
        (["--lr", "fast"], ["lr", "fast"]),
        (["--batch-size", "1"], ["batch_size"]),
        (["--no-such-option"], ["--no-such-option"]),
    ],
)
def test_a_wrong_option_is_named(here, photos: Path, tmp_path: Path, arguments: list[str], names: list[str]) -> None:
    quick = [
        q for q in QUICK if q.partition("=")[0] not in (*arguments, "--epochs" if "--minutes" in arguments else "")
    ]
    _assert_one_line(here("train", photos, *quick, *arguments, "--out", tmp_path / "run"), *names)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--crop", "0"], "crop 0.0: must be a fraction from 0.1 to 1"),
        (["--crop", "nan"], "crop nan"),
        (["--size", "8"], "size: 8 pixels are too few"),
        (["--size", "100000"], "size 100000: must be a whole number of pixels from 1 to 4096"),
        (["--val", "1"], "val: 1.0 is not a fraction"),
        (["--val", "nan"], "val: nan is not a fraction"),
        (["--width", "nan"], "width: nan is not a positive number"),
        (["--dropout", "-1"], "dropout: -1.0 is not a number from 0 to 1"),
        (["--minutes", "inf"], "minutes: inf is not a time"),
        (["--lr", "inf"], "lr: 'inf' is not a value for it"),
    ],
)
def test_a_value_that_is_out_of_range_is_refused_before_the_data_is_read(here, arguments: list[str], said: str) -> None:
    result = here("train", "nowhere", *arguments)
    _assert_one_line(result, said)
    assert "nowhere" not in result.stderr


def test_more_frozen_blocks_than_there_are_are_refused_before_weights_are_fetched(
    here, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobilenets.weights.create.locate", lambda _: pytest.fail("weights were asked for"))
    _assert_one_line(here("train", photos, "--freeze", "99"), "freeze: 99 blocks asked for; mobilenet_v3_large has 15")


@pytest.mark.parametrize("command", [["train", "nowhere"], ["fetch", "flowers"]])
def test_a_folder_that_cannot_be_made_is_refused_before_the_work(here, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "notes.txt").write_text("")
    result = here(*command, "--out", "notes.txt/run")
    _assert_one_line(result, f"notes.txt/run: {tmp_path / 'notes.txt'} is a file; choose another --out")


def test_data_that_is_not_there_is_named(here, tmp_path: Path) -> None:
    _assert_one_line(here("train", tmp_path / "nowhere"), "nowhere")


def test_no_data_at_all_is_an_error(here) -> None:
    _assert_one_line(here("train"), "DATA")


def test_a_folder_without_photographs_is_an_error(here, tmp_path: Path) -> None:
    (tmp_path / "empty" / "roses").mkdir(parents=True)
    _assert_one_line(here("train", tmp_path / "empty"), "empty")


def test_one_photo_is_not_enough(here, photos: Path, tmp_path: Path) -> None:
    for name in ("rose", "tulip"):
        (photos / name).rename(tmp_path / name)
    for path in sorted((photos / "daisy").iterdir())[1:]:
        path.unlink()
    _assert_one_line(here("train", photos), "one photo of 'daisy'")


def test_a_csv_with_a_bad_row_is_answered_with_its_line(here, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    table.write_text("path,label\nphotos/daisy/000.jpg,daisy\nphotos/daisy/999.jpg,daisy\n")
    _assert_one_line(here("train", table), "photos.csv", "3")


def test_an_existing_folder_is_never_reused(here, photos: Path, tmp_path: Path) -> None:
    kept = tmp_path / "run" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("irreplaceable")
    _assert_one_line(here("train", photos, *QUICK, "--out", kept.parent), "run", "--out")
    assert [p.name for p in kept.parent.iterdir()] == ["thesis.txt"]


def test_a_file_where_the_run_folder_should_be_is_an_error(here, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    _assert_one_line(here("train", photos, *QUICK, "--out", tmp_path / "file" / "run"), "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_an_error(here, photos: Path) -> None:
    # /proc takes no new folders from anybody, not even from root.
    _assert_one_line(here("train", photos, *QUICK, "--out", "/proc/run"), "/proc/run")


def test_a_full_disk_is_told_in_one_line(cli, photos: Path, tmp_path: Path) -> None:
    # A file-size limit of the process is what a full disk looks like to it: a write that fails.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    result = subprocess.run(
        [sys.executable, "-m", "mobilenets", "train", str(photos), *QUICK, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert "File too large" in result.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_weights_that_are_not_weights_are_named(here, photos: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake.pth"
    fake.write_bytes(b"these are not weights")
    quick = [q for q in QUICK if not q.startswith("--weights")]
    _assert_one_line(here("train", photos, *quick, "--weights", fake), "fake.pth")


def test_resume_needs_a_run_folder(here, photos: Path, tmp_path: Path) -> None:
    _assert_one_line(here("train", "--resume"), "--out")
    _assert_one_line(here("train", "--resume", "--out", tmp_path / "nowhere"), "nowhere")
    _assert_one_line(here("train", "--resume", "--out", photos), "photos")


def test_a_config_that_is_none_is_named(here, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("hello")
    _assert_one_line(here("train", "--config", tmp_path / "config.yaml"), "config.yaml")
    _assert_one_line(here("train", "--config", tmp_path / "other.yaml"), "other.yaml")


def test_a_run_names_itself_after_the_data_and_counts_on(here, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "photos").mkdir(parents=True)
    result = here("train", photos, *QUICK)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "runs" / "photos-2" / "model.onnx").exists()
    assert "runs/photos-2" in result.stdout


def test_a_complete_run_is_not_resumed(here, photos: Path, tmp_path: Path) -> None:
    assert here("train", photos, *QUICK).returncode == 0
    out = tmp_path / "runs" / "photos"
    before = (out / "model.onnx").read_bytes()
    _assert_one_line(here("train", "--resume", "--out", out), "complete", f"--from {out}")
    assert (out / "model.onnx").read_bytes() == before
