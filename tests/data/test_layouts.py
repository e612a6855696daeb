"""What folders are, from what lies in them: parts, folds, classes; and that nothing vanishes without a word."""

from pathlib import Path

import pytest
from PIL import Image

from mobilenets.data.overview import class_table, overview
from mobilenets.data.samples import Splits
from mobilenets.data.sources.read import read_samples, read_splits
from mobilenets.data.sources.split_names import is_fold, split_called, split_of_shard, splits_called
from mobilenets.errors import UserError
from mobilenets.system.terminal import columns


def put(root: Path, counts: dict[str, int]) -> Path:
    """Folders with so many pictures in each; none for 0."""
    for name, n in counts.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.new("RGB", (4, 4)).save(folder / f"{i}.png")
    return root


def pets(part: str, n: int = 4) -> dict[str, int]:
    return {f"{part}/cats": n, f"{part}/dogs": n}


def sizes(splits: Splits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.val), len(splits.test)


# --- parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("training_set", "validation_set", "test_set"),
        ("TRAIN", "VAL", "TEST"),
        ("Train-Set", "Valid-Set", "Test-Set"),
        ("train_images", "dev", "evaluation"),
        ("trainData", "valid_data", "holdout"),
        ("training split", "validation split", "hold-out split"),
        ("train2017", "val2017", "test2017"),
        ("bees_train", "bees_val", "bees_test"),
        ("训练集", "验证集", "测试集"),
    ],
)
def test_parts_are_known_by_any_usual_name(tmp_path: Path, train: str, val: str, test: str) -> None:
    splits = read_splits(put(tmp_path, pets(train, 5) | pets(val, 3) | pets(test, 2)))
    assert splits.classes == ("cats", "dogs")
    assert sizes(splits) == (10, 6, 4)
    if train != "TRAIN":
        assert any(f"{train} as train" in line for line in splits.survey.lines())


def test_training_and_test_parts_alone_leave_validation_to_be_drawn(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, pets("training_set", 10) | pets("test_set")))
    assert sizes(splits) == (16, 4, 8)


@pytest.mark.parametrize("name", ["eval", "evaluation", "holdout", "held_out"])
def test_evaluation_and_holdout_are_the_part_that_is_missing(name: str) -> None:
    assert splits_called(["train", "val", name])[name] == "test"
    assert splits_called(["train", "test", name])[name] == "val"


@pytest.mark.parametrize(
    "name", ["trains", "contest", "latest", "invalid", "valley", "test tube", "devices", "retrain"]
)
def test_words_that_contain_a_parts_name_are_none(name: str) -> None:
    assert split_called(name) == ""


@pytest.mark.parametrize(
    ("stem", "part"),
    [
        ("train-00000-of-00010", "train"),
        ("val_3", "val"),
        ("test_set-01", "test"),
        ("Validation000", "val"),
        ("0001", ""),
    ],
)
def test_shards_say_their_part_alike(stem: str, part: str) -> None:
    assert split_of_shard(stem) == part


def test_a_class_that_is_called_like_a_part_stays_one_where_it_holds_photographs(tmp_path: Path) -> None:
    assert read_splits(put(tmp_path, dict.fromkeys(("bus", "car", "train"), 4))).classes == ("bus", "car", "train")


def test_a_part_or_class_that_cannot_be_told_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    put(tmp_path, {"train/steam": 3, "train/electric": 3, "bus": 3, "car": 3})
    with pytest.raises(UserError, match=r"train holds the folders electric, steam, and bus and car beside it.*class"):
        read_splits(tmp_path)


@pytest.mark.parametrize("extra", [{"extra": 3}, {"extra/cats": 2, "extra/dogs": 1}, {"extra/odd": 3}])
def test_what_stands_beside_the_parts_is_named_and_counted(tmp_path: Path, extra: dict[str, int]) -> None:
    splits = read_splits(put(tmp_path, pets("train") | pets("test") | extra))
    assert splits.classes == ("cats", "dogs")
    assert any(f"{tmp_path / 'extra'}: 3 photos" in line for line in splits.survey.lines())


