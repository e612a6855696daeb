"""CSVs as spreadsheets, pandas and labelling tools write them: read, or refused by line with what was found."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from mobilenets.data.sources.csv import read_table
from mobilenets.data.sources.read import read_named_splits, read_splits
from mobilenets.data.sources.survey import Survey
from mobilenets.errors import UserError
from mobilenets.model_card import CLASSIFY, MULTILABEL

ROWS = [(f"im/{colour}{i}.png", colour) for colour in ("red", "blue") for i in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two colours of three pictures in `im/`, and the word for each in its name."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "im").mkdir()
    for path, colour in ROWS:
        pixels = np.full((8, 8, 3), (200, 0, 0) if colour == "red" else (0, 0, 200), np.uint8)
        Image.fromarray(pixels).save(folder / path)
    return folder


@pytest.fixture
def table(folder: Path, request: pytest.FixtureRequest) -> Path:
    """A CSV of its own beside `im/`."""
    return folder / f"{abs(hash(request.node.name))}.csv"


def _labels(table: Path) -> dict[str, str]:
    """Each photograph's name and its label; that the files are there is asked of the file system."""
    classes, parts = read_named_splits(table)
    samples = [sample for part in parts.values() for sample in part]
    assert all(sample.path.is_file() for sample in samples)
    return {sample.path.name: classes[sample.label] for sample in samples}


EXPECTED = {Path(path).name: colour for path, colour in ROWS}


def _lines(separator: str, header: str = "path{}label", line: str = "{path}{s}{label}", end: str = "\n") -> str:
    body = [line.format(path=path, label=label, s=separator) for path, label in ROWS]
    return end.join([header.replace("{}", separator), *body, ""])


def _with_splits(table: Path, *splits: str) -> list[str]:
    """What is told of a CSV of six rows with these values of `split`."""
    lines = [
        "path,label,split",
        *(f"{path},{label},{split}" for (path, label), split in zip(ROWS, splits, strict=True)),
    ]
    table.write_text("\n".join(lines))
    return read_splits(table).survey.notes


