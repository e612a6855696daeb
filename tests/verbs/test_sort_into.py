"""Photographs sorted into class folders: nothing is written over, whatever classes and files are called."""

from pathlib import Path

import pytest

from mobilenets.errors import UserError
from mobilenets.verbs.sort_into import Sorter


def photo(path: Path, content: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_photograph_is_copied_into_the_folder_of_its_class_and_stays_where_it_was(tmp_path: Path) -> None:
    source = photo(tmp_path / "a" / "1.jpg")
    sorter = Sorter(tmp_path / "sorted", ("rose", "tulip"), link=False)
    assert sorter.add(source, "rose") == tmp_path / "sorted" / "rose" / "1.jpg"
    assert sorter.add(source, None) == tmp_path / "sorted" / "unknown" / "1.jpg"
    assert source.read_bytes() == (tmp_path / "sorted" / "rose" / "1.jpg").read_bytes()
    assert not (tmp_path / "sorted" / "tulip").exists()


def test_links_lead_to_the_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "1.jpg")
    monkeypatch.chdir(tmp_path)
    link = Sorter(Path("sorted"), ("rose",), link=True).add(Path("1.jpg"), "rose")
    assert link.is_symlink()
    assert link.read_bytes() == b"photo"


def test_photographs_of_the_same_name_are_numbered(tmp_path: Path) -> None:
    sorter = Sorter(tmp_path / "sorted", ("rose",), link=False)
    new = [sorter.add(photo(tmp_path / d / "1.jpg", d.encode()), "rose") for d in "abc"]
    assert [path.name for path in new] == ["1.jpg", "1-2.jpg", "1-3.jpg"]
    assert [path.read_bytes() for path in new] == [b"a", b"b", b"c"]


def test_classes_with_names_that_are_no_folders_get_folders_of_their_own(tmp_path: Path) -> None:
    source = photo(tmp_path / "1.jpg")
    classes = ("a/b", "a_b", "..", "unknown", "A_B")
    sorter = Sorter(tmp_path / "sorted", classes, link=False)
    folders = {sorter.add(source, label).parent for label in (*classes, None)}
    assert len(folders) == 6
    assert all(folder.parent == tmp_path / "sorted" for folder in folders)


def test_folders_called_otherwise_than_their_classes_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Sorter(tmp_path / "plain", ("rose", "tulip"), link=False)
    assert caplog.messages == []
    Sorter(tmp_path / "sorted", ("../x", "rose", "unknown"), link=False)
    assert caplog.messages == [
        "--sort-into: folders are called otherwise than classes: '../x' in .._x, 'unknown' in unknown-2"
    ]


def test_a_class_name_longer_than_a_folders_is_cut(tmp_path: Path) -> None:
    source, label = photo(tmp_path / "1.jpg"), "黄" * 300
    assert Sorter(tmp_path / "sorted", (label, "rose"), link=False).add(source, label).read_bytes() == b"photo"


def test_of_a_photograph_that_does_not_fit_no_part_is_left(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # of Unix
    source = photo(tmp_path / "1.jpg", bytes(5_000))
    sorter = Sorter(tmp_path / "sorted", ("rose",), link=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot be put there .*; make room"):
            sorter.add(source, "rose")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "sorted" / "rose").iterdir()) == []


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_taken(tmp_path: Path) -> None:
    Sorter(tmp_path, ("rose",), link=False)
    photo(tmp_path / "1.jpg")
    with pytest.raises(UserError, match="holds files already"):
        Sorter(tmp_path, ("rose",), link=False)
    with pytest.raises(UserError, match="is a file"):
        Sorter(tmp_path / "1.jpg", ("rose",), link=False)
    with pytest.raises(UserError, match="cannot be made"):
        Sorter(tmp_path / "1.jpg" / "x", ("rose",), link=False)


def test_a_photograph_that_cannot_be_copied_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be put there"):
        Sorter(tmp_path / "sorted", ("rose",), link=False).add(tmp_path / "gone.jpg", "rose")