def test_photographs_without_class_folders_in_a_part_are_counted(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, pets("train") | {"test1": 7}))
    assert any(f"{tmp_path / 'test1'}: 7 photos" in line for line in splits.survey.lines())
    with pytest.raises(UserError, match="test and train hold 16 photos, but no folders of classes"):
        read_splits(put(tmp_path / "flat", {"train": 9, "test": 7}))
    (tmp_path / "flat" / "train.csv").write_text("id,label\n")
    (tmp_path / "flat" / "test" / "_classes.csv").write_text("filename, a, b\n")
    with pytest.raises(UserError, match=r"or give the CSV that lists them \(test/_classes.csv, train.csv\)"):
        read_splits(tmp_path / "flat")


def test_parts_may_lie_inside_each_class(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, {"cats/train": 4, "cats/test": 2, "dogs/train": 4, "dogs/test": 1}))
    assert splits.classes == ("cats", "dogs")
    assert len(splits.train) + len(splits.val) == 8
    assert len(splits.test) == 3


def test_a_part_that_holds_nothing_is_told(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, pets("train", 8) | {"val": 0}))
    assert any("val: holds no photos" in line for line in splits.survey.lines())


# --- folds and folders that hold the same ---------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("fold1", "fold2", "fold3"), ("Fold_A", "Fold_B"), ("split0", "split1"), ("cv-1", "cv-2")]
)
def test_of_folds_the_first_validates_and_a_line_says_so(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert all(map(is_fold, names))
    splits = read_splits(put(tmp_path, {k: n for name in names for k, n in pets(name).items()}))
    assert splits.classes == ("cats", "dogs")
    assert {s.path.parts[-3] for s in splits.val} == {names[0]}
    assert {s.path.parts[-3] for s in splits.train} == {*names[1:]}
    assert any(f"{names[0]} validates" in line for line in splits.survey.lines())


def test_another_fold_validates_where_val_names_it_and_is_not_trained_on(tmp_path: Path) -> None:
    put(tmp_path, pets("fold1") | pets("fold2") | pets("fold3"))
    splits = read_splits(tmp_path, val=tmp_path / "fold2")
    assert {s.path.parts[-3] for s in splits.val} == {"fold2"}
    assert {s.path.parts[-3] for s in splits.train} == {"fold1", "fold3"}


@pytest.mark.parametrize("names", [("a", "b"), ("2019", "2020", "2021"), ("camera 1", "camera 2")])
def test_folders_that_hold_the_same_classes_are_never_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    put(tmp_path, {k: n for name in names for k, n in pets(name).items()})
    with pytest.raises(UserError, match=r"hold the same folders \(cats, dogs\).*parts or folds, not classes"):
        read_splits(tmp_path)


def test_nor_are_they_where_a_class_is_missing_in_one(tmp_path: Path) -> None:
    put(tmp_path, {**pets("a"), **pets("b"), "b/birds": 3})
    with pytest.raises(UserError, match="hold the same folders"):
        read_splits(tmp_path)


def test_several_data_sets_side_by_side_are_refused_with_the_names_of_their_parts(tmp_path: Path) -> None:
    put(tmp_path, {**pets("a/train"), **pets("a/val"), **pets("b/train"), **pets("b/val")})
    with pytest.raises(UserError, match=r"parts of its own \(train, val\); give one of them"):
        read_splits(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ("a/red", "b/blue"),
        ("a/red", "a/pink", "b/blue", "b/navy"),
        ("a/images", "b/images"),
        ("a/x", "a/y", "b/y", "b/z"),
    ],
)
def test_folders_in_classes_belong_to_the_class_and_a_line_says_so(tmp_path: Path, folders: tuple[str, ...]) -> None:
    splits = read_splits(put(tmp_path, dict.fromkeys(folders, 3)))
    assert splits.classes == ("a", "b")
    assert any("what lies in folders of a, b belongs to that class" in line for line in splits.survey.lines())


