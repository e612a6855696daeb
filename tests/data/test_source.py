"""Photographs in any layout, and what is said about data that is none."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from mobilenets.data.sources.read import read_samples, read_splits
from mobilenets.errors import UserError


def _put(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, "PNG")
    return folder


def _names(samples) -> list[str]:
    return sorted(s.path.name for s in samples)


def test_class_folders_are_split_and_their_names_sorted(tmp_path: Path) -> None:
    _put(tmp_path, *(f"{c}/{i}.png" for c in ("tulip", "daisy", "玫瑰") for i in range(10)))
    splits = read_splits(tmp_path, seed=3)
    assert splits.classes == ("daisy", "tulip", "玫瑰")
    assert (len(splits.train), len(splits.val), len(splits.test)) == (24, 6, 0)
    assert {s.path.parent.name for s in splits.train if s.label == 2} == {"玫瑰"}


def test_train_val_and_test_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        _put(tmp_path, f"{part}/a/{part}1.png", f"{part}/b/{part}2.png")
    splits = read_splits(tmp_path)
    assert _names(splits.train) == ["train1.png", "train2.png"]
    assert _names(splits.val) == ["validation1.png", "validation2.png"]
    assert _names(splits.test) == ["test1.png", "test2.png"]


def test_parts_may_be_called_training_and_testing(tmp_path: Path) -> None:
    _put(tmp_path, *(f"{part}/{c}/{part}{c}.png" for part in ("Training", "VALID", "Testing") for c in "ab"))
    splits = read_splits(tmp_path)
    assert _names(splits.train) == ["Traininga.png", "Trainingb.png"]
    assert _names(splits.val) == ["VALIDa.png", "VALIDb.png"]
    assert _names(splits.test) == ["Testinga.png", "Testingb.png"]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    _put(tmp_path, *(f"{vehicle}/{i}.png" for vehicle in ("bus", "car", "train") for i in range(2)))
    assert read_splits(tmp_path).classes == ("bus", "car", "train")


def test_other_folders_beside_the_parts_are_left_alone(tmp_path: Path) -> None:
    _put(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png", "originals/5.png")
    assert read_splits(tmp_path).classes == ("a", "b")


def test_a_folder_for_validation_replaces_the_split(tmp_path: Path) -> None:
    data = _put(tmp_path / "data", *(f"{c}/{i}.png" for c in "ab" for i in range(5)))
    other = _put(tmp_path / "other", "a/x.png", "b/y.png")
    splits = read_splits(data, val=other)
    assert len(splits.train) == 10
    assert _names(splits.val) == ["x.png", "y.png"]


def test_of_a_split_folder_for_validation_the_validation_part_is_taken(tmp_path: Path) -> None:
    data = _put(tmp_path / "data", "a/1.png", "b/2.png")
    other = _put(tmp_path / "other", "train/a/3.png", "train/b/4.png", "val/a/5.png", "val/b/6.png")
    assert _names(read_splits(data, val=other).val) == ["5.png", "6.png"]


def test_validating_on_the_training_photographs_is_refused(tmp_path: Path) -> None:
    data = _put(tmp_path / "data", "a/1.png", "b/2.png")
    with pytest.raises(UserError, match="the training data itself"):
        read_splits(data, val=data / ".." / "data")


def test_odd_names_links_and_depths_are_found_and_hidden_files_are_not(tmp_path: Path) -> None:
    data = _put(
        tmp_path / "data",
        "a/with space.PNG", "a/deep/er/é.png", "a/.hidden.png", "a/.cache/x.png", "b/1.JPEG", "b/2.png",
    )  # fmt: skip
    (data / "b" / "notes.txt").write_text("no photo")
    (data / "b" / "link.png").symlink_to(data / "b" / "2.png")
    (data / "b" / "loop").symlink_to(data / "b")
    splits = read_splits(data, val=0.5)
    assert _names((*splits.train, *splits.val)) == ["1.JPEG", "2.png", "link.png", "with space.PNG", "é.png"]


def test_a_csv_gives_paths_labels_parts_groups_and_strata(tmp_path: Path) -> None:
    _put(tmp_path / "img", *(f"{i}.png" for i in range(4)))
    table = tmp_path / "data.csv"
    table.write_text(
        "\ufeffpath,label,split,group,stratum\n"
        'img/0.png,"rose, red",train,g1,s\nimg/1.png,b,train,,\nimg/2.png,"rose, red",val,,\nimg/3.png,b,val,,\n',
        encoding="utf-8",
    )
    splits = read_splits(table)
    assert splits.classes == ("b", "rose, red")
    assert (splits.train[0].group, splits.train[0].stratum) == ("g1", "s")
    assert _names(splits.val) == ["2.png", "3.png"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,kind\nimg/0.png,a\n", "line 1.*label"),
        ("path,label\nimg/0.png,\n", "line 2.*label is empty"),
        ("path,label\n,a\n", "line 2.*path is empty"),
        ("path,label\nimg/0.png,a\nimg/9.png,b\n", "line 3.*img/9.png"),
        ("path,label,split\nimg/0.png,a,half\n", "line 2.*half"),
        ("path,label\nimg/0.png,a\nimg/1.png,b, c\n", "line 3.*more values than columns.*quotes"),
        ("path,label\nimg/0.png,a\nimg/1.png,b\nimg/0.png,b\n", "line 4.*img/0.png is on line 2 already"),
        (f"path,label\n{'x' * 5000}.png,a\n", "line 2.*no such file"),
        ("", "line 1"),
        ("path,label\n", "no images"),
        ("path,label\nimg/0.png,a\n", "one photo of 'a'"),
    ],
)
def test_a_bad_csv_is_answered_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    _put(tmp_path / "img", "0.png", "1.png")
    table = tmp_path / "data.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=f"data.csv.*{told}"):
        read_splits(table)


def test_rows_that_repeat_a_photograph_are_counted_and_kept_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _put(tmp_path, *(f"{i}.png" for i in range(4)))
    table = tmp_path / "data.csv"
    table.write_text(
        "path,label\n" + "".join(f"{dot}{i % 4}.png,{'ab'[i % 2]}\n" for i in range(12) for dot in ("", "./"))
    )
    splits = read_splits(table, val=0.5)
    assert (len(splits.train), len(splits.val)) == (12, 12)
    assert not set(_names(splits.train)) & set(_names(splits.val))
    assert capsys.readouterr().err.startswith(f"{table}: 20 rows repeat a photo")


@pytest.mark.parametrize(
    ("rows", "line"),
    [("0.png,a,train,\n1.png,b,,\n0.png,a,val,\n", 4), ("0.png,a,,x\n0.png,a,,y\n1.png,b,,\n", 3)],
)
def test_rows_that_contradict_each_other_are_named(tmp_path: Path, rows: str, line: int) -> None:
    _put(tmp_path, "0.png", "1.png")
    table = tmp_path / "data.csv"
    table.write_text(f"path,label,split,group\n{rows}")
    with pytest.raises(UserError, match=rf"line {line}: 0\.png is on line 2 already with another"):
        read_splits(table)


def test_a_csv_in_another_encoding_is_told(tmp_path: Path) -> None:
    table = tmp_path / "data.csv"
    table.write_bytes("path,label\nä.png,玫瑰\n".encode("gb18030"))
    with pytest.raises(UserError, match="UTF-8"):
        read_splits(table)


def test_data_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        read_splits(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no images"):
        read_splits(tmp_path)
    with pytest.raises(UserError, match="one photo of 'a'"):
        read_splits(_put(tmp_path / "one", "a/1.png"))
    (tmp_path / "data.xls").write_text("")
    with pytest.raises(UserError, match=r"data\.xls: not data"):
        read_splits(tmp_path / "data.xls")


@pytest.mark.parametrize("part", ["", "train/"])
def test_a_class_without_images_is_told_and_not_left_out(tmp_path: Path, part: str) -> None:
    _put(tmp_path, *(f"{part}{c}/{i}.png" for c in "ab" for i in range(4)))
    (tmp_path / part / "roses").mkdir()
    (tmp_path / part / "roses" / "1.nef").write_bytes(b"a kind that is not read")
    with pytest.raises(UserError, match="roses: holds no images"):
        read_splits(tmp_path)


def test_photographs_in_train_without_class_folders_are_told(tmp_path: Path) -> None:
    _put(tmp_path, "train/1.png", "train/2.png", "val/3.png")
    with pytest.raises(UserError, match="train and val hold 3 photos, but no folders of classes"):
        read_splits(tmp_path)


def test_data_with_nothing_to_train_on_is_told(tmp_path: Path) -> None:
    _put(tmp_path, "test/a/1.png", "test/b/2.png")
    with pytest.raises(UserError, match="no training images"):
        read_splits(tmp_path)


if sys.platform == "linux":  # elsewhere every file name is text

    def test_a_class_name_that_cannot_be_stored_is_told(tmp_path: Path) -> None:
        _put(tmp_path, os.fsdecode(b"caf\xe9/1.png"), "tea/2.png")
        with pytest.raises(UserError, match=r"'caf\\udce9' is not UTF-8"):
            read_splits(tmp_path)


def test_classes_that_differ_between_parts_are_named(tmp_path: Path) -> None:
    _put(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "val/c/4.png")
    with pytest.raises(UserError, match="val has the class 'c'"):
        read_splits(tmp_path)
    (tmp_path / "val" / "c" / "4.png").unlink()
    with pytest.raises(UserError, match=r"no validation image of 'b' \(1 photo\)"):
        read_splits(tmp_path, rare="refuse")


def test_a_share_for_data_that_is_split_already_is_refused(tmp_path: Path) -> None:
    _put(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png")
    with pytest.raises(UserError, match="has a validation part already"):
        read_splits(tmp_path, val=0.3)


def test_evaluation_takes_the_test_part_then_the_validation_part(tmp_path: Path) -> None:
    _put(tmp_path, *(f"{part}/{c}/{part}{c}.png" for part in ("train", "val", "test") for c in "ab"))
    assert _names(read_samples(tmp_path)[1]) == ["testa.png", "testb.png"]
    assert _names(read_samples(tmp_path, split="val")[1]) == ["vala.png", "valb.png"]


def test_evaluation_numbers_classes_as_the_model_does(tmp_path: Path) -> None:
    _put(tmp_path, "b/1.png", "b/2.png")
    classes, samples = read_samples(tmp_path, classes=("a", "b", "c"))
    assert classes == ("a", "b", "c")
    assert {s.label for s in samples} == {1}
    with pytest.raises(UserError, match="'b', which is not among x, y"):
        read_samples(tmp_path, classes=("x", "y"))
    with pytest.raises(UserError, match="no test part"):
        read_samples(tmp_path, classes=("a", "b"), split="test")
