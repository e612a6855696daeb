"""`mobilenets cache`: what is kept, and how to be rid of it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The cache folder of the `cli` fixture, with two downloads and a file that is not this package's."""
    home = tmp_path / "home"
    (home / "weights").mkdir(parents=True)
    (home / "data").mkdir()
    (home / "weights" / "net.pth").write_bytes(bytes(2_000_000))
    (home / "data" / "flower_photos.tgz").write_bytes(bytes(500_000))
    (home / "thesis.txt").write_text("mine")
    return home


def test_an_empty_cache_is_no_error(cli, tmp_path: Path) -> None:
    result = cli("cache")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [str(tmp_path / "home"), "    0.0 MB  in 0 files"]
    assert not (tmp_path / "home").exists()


def test_files_are_listed_with_their_sizes(cli, kept: Path) -> None:
    lines = cli("cache").stdout.splitlines()
    assert lines[0] == str(kept)
    assert [line.split() for line in lines[1:]] == [
        ["0.5", "MB", str(Path("data/flower_photos.tgz"))],
        ["2.0", "MB", str(Path("weights/net.pth"))],
        ["2.5", "MB", "in", "2", "files"],
    ]


def test_clearing_tells_what_it_freed_and_leaves_other_files(cli, kept: Path) -> None:
    result = cli("cache", "--clear")
    assert (result.returncode, result.stdout) == (0, f"{kept}: 2.5 MB freed\n")
    assert [p for p in kept.rglob("*") if p.is_file()] == [kept / "thesis.txt"]
    assert cli("cache", "--clear").stdout == f"{kept}: 0.0 MB freed\n"


def test_a_cache_folder_that_is_a_file_holds_nothing(cli, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("mine")
    result = cli("cache", "--clear")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "home").read_text() == "mine"
