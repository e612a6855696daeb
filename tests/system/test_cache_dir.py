"""What is kept in the cache folder is listed and cleared to the last file, and nothing else is."""

from pathlib import Path
from typing import get_args

import pytest

from mobilenets.system.cache_dir import File, Folder, cache_file, cache_folder, cached_files, clear_cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path))
    return tmp_path


def test_every_kind_of_file_that_is_kept_is_listed_and_cleared(folder: Path) -> None:
    kept = [cache_folder(name) / "kept" for name in get_args(Folder)] + [cache_file(name) for name in get_args(File)]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(3))
    assert cached_files() == sorted((path, 3) for path in kept)
    assert clear_cache() == 3 * len(kept)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_the_cache_lists_and_clears_only_what_it_keeps(folder: Path) -> None:
    (folder / "thesis.txt").write_text("mine")
    (folder / "weights" / "sub").mkdir(parents=True)
    (folder / "weights" / "a.pth").write_bytes(bytes(10))
    (folder / "weights" / "sub" / "b.h5").write_bytes(bytes(5))
    (folder / "weights" / ".a.pth.lock").touch()
    (folder / "weights" / "link").symlink_to(folder, target_is_directory=True)
    assert cached_files() == [(folder / "weights" / "a.pth", 10), (folder / "weights" / "sub" / "b.h5", 5)]
    assert clear_cache() >= 15
    assert cached_files() == []
    assert (folder / "thesis.txt").read_text() == "mine"
    assert sorted(p.name for p in folder.iterdir()) == ["thesis.txt", "weights"]
    assert list((folder / "weights").iterdir()) == []