# --- read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "told"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_the_separator_is_found_out_and_told(
    table: Path, separator: str, told: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(_lines(separator, end=end), newline="")
    assert _labels(table) == EXPECTED
    assert capsys.readouterr().err == (f"{table}: separated by {told}\n" if told else "")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("file_name,label", "path from 'file_name'"),
        ("Image Path,Class", "path from 'Image Path'; label from 'Class'"),
        (" FILE , Category ", "path from 'FILE'; label from 'Category'"),
        ("filepath,class_name", "path from 'filepath'; label from 'class_name'"),
        ("imagePath,target", "path from 'imagePath'; label from 'target'"),
        ("image_id,breed", "path from 'image_id'; label from 'breed'"),
        ("图片,标签", "path from '图片'; label from '标签'"),
        ("\ufeffPATH,Label", ""),
    ],
)
def test_usual_names_of_columns_are_known_and_the_choice_is_told(
    table: Path, header: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(_lines(",", header), encoding="utf-8")
    assert _labels(table) == EXPECTED
    assert capsys.readouterr().err == (f"{table}: {told}\n" if told else "")


def test_what_nobody_reads_is_told(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(_lines(",", ",label,path,width,label_2", "7,{label},{path},640,x"))
    assert _labels(table) == EXPECTED
    assert capsys.readouterr().err == f"{table}: not read: 'width', 'label_2'\n"


def test_columns_may_stand_in_any_order_and_quotes_hold_separators(table: Path) -> None:
    with table.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL)
        writer.writerow(["Category", "Subset", "File"])
        writer.writerows([label + ", dark", "valid" if "2" in path else "Train", path] for path, label in ROWS)
    classes, parts = read_named_splits(table)
    assert classes == ("blue, dark", "red, dark")
    assert {part: len(samples) for part, samples in parts.items()} == {"train": 4, "val": 2}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_what_excel_saves_as_text_is_read(table: Path, encoding: str) -> None:
    table.write_text(_lines("\t", end="\r\n") + "\t\r\n\t\r\n", encoding=encoding, newline="")
    assert _labels(table) == EXPECTED


def test_excels_line_that_names_the_separator_is_followed(table: Path) -> None:
    table.write_text('"sep=;"\r\n\r\n' + _lines(";", end="\r\n"), newline="")
    assert _labels(table) == EXPECTED


def test_comments_before_the_header_and_blank_lines_are_passed_over_and_lines_still_counted(table: Path) -> None:
    text = "# exported by hand\n\n" + _lines(",").replace("im/red1", "\n,,\nim/red1") + "\n\n"
    table.write_text(text)
    assert _labels(table) == EXPECTED
    table.write_text(text + "im/none.png,red\n")
    line = text.count("\n") + 1
    with pytest.raises(UserError, match=rf"line {line}: im/none\.png: no such file"):
        _labels(table)


@pytest.mark.parametrize("swapped", [False, True])
def test_without_a_header_two_columns_are_known_by_the_files(
    table: Path, swapped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text("".join(f"{label};{path}\n" if swapped else f"{path};{label}\n" for path, label in ROWS))
    assert _labels(table) == EXPECTED
    names = "label, path" if swapped else "path, label"
    assert capsys.readouterr().err == f"{table}: no header: its columns are read as {names}\n"


def test_numbers_are_labels_as_they_are_written(table: Path) -> None:
    table.write_text("path,label\n" + "".join(f"{path},{len(label)}\n" for path, label in ROWS))
    assert set(_labels(table).values()) == {"3", "4"}


def test_of_two_columns_for_the_path_the_one_that_leads_to_files_is_taken(table: Path) -> None:
    body = "".join(f"{Path(path).name},{path},{label}\n" for path, label in ROWS)
    table.write_text(f"filename,filepath,label\n{body}")
    assert _labels(table) == EXPECTED


def test_a_column_called_path_goes_before_others(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(_lines(",", "file,path,label", "{path}.bak,{path},{label}"))
    assert _labels(table) == EXPECTED
    assert "not read: 'file'" in capsys.readouterr().err


def test_a_column_called_as_boxes_that_has_none_is_told(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(_lines(",", "path,label,box", "{path},{label},7"))
    assert _labels(table) == EXPECTED
    error = capsys.readouterr().err
    assert "; they look like boxes, which are read from columns called xmin, ymin, xmax, ymax" in error


def test_folds_that_are_numbers_are_no_parts(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(_lines(",", "path,label,fold", "{path},{label},3"))
    assert list(read_named_splits(table)[1]) == [""]
    assert "not read: 'fold'" in capsys.readouterr().err


# --- encodings ------------------------------------------------------------------------------------------

CHINESE = {"red": "红色", "blue": "蓝色"}


def _translated(words: dict[str, str], header: str = "path,label") -> str:
    return "\r\n".join([header, *(f"{path},{words[label]}" for path, label in ROWS), ""])


def test_what_excel_saves_in_china_is_read_and_told(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_bytes(_translated(CHINESE).encode("gbk"))
    assert set(_labels(table).values()) == set(CHINESE.values())
    assert capsys.readouterr().err == f"{table}: 7 lines that are no UTF-8, read as GB18030: 'im/red0.png,红色'\n"


KOREAN = {"red": "빨강", "blue": "파랑"}


def test_two_korean_words_may_be_chinese_and_both_are_told(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_bytes(_translated(KOREAN).encode("cp949"))
    chinese = {word.encode("cp949").decode("gb18030") for word in KOREAN.values()}
    assert set(_labels(table).values()) == chinese
    line = capsys.readouterr().err
    assert "read as Chinese (GB18030): 'im/red0.png," in line
    assert line.endswith("; if it is Korean (CP949): 'im/red0.png,빨강', save it as UTF-8\n")


def test_many_syllables_of_korean_are_read_as_such(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"red": "표면이 긁힌 불량 제품", "blue": "문제가 없는 정상"}
    table.write_bytes(_translated(words).encode("cp949"))
    assert set(_labels(table).values()) == set(words.values())
    assert "read as Korean (CP949): 'im/red0.png,표면이 긁힌 불량 제품'" in capsys.readouterr().err


def test_a_chinese_byte_far_down_in_a_long_table_is_read(table: Path) -> None:
    table.write_bytes(
        ("path,label,note\n" + f"im/red0.png,a,{'x' * 99}\n" * 20_000 + "im/red1.png,红,\n").encode("gbk")
    )
    assert read_table(table)[0].names == ("a", "红")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_other_widths_of_unicode_are_read(table: Path, encoding: str) -> None:
    table.write_bytes(_translated(CHINESE).encode(encoding))
    assert set(_labels(table).values()) == set(CHINESE.values())


@pytest.mark.parametrize(
    ("encoding", "red"),
    [("cp1252", "café"), ("cp1252", "Grün"), ("big5", "紅色"), ("shift_jis", "あか"), ("cp1251", "красный")],
)
def test_another_encoding_is_not_taken_for_chinese(table: Path, encoding: str, red: str) -> None:
    table.write_bytes(_translated({"red": red, "blue": red + red}).encode(encoding))
    with pytest.raises(UserError, match=r'not UTF-8 text .* which Excel calls "CSV UTF-8"'):
        read_table(table)


# --- paths of another system ----------------------------------------------------------------------------


def test_backslashes_are_read_as_the_systems_own_and_counted(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(_lines(",").replace("/", "\\"))
    assert _labels(table) == EXPECTED
    if os.sep == "/":
        assert capsys.readouterr().err == f"{table}: backslashes of 6 paths read as /\n"


@pytest.mark.parametrize(
    "before", ["/home/someone/set/", "C:\\Users\\some one\\set\\", "D:/set/", "dataset/set/", "./set/"]
)
def test_files_that_moved_together_are_found_below_the_csv_and_it_is_told(
    table: Path, before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slash = "\\" if "\\" in before else "/"
    table.write_text("path,label\n" + "".join(f"{before}{p.replace('/', slash)},{label}\n" for p, label in ROWS))
    assert _labels(table) == EXPECTED
    error = capsys.readouterr().err
    assert "6 paths lead nowhere; read from here: " in error
    assert error.endswith(" is im/red0.png\n")


def test_names_without_their_folder_are_found_in_the_one_folder_that_has_them(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(_lines(",").replace("im/", ""))
    assert _labels(table) == EXPECTED
    assert "6 paths lead nowhere; read from here: red0.png is im/red0.png" in capsys.readouterr().err


def test_ids_without_a_suffix_are_found_as_photos_and_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train").mkdir()
    for path, _ in ROWS:
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / Path(path).name)
    table = tmp_path / "labels.csv"
    table.write_text("id,breed\n" + "".join(f"{Path(path).stem},{label}\n" for path, label in ROWS))
    assert _labels(table) == EXPECTED
    assert "6 paths lead nowhere; read from here: red0 is train/red0.png" in capsys.readouterr().err


def test_an_id_that_several_photos_may_be_is_refused(tmp_path: Path) -> None:
    for name in ("1.png", "1.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("id,label\n1,a\n")
    with pytest.raises(UserError, match="line 2: 1: no such file"):
        _labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("again", ["im/../im/red0.png", "{folder}/im/red0.png", "{folder}/im/../im/red0.png"])
def test_a_photo_under_another_name_of_its_path_is_the_same_photo(table: Path, folder: Path, again: str) -> None:
    table.write_text(_lines(",") + again.format(folder=folder) + ",blue\n")
    with pytest.raises(UserError, match=r"line 8: .* is on line 2 already with another label"):
        _labels(table)


@pytest.mark.parametrize("address", ["/data/upload/3/0a1b2c3d-{}", "/data/local-files/?d=my%20set/im/{}"])
def test_what_label_studio_exports_finds_its_files(tmp_path: Path, address: str) -> None:
    rows = [(Path(path).name, label) for path, label in ROWS]
    where = tmp_path / ("im" if "local" in address else "")
    where.mkdir(exist_ok=True)
    for name, _ in rows:
        Image.new("RGB", (8, 8)).save(where / name)
    body = "".join(f"{address.format(name)},{i},{label},1,2.5\n" for i, (name, label) in enumerate(rows))
    (tmp_path / "project.csv").write_text(f"image,id,choice,annotator,lead_time\n{body}")
    assert _labels(tmp_path / "project.csv") == EXPECTED


def test_one_missing_file_among_others_is_missing_and_nothing_else_is_taken_for_it(folder: Path, table: Path) -> None:
    table.write_text(_lines(",") + "other/red0.png,blue\nim/im/red1.png,red\n")
    with pytest.raises(UserError, match=r"line 8: other/red0\.png: no such file"):
        _labels(table)


@pytest.mark.skipif(os.path.normcase("A") == "a", reason="capitals do not matter to this system")
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_unicode_form_of_a_name_may_differ_and_it_is_counted(
    tmp_path: Path, form: Literal["NFC", "NFD"], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("naïve.png", "plain.png"):
        other = "NFD" if form == "NFC" else "NFC"
        Image.new("RGB", (8, 8)).save(tmp_path / normalize(other, name))
    (tmp_path / "t.csv").write_text(normalize(form, "path,label\nnaïve.png,a\nplain.png,b\n"), "utf-8")
    assert len(read_table(tmp_path / "t.csv")[0]) == 2
    if not (tmp_path / normalize(form, "naïve.png")).is_file():  # a Mac takes both for one
        assert "1 paths differ from the files in their Unicode form only (NFC or NFD)" in capsys.readouterr().err


def test_signs_written_as_in_web_addresses_are_read_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a b.png", "100%25.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "t.csv").write_text("path,label\na%20b.png,a\n100%25.png,b\n")
    assert [path.name for path in map(read_table(tmp_path / "t.csv")[0].path, range(2))] == ["a b.png", "100%25.png"]
    assert "1 paths have signs written as in web addresses (%20)" in capsys.readouterr().err


def test_a_photo_of_another_suffix_is_named(table: Path) -> None:
    table.write_text(_lines(",").replace(".png", ".jpeg"))
    with pytest.raises(UserError, match=r"line 2: im/red0.jpeg: no such file \(there is red0.png\)"):
        read_table(table)


def test_without_a_header_files_of_another_computer_are_found(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text("".join(f"C:\\set\\{path},{label}\n" for path, label in ROWS))
    assert _labels(table) == EXPECTED
    assert "no header: its columns are read as path, label; 6 paths lead nowhere" in capsys.readouterr().err


def test_capitals_that_differ_are_read_and_counted(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(_lines(",").replace("im/red", "IM/Red").replace("blue0.png", "blue0.PNG"))
    assert _labels(table) == EXPECTED
    assert capsys.readouterr().err == f"{table}: 4 paths differ from the files in capitals only\n"


# --- refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("photo_nr;flower\n1;rose\n", "line 1 lacks the column label and path; found columns: 'photo_nr', 'flower'"),
        ("path;kind\nim/red0.png;a\n", "line 1 lacks the column label; found columns: 'path', 'kind'"),
        ("\n\n", "line 1 lacks the column label and path: there is nothing in it"),
        ("path,category,class\nim/red0.png,a,b\n", "'category' and 'class' may each be the label"),
        ("filename,image,label\na.png,b.png,c\n", "'filename' and 'image' may each be the path"),
        ("path,path,label\na.png,b.png,c\n", "'path' and 'path' may each be the path"),
        ("path,a|b,c\nim/red0.png,1,0\nim/red1.png,1,1\n", r"line 1: the label 'a\|b' has a '\|' in its name"),
        ("path,a,b\n" + "im/red0.png,1,0\n" * 300 + "im/red1.png,1,x\n", "line 302: b is 'x'; use 1 where"),
        ("path,label\nim/red0.png,red,shiny\n", "line 2: more values than columns, 3 for 2: .*'shiny'.*quotes"),
        ('path,label\nim/red0.png,"red\nim/red1.png,red\n', "line 2: label has a line break"),
        ("path,label\nhttps://a.b/red0.png,red\n", "line 2: .*web addresses are not fetched"),
        ("path,label\nim/red1.png,red\nim/red0,red\n", r"line 3: im/red0: no such file \(there is red0\.png\)"),
        ("path,label\nim/red0.png\n", "line 2: label is empty; give the photo a label, or delete the row"),
        ("path,label\n", "no images found; expected a row for each photo"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_was_found(table: Path, text: str, told: str) -> None:
    table.write_text(text)
    with pytest.raises(UserError, match=told) as error:
        _labels(table)
    assert str(table) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_spreadsheets_own_file_under_the_name_csv_is_told(table: Path) -> None:
    table.write_bytes(b"PK\x03\x04\x14\x00\x06\x00" + bytes(100))
    with pytest.raises(UserError, match="not text; of a spreadsheet"):
        _labels(table)


# --- several labels in one ------------------------------------------------------------------------------


def _with_labels(table: Path, *labels: str, column: str = "label") -> Path:
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", column), *((ROWS[i][0], label) for i, label in enumerate(labels))])
    return table


def _sets(table: Path, task: str = CLASSIFY) -> tuple[str, list[str]]:
    samples, survey = read_table(table, task)
    return survey.task, [samples.names[k] for k in samples.labels]


@pytest.mark.parametrize(
    ("labels", "sets"),
    [
        (("red", "blue", "red,shiny"), ["red", "blue", "red|shiny"]),
        (("red|shiny", "blue|shiny", "red|dull"), ["red|shiny", "blue|shiny", "dull|red"]),
        (("red,shiny", "blue,shiny"), ["red|shiny", "blue|shiny"]),
        (("red", "red; shiny", ""), ["red", "red|shiny", "|"]),
        (("red, shiny", "shiny, red"), ["red|shiny", "red|shiny"]),
        (("red", '["red", "shiny"]', "[]"), ["red", "red|shiny", "|"]),
        (("red", "['red', 'shiny']"), ["red", "red|shiny"]),
        (("red", '{"choices":["red","shiny"]}'), ["red", "red|shiny"]),
        (("rose, red|shiny", "shiny"), ["rose, red|shiny", "shiny"]),
    ],
    ids=str,
)
def test_several_labels_in_one_are_read_as_a_set_and_it_is_told(
    table: Path, labels: tuple[str, ...], sets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _sets(_with_labels(table, *labels)) == (MULTILABEL, sets)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"several labels a photo: {len({*'|'.join(sets).split('|')} - {''})} labels" in line
    assert f"on each of {len(sets)} photos, {sets.count('|')} without any" in line
    assert "is several (" in line, "what shows it"


def test_a_column_called_labels_has_several_where_a_photograph_has_none(table: Path) -> None:
    assert _sets(_with_labels(table, "red", "", column="labels")) == (MULTILABEL, ["red", "|"])
    assert _sets(_with_labels(table, "red", "blue", column="labels")) == (CLASSIFY, ["red", "blue"])


def test_where_several_labels_are_asked_for_single_ones_are_sets_of_one(table: Path) -> None:
    assert _sets(_with_labels(table, "red", "blue;dull"), MULTILABEL) == (MULTILABEL, ["red", "blue|dull"])


def test_a_column_of_0_and_1_for_each_label(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text("path,red,shiny,note\nim/red0.png,1,1,a\nim/red1.png,0,0,b\nim/blue0.png,0,1.0,c\n")
    assert _sets(table) == (MULTILABEL, ["red|shiny", "|", "shiny"])
    error = capsys.readouterr().err
    assert "not read: 'note'; several labels a photo: 2 labels ('red', 'shiny')" in error


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("TRUE", "FALSE"), ("true", "0")])
def test_true_and_false_are_1_and_0_as_pandas_writes_columns_of_labels(table: Path, yes: str, no: str) -> None:
    table.write_text(f"path,red,shiny\nim/red0.png,{yes},{yes}\nim/red1.png,{no},{no}\nim/blue0.png,{no},{yes}\n")
    assert _sets(table) == (MULTILABEL, ["red|shiny", "|", "shiny"])


@pytest.mark.parametrize(("red", "blue"), [("['red']", "['blue']"), ('["red"]', "blue")])
def test_a_label_that_is_a_list_of_one_is_that_one_and_it_is_told(
    table: Path, red: str, blue: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _sets(_with_labels(table, red, blue, "red")) == (CLASSIFY, ["red", "blue", "red"])
    assert f"each label is a list of one: {red!r} is read as 'red'" in capsys.readouterr().err


def test_brackets_without_quotes_belong_to_the_name_of_a_class(table: Path) -> None:
    assert _sets(_with_labels(table, "(sick)", "[old]")) == (CLASSIFY, ["(sick)", "[old]"])


def test_a_row_that_names_a_folder_or_a_dead_link_is_told_so(table: Path) -> None:
    (table.parent / "im" / "gone.png").symlink_to("nowhere.png")
    for name, what in (("im", "it is a folder"), ("im/gone.png", "it is a link to nowhere, or no file")):
        table.write_text(f"path,label\nim/red0.png,red\n{name},blue\n")
        with pytest.raises(UserError, match=rf"line 3: {name}: no such file \({what}\)"):
            read_table(table)


def test_columns_of_which_exactly_one_is_1_are_classes(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text("filename, dog, small, cat\nim/red0.png, 1, 0, 0\nim/blue0.png, 0, 1, 0\nim/red1.png, 0, 0, 1\n")
    assert _sets(table) == (CLASSIFY, ["dog", "small", "cat"])
    assert "classes: each photo has 1 in one of 3 columns" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("rose, red", "tulip"), "'rose, red': read as one class each, comma and all"),
        (("rose, red", "rose, white", "tulip, pink"), "'rose, red', 'rose, white', 'tulip, pink': read as one class"),
        (("tench, Tinca tinca", "goldfish, Carassius auratus"), "read as one class each"),
        (("scab", "rust", "scab rust"), "'scab rust': read as a class of its own, though its parts are labels, too"),
        (("ice cream", "cream"), ""),
        (("red/blue", "dull"), ""),
        (("nan", "rose", "N/A"), "'nan', 'N/A': read as a class, which programs write where a label is missing"),
    ],
    ids=str,
)
def test_a_class_may_have_a_comma_or_words_in_its_name_and_it_is_told(
    table: Path, labels: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuple(_labels(_with_labels(table, *labels)).values()) == labels
    error = capsys.readouterr().err
    assert told in error
    assert bool(told) == bool(error)


@pytest.mark.parametrize("other", ["Rose", "rose\u200b", "ro\u00adse"])
def test_classes_that_look_alike_are_told(table: Path, other: str) -> None:
    assert tuple(_labels(_with_labels(table, "rose", other)).values()) == ("rose", other)
    assert _warned(table) == [f"{other!r} and 'rose'" if other < "rose" else f"'rose' and {other!r}"]


@pytest.mark.parametrize("numbers", [("1", "1.0"), ("007", "7")])
def test_classes_that_are_one_number_are_told(table: Path, numbers: tuple[str, str]) -> None:
    assert tuple(_labels(_with_labels(table, *numbers, "8")).values()) == (*numbers, "8")
    assert _warned(table) == [" and ".join(map(repr, sorted(numbers)))]


def test_a_class_that_is_called_as_an_answer_is_told(table: Path) -> None:
    survey = Survey()
    read_named_splits(_with_labels(table, "known", "unknown"), survey)
    assert (
        "warning: the class 'unknown' is called as the answer for photos unlike the training photos is; rename it"
        in survey.lines()
    )


@pytest.mark.parametrize("labels", [("Red|old", "red|new", "old"), ("Red", "red", "red|old")])
def test_of_several_labels_those_that_only_a_careless_hand_sets_apart_are_told_once(
    table: Path, labels: tuple[str, ...]
) -> None:
    assert _warned(_with_labels(table, *labels)) == ["'Red' and 'red'"]


def _warned(table: Path) -> list[str]:
    """The classes that a warning says are hard to tell apart."""
    survey = Survey()
    read_named_splits(table, survey)
    found = [re.match(r"warning: the classes (.*) differ only in case", line) for line in survey.lines()]
    return [match[1] for match in found if match]


# --- a folder with Hugging Face's metadata --------------------------------------------------------------


def test_a_folder_with_metadata_is_read_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, _ in ROWS:
        Image.new("RGB", (8, 8)).save(tmp_path / Path(path).name)
    body = "".join(f"{Path(path).name},{label}\n" for path, label in ROWS)
    (tmp_path / "metadata.csv").write_text(f"file_name,label\n{body}")
    classes, parts = read_named_splits(tmp_path)
    assert (classes, len(parts[""])) == (("blue", "red"), 6)
    assert f"{tmp_path}: read by its metadata.csv" in capsys.readouterr().err


def test_metadata_without_labels_leaves_the_folders_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, label in ROWS:
        (tmp_path / label).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / label / Path(path).name)
    (tmp_path / "metadata.csv").write_text("file_name,text\nred/red0.png,a red photo\n")
    assert read_named_splits(tmp_path)[0] == ("blue", "red")
    assert "lacks the column label" in capsys.readouterr().err


def test_rows_without_a_split_beside_rows_with_one_are_told(table: Path) -> None:
    assert _with_splits(table, "train", "", "", "train", "", "") == [
        "split: 2 photos of train and 4 photos without one, none of val: some of all these validate"
    ]
    assert _with_splits(table, "val", "", "", "val", "", "train") == [
        "split: 3 photos without one, beside others that have one: trained on"
    ]


def test_rows_without_a_split_beside_those_of_test_alone_are_what_is_divided(table: Path) -> None:
    assert _with_splits(table, "test", "", "", "test", "", "") == []
