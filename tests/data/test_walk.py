"""One walk for `train`, `predict` and `audit`: the same files in the same order, none silently left out."""

import os
import shutil
from pathlib import Path

import pytest

from mobilenets.data.sources.boxes.read import read_boxes
from mobilenets.data.sources.folder import read_folder
from mobilenets.data.sources.survey import Survey
from mobilenets.data.walk import visible_files
from mobilenets.errors import UserError
from mobilenets.verbs.sources import expand


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Class folders with all that a walk may meet: depths, links out and back up, hidden and misnamed files."""
    folder = tmp_path / "album"
    hidden = ("a/.hidden.jpg", "a/.cache/x.jpg")
    for name in ("b/2.png", "b/10.PNG", "a/deep/er/玫瑰.jpg", "a/z.jpg", "a/notes.txt", *hidden):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.webp").touch()
    (folder / "b" / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "b" / "up").symlink_to(folder / "b")
    return folder


PICTURES = ["a/z.jpg", "a/deep/er/玫瑰.jpg", "b/10.PNG", "b/2.png", "b/linked/1.webp"]


def refuse(error: OSError) -> None:
    raise error


def test_every_visible_file_is_found_once_in_order(album: Path) -> None:
    found = [os.path.relpath(path, album) for path in visible_files(album, refuse)]
    assert found == ["a/notes.txt", *PICTURES]


def test_training_and_prediction_find_the_same_pictures(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    for data in (album, Path("../album"), Path()):
        samples, _ = read_folder(data)
        trained = [str(sample.path) for sample in samples]
        assert trained == list(expand([str(data)], Survey())) == [str(data / name) for name in PICTURES]


def test_a_folder_that_is_gone_when_its_turn_comes_is_passed_on(album: Path) -> None:
    closed: list[OSError] = []
    paths = visible_files(album, closed.append)
    found = [next(paths)]
    shutil.rmtree(album / "a" / "deep")
    found += paths
    assert [os.path.relpath(path, album) for path in found] == ["a/notes.txt", *PICTURES[:1], *PICTURES[2:]]
    assert [error.filename for error in closed] == [str(album / "a" / "deep")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root opens every folder")
def test_training_refuses_a_folder_that_cannot_be_opened(album: Path) -> None:
    (album / "b").chmod(0)
    try:
        with pytest.raises(UserError, match="b: Permission denied; check its permissions"):
            read_folder(album)
    finally:
        (album / "b").chmod(0o755)


def test_a_link_to_itself_is_left_out_of_classes_and_beside_them(album: Path) -> None:
    """It is neither a file nor a folder: the system refuses to say what lies there."""
    for name in ("round", "a/round"):
        (album / name).symlink_to("round")
    samples, survey = read_folder(album)
    assert [str(sample.path) for sample in samples] == [str(album / name) for name in PICTURES]
    closed = "2 files that cannot be opened (without suffix) are left out; check their permissions and links"
    assert closed in survey.lines()
    assert read_boxes(album) is None


def test_a_link_in_a_class_to_the_folder_of_all_classes_brings_no_photos_of_others(album: Path) -> None:
    (album / "a" / "all").symlink_to(album)
    assert [Path(path).name for path in visible_files(album / "a", pytest.fail)] == ["notes.txt", "z.jpg", "玫瑰.jpg"]
    samples, _ = read_folder(album)
    assert sum(samples.names[k] == "a" for k in samples.labels.tolist()) == 2


def test_runs_among_the_photos_are_left_out_and_counted(album: Path) -> None:
    """As a training that was started in the folder of photos writes them; its charts were a class."""
    for run in ("runs/album", "run", "b/run"):
        (album / run / "checkpoint").mkdir(parents=True)
        for name in ("config.yaml", "confusion.png"):
            (album / run / name).touch()
    samples, survey = read_folder(album)
    assert [str(sample.path) for sample in samples] == [str(album / name) for name in PICTURES]
    assert survey.empty == []
    assert "3 runs that train wrote (run, runs) are left out" in survey.lines()
    run = album / "b" / "run"
    assert list(visible_files(run, refuse)) == [str(run / name) for name in ("config.yaml", "confusion.png")]
