"""`mobilenets audit` as a user runs it."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import is_one_line_error, unprivileged
from mobilenets.verbs.demo import write_csv

KINDS = {
    "unreadable", "exact_duplicate", "near_duplicate", "duplicate_across_classes", "leak", "wrong_suffix", "tiny",
    "blank", "dark", "blurred", "cropped", "odd_aspect", "likely_mislabelled", "few_levels", "imbalance",
}  # fmt: skip


def test_json_is_an_object_of_every_kind(cli, photos: Path) -> None:
    (photos / "rose" / "broken.jpg").write_bytes(b"no photo")
    shutil.copy(photos / "rose" / "000.jpg", photos / "rose" / "copy.jpg")
    result = cli("audit", photos, "--json", "--weights", "none")
    findings = json.loads(result.stdout)
    assert result.returncode == 1, result.stderr  # done, but a file could not be read
    assert findings.keys() == KINDS
    assert [f["path"] for f in findings["unreadable"]] == [str(photos / "rose" / "broken.jpg")]
    assert all(set(f["paths"]) for f in findings["exact_duplicate"])
    assert all(0 <= f["score"] <= 1 and ("path" in f) != ("paths" in f) for kind in findings for f in findings[kind])


def test_the_table_names_what_was_found_and_what_to_do(cli, photos: Path) -> None:
    shutil.copy(photos / "rose" / "000.jpg", photos / "tulip" / "copy.jpg")
    result = cli("audit", photos, "--weights", "none")
    assert result.returncode == 0, result.stderr
    assert "37 photos, 3 classes" in result.stdout
    assert "duplicates across classes" in result.stdout
    assert "tulip/copy.jpg" in result.stdout
    assert "nothing found:" in result.stdout
    assert "not looked for: likely wrong labels\n" in result.stdout  # without a network nobody judges them
    assert result.stdout.count("likely wrong labels") == 1


def test_names_of_a_table_that_lists_files_elsewhere_are_told_below_the_folder_of_these(
    cli, photos: Path, tmp_path: Path
) -> None:
    copy = photos / "tulip" / "copy.jpg"
    shutil.copy(photos / "rose" / "000.jpg", copy)
    (tmp_path / "tables").mkdir()
    rows = [f"{p},{p.parent.name}" for p in sorted(photos.rglob("*.jpg"))]
    (tmp_path / "tables" / "photos.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    result = cli("audit", "tables/photos.csv", "--weights", "none")
    assert result.stdout.startswith(f"37 photos, 3 classes, in {photos}\n")
    assert str(copy) not in result.stdout
    assert "rose/000.jpg  tulip/copy.jpg" in result.stdout


def test_page_and_clean_csv_are_written_and_the_csv_trains(cli, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "rose" / "000.jpg", photos / "rose" / "copy.jpg")
    result = cli("audit", photos, "--weights", "none", "--html", "page.html", "--write-clean", "clean.csv")
    assert result.returncode == 0, result.stderr
    assert "clean.csv: 36 photos; left out: 1 copies" in result.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    with (tmp_path / "clean.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 36
    assert "36 photos, 3 classes" in cli("audit", "clean.csv", "--weights", "none").stdout


def test_without_the_default_weights_files_are_audited_and_one_line_says_so(cli, photos: Path) -> None:
    result = cli(
        "audit",
        photos,
        "--json",
        env={"MOBILENETS_TORCHVISION_URL": "http://127.0.0.1:9", "HF_ENDPOINT": "http://127.0.0.1:9"},
    )
    assert result.returncode == 0, result.stderr
    assert len([line for line in result.stderr.splitlines() if "not looked for" in line]) == 1
    assert json.loads(result.stdout).keys() == KINDS


def test_flipped_labels_of_real_photographs_are_doubted(cli, tmp_path: Path) -> None:
    """Mono- and polycrystalline cells, 240 of them, with six labels exchanged."""
    with write_csv(tmp_path / "all.csv").open() as file:
        rows = [(row["path"], row["stratum"]) for row in csv.DictReader(file)][::11]
    flipped = {path for path, _ in rows[10::40]}
    other = {"mono": "poly", "poly": "mono"}
    with (tmp_path / "cells.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["path", "label"])
        lines.writerows((path, other[kind] if path in flipped else kind) for path, kind in rows)
    options = ("--model", "mobilenet_v2", "--weights", "torchvision-v1", "--size", "96", "--json")
    result = cli("audit", "cells.csv", *options)
    assert result.returncode == 0, result.stderr
    doubted = {f["path"] for f in json.loads(result.stdout)["likely_mislabelled"]}
    assert len(doubted & flipped) >= len(flipped) - 1
    assert len(doubted) <= 3 * len(flipped)


def test_ctrl_c_ends_it_with_nothing_half_written(photos: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, threading, sys, mobilenets.auditing.measure as m\n"
        "measure = m._measure_image\n"
        "def slow(*a):\n os.kill(os.getpid(), signal.SIGINT); return measure(*a)\n"
        "m._measure_image = slow\n"
        "from mobilenets.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "audit", photos, "--weights", "none", "--html", "p.html", "--write-clean"]
    result = subprocess.run([*command, "c.csv"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode in (130, -signal.SIGINT), result.stderr
    assert not list(tmp_path.glob("*.csv")) + list(tmp_path.glob("*.html")) + list(tmp_path.glob(".*.part"))


def test_a_request_to_end_ends_it_as_ctrl_c_does_while_a_file_is_written(photos: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "os.fsync = lambda file: os.kill(os.getpid(), signal.SIGTERM)\n"
        "from mobilenets.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "audit", photos, "--weights", "none", "--write-clean", "c.csv"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stderr.splitlines()[-1]) == (130, "mobilenets audit: interrupted")
    assert list(tmp_path.iterdir()) == [photos]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "nowhere"),
        (["empty"], "empty"),
        (["photos", "--write-clean", "taken.csv"], "taken.csv"),
        (["photos", "--write-clean", "clean.txt"], "clean.txt"),
        (["photos", "--write-clean", "missing/clean.csv"], "missing"),
        (["photos", "--html", "taken.csv"], "taken.csv"),
        (["photos", "--html", "missing/page.html"], "missing"),
        (["photos", "--html", "page.png"], "page.png: name a file that ends in .html"),
        (["photos", "--weights", "magic"], "magic"),
        (["photos", "--model", "resnet"], "resnet"),
        ([], "DATA"),
    ],
)
def test_wrong_use_is_one_line(cli, photos: Path, tmp_path: Path, arguments: list[str], named: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken.csv").write_text("mine")
    assert is_one_line_error(cli("audit", *arguments), named)
    assert (tmp_path / "taken.csv").read_text() == "mine"


def test_a_page_without_the_library_of_templates_is_refused_before_the_work(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None; from mobilenets.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "audit", photos, "--weights", "none", "--html", tmp_path / "page.html"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert is_one_line_error(result, "--html", "jinja2", "pip install 'mobilenets[audit]'")


@pytest.mark.parametrize(("option", "name"), [("--html", "page.html"), ("--write-clean", "clean.csv")])
def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    photos: Path, tmp_path: Path, option: str, name: str
) -> None:
    (tmp_path / "kept").mkdir(mode=0o500)
    command = [*unprivileged(), sys.executable, "-m", "mobilenets", "audit", photos, "--weights", "none"]
    target = tmp_path / "kept" / name
    result = subprocess.run([*command, option, target], capture_output=True, text=True, timeout=300)
    assert is_one_line_error(result, f"{option} {target}: the folder {target.parent} cannot be written")