def test_a_folder_that_holds_the_classes_beside_it_once_more_is_no_class(tmp_path: Path) -> None:
    put(tmp_path, {"cats": 4, "dogs": 4, **pets("test", 3), **pets("old", 2)})
    splits = read_splits(tmp_path)
    assert splits.classes == ("cats", "dogs")
    assert len(splits.test) == 6
    assert any(f"{tmp_path / 'old'}: 4 photos" in line for line in splits.survey.lines())


# --- too deep, too flat ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["data", "download/data set/v2"])
@pytest.mark.parametrize("inner", [{"cats": 4, "dogs": 4}, pets("train") | pets("val")])
def test_data_that_lies_deeper_is_read_there(tmp_path: Path, wrap: str, inner: dict[str, int]) -> None:
    put(tmp_path / wrap, inner)
    put(tmp_path / "__MACOSX" / "cats", {"": 0}).joinpath("._0.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "README.md").write_text("about this data")
    (tmp_path / ".git").mkdir()
    splits = read_splits(tmp_path)
    assert splits.classes == ("cats", "dogs")
    lines = splits.survey.lines()
    assert f"read from {tmp_path / wrap}" in lines[0]
    assert any("1 file or folder of the system (__MACOSX)" in line for line in lines)
    assert any("1 hidden file or folder (.git)" in line for line in lines)


def test_parts_that_lie_deeper_are_read_there(tmp_path: Path) -> None:
    put(tmp_path, pets("seg_train/seg_train", 5) | pets("seg_test/seg_test", 2) | {"seg_pred/seg_pred": 6})
    splits = read_splits(tmp_path, val=0.2)
    assert sizes(splits) == (8, 2, 4)
    assert any(f"{tmp_path / 'seg_pred'}: 6 photos" in line for line in splits.survey.lines())


def test_a_model_s_class_is_not_gone_down_into(tmp_path: Path) -> None:
    put(tmp_path, {"cats/indoors": 2, "cats/outdoors": 1})
    _, samples = read_samples(tmp_path, ("cats", "dogs"))
    assert samples.labels.tolist() == [0, 0, 0]


def test_a_flat_folder_is_answered_with_how_many_photographs_and_what_to_do(tmp_path: Path) -> None:
    put(tmp_path, {"": 12})
    with pytest.raises(UserError, match=r"12 photos, but no folders of classes; make one folder for each class"):
        read_splits(tmp_path)
    (tmp_path / "project.json").write_text("[]")
    with pytest.raises(UserError, match=r"\(project.json: not read; export boxes as COCO, classes as a CSV\)$"):
        read_splits(tmp_path)
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(UserError, match=r"give the CSV that lists them \(labels.csv\)"):
        read_splits(tmp_path)


def test_loose_photographs_beside_class_folders_are_counted(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, {"": 3, "cats": 4, "dogs": 4}))
    assert len(splits.train) + len(splits.val) == 8
    assert any("3 photos directly in it, in no class folder" in line for line in splits.survey.lines())


# --- kinds of file --------------------------------------------------------------------------------------


def test_photographs_are_read_whatever_they_are_called_and_the_rest_is_counted_by_reason(tmp_path: Path) -> None:
    put(tmp_path, {"cats": 4, "dogs": 4})
    (tmp_path / "cats" / "0.png").rename(tmp_path / "cats" / "IMG 0")
    (tmp_path / "cats" / "1.png").rename(tmp_path / "cats" / "1.txt")
    beside = {
        "cats/a.mp4": b"\0\0\0\x20ftypisom", "cats/b.pdf": b"%PDF-1.7", "cats/c.zip": b"PK\3\4",
        "dogs/d.svg": b"<svg/>", "dogs/e.nef": b"II*\0", "dogs/f.NEF": b"MM\0*", "dogs/notes.txt": b"none",
        "dogs/nothing": b"",
        "dogs/._1.png": b"\0\5\x16\7", "dogs/Thumbs.db": b"\xd0\xcf", ".DS_Store": b"\0",
    }  # fmt: skip
    for name, content in beside.items():
        (tmp_path / name).write_bytes(content)
    splits = read_splits(tmp_path)
    assert len(splits.train) + len(splits.val) == 8
    lines = "\n".join(splits.survey.lines())
    for said in (
        "2 files of a kind that is not read here (.nef: convert to JPEG or PNG) are left out",
        "1 file of a kind that is not read here (.svg: convert",
        "1 video (.mp4) is left out",
        "1 PDF document (.pdf)",
        "1 archive (.zip)",
        "1 empty file, of 0 bytes,",
        "1 file that is no photo (.txt)",
        "2 hidden files and folders (.DS_Store, ._*)",
        "1 file or folder of the system (Thumbs.db)",
    ):
        assert said in lines, said


def test_a_folder_without_pictures_says_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"PK\3\4")
    with pytest.raises(UserError, match=r"no images found \(1 archive \(.zip\) is left out; unpack"):
        read_splits(tmp_path)


def test_an_archive_beside_class_folders_does_not_take_their_place(tmp_path: Path) -> None:
    put(tmp_path, {"cats": 4, "dogs": 4})
    (tmp_path / "backup.tar").write_bytes(bytes(10240))
    assert any("1 archive (.tar)" in line for line in read_splits(tmp_path).survey.lines())


# --- names of classes -----------------------------------------------------------------------------------


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    splits = read_splits(put(tmp_path, {"caf\u00e9": 3, "cafe\u0301": 3, "tea": 3}))
    assert splits.classes == ("caf\u00e9", "tea")
    assert any("'caf\u00e9' is spelled in two Unicode forms" in line for line in splits.survey.lines())


def test_a_models_names_and_the_datas_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    put(tmp_path, {"cafe\u0301": 2, "tea": 2})
    for names in (("caf\u00e9", "tea"), ("cafe\u0301", "tea")):
        assert sorted(read_samples(tmp_path, names)[1].labels.tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize("pair", [("Rose", "rose"), ("rose", "rose "), ("ＡＢ", "AB")])
def test_names_that_a_careless_hand_sets_apart_are_told_and_stay_apart(tmp_path: Path, pair: tuple[str, str]) -> None:
    splits = read_splits(put(tmp_path, dict.fromkeys(pair, 3)))
    assert splits.classes == tuple(sorted(pair))
    assert any(line.startswith("warning") and all(repr(n) in line for n in pair) for line in splits.survey.lines())


def test_parts_whose_class_names_differ_in_case_are_refused_with_the_name_that_is_meant(tmp_path: Path) -> None:
    put(tmp_path, pets("train") | {"test/Cats": 2, "test/dogs": 2})
    with pytest.raises(UserError, match=r"test has the class 'Cats', .*; is 'cats' meant"):
        read_splits(tmp_path)


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\tb", "a\u2028b"])
def test_control_characters_in_a_class_name_are_refused_where_they_enter(tmp_path: Path, name: str) -> None:
    put(tmp_path, {"": 2})
    table = tmp_path / "data.csv"
    table.write_text(f'path,label\n0.png,"{name}"\n1.png,b\n', encoding="utf-8")
    with pytest.raises(
        UserError, match=r"0\.png: its class name .* has (a line break|the control character)|line break in it"
    ):
        read_splits(table)
    with pytest.raises(UserError, match="its class name"):
        read_splits(put(tmp_path / "folders", {name: 2, "b": 2}))


# --- rare classes ---------------------------------------------------------------------------------------


def rare_data(root: Path, own_split: bool) -> Path:
    if own_split:
        return put(root, {**pets("train"), "train/birds": 3, **pets("val", 2)})
    return put(root, {"cats": 8, "dogs": 8, "birds": 1})


@pytest.mark.parametrize("own_split", [False, True])
def test_a_class_without_validation_photographs_is_trained_on_with_a_warning(tmp_path: Path, own_split: bool) -> None:
    splits = read_splits(rare_data(tmp_path, own_split))
    assert splits.classes == ("birds", "cats", "dogs")
    assert 0 in splits.train.labels
    assert 0 not in splits.val.labels
    assert any(line.startswith("warning: no validation photo of 'birds'") for line in splits.survey.lines())


@pytest.mark.parametrize("own_split", [False, True])
def test_rare_classes_are_left_out_or_refused_on_request(tmp_path: Path, own_split: bool) -> None:
    data = rare_data(tmp_path, own_split)
    splits = read_splits(data, rare="drop")
    assert splits.classes == ("cats", "dogs")
    assert {*splits.train.labels.tolist()} == {*splits.val.labels.tolist()} == {0, 1}
    assert {(splits.classes[s.label], s.path.parent.name) for s in splits.train} == {("cats", "cats"), ("dogs", "dogs")}
    assert any("'birds'" in line and "too rare" in line for line in splits.survey.lines())
    with pytest.raises(UserError, match="no validation image of 'birds'"):
        read_splits(data, rare="refuse")


def test_leaving_out_rare_classes_must_leave_two(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fewer than two classes remain"):
        read_splits(put(tmp_path, {"cats": 8, "dogs": 1}), rare="drop")


def test_without_any_validation_photograph_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no photo can validate"):
        read_splits(put(tmp_path, {"cats": 1, "dogs": 1}))


def test_an_empty_class_folder_is_refused_unless_rare_classes_are_dropped(tmp_path: Path) -> None:
    put(tmp_path, {"cats": 4, "dogs": 4, "birds": 0})
    with pytest.raises(UserError, match=r"birds: holds no images.*--rare drop"):
        read_splits(tmp_path)
    assert read_splits(tmp_path, rare="drop").classes == ("cats", "dogs")


# --- the table ------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_class_and_a_column_for_each_part(tmp_path: Path) -> None:
    lines = overview(read_splits(put(tmp_path, {"train/玫瑰": 12, "train/tea": 3, "val/玫瑰": 2, "val/tea": 1})))
    assert [line.split() for line in lines] == [["train", "val"], ["tea", "3", "1"], ["玫瑰", "12", "2"],
                                               ["2", "classes", "15", "3"]]  # fmt: skip
    assert len({columns(line) for line in lines}) == 1, "aligned"


def test_of_a_thousand_classes_the_table_stays_short(tmp_path: Path) -> None:
    import numpy as np

    from mobilenets.data.sample import Sample
    from mobilenets.data.samples import Samples

    each = Samples.of([Sample(Path("x.jpg"), k) for k in range(1000)])
    samples = each.take(np.repeat(np.arange(1000), np.arange(1, 1001)))
    lines = class_table([f"class {k}" for k in range(1000)], {"train": samples})
    assert len(lines) == 13
    assert lines[1].split() == ["class", "999", "1,000"]
    assert "990 more, of 6 to 995 each" in lines[6]
    assert lines[-2].split() == ["class", "0", "1"]


@pytest.mark.parametrize(
    ("name", "start", "said"),
    [
        ("photos.zip", b"PK\3\4", "unpack it first, or give a folder"),
        ("photos.tar.gz", b"\x1f\x8b", "unpack it first, or give a folder"),
        ("labels.xlsx", b"PK\3\4", "save the sheet as CSV, or give a folder"),
        ("photo.png", b"\x89PNG", "not data to train on; give a folder"),
    ],
)
def test_a_file_that_is_no_data_is_told_what_to_do_with_it(tmp_path: Path, name: str, start: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(start + bytes(100))
    with pytest.raises(UserError, match=said):
        read_splits(tmp_path / name)
