"""What the audit finds in real files, ranks, and writes: nothing here needs torch."""

import csv
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from elpv_dataset import __file__ as elpv
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from mobilenets.auditing.audit import Audit, audit, audit_splits
from mobilenets.auditing.clean import write_clean
from mobilenets.auditing.duplicates import find_pairs, groups_of
from mobilenets.auditing.kinds import KINDS
from mobilenets.auditing.measure import blur_effect, measure_image, measure_images, percentiles
from mobilenets.auditing.quality import imbalance
from mobilenets.data.sample import Sample
from mobilenets.data.sources.read import read_splits
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess
from mobilenets.report.audit_report import audit_page

CELLS = Path(elpv).parent / "data" / "images"


def copy_cells(folder: Path, per_class: int = 20) -> Path:
    """Class folders of real photographs; every fifteenth cell, so that none shows its neighbour again."""
    for k, name in enumerate(("good", "worn")):
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            number = 1 + 15 * (2 * i + k)
            shutil.copy(CELLS / f"cell{number:04d}.png", folder / name / f"{number:04d}.png")
    return folder


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return copy_cells(tmp_path / "cells")


def found(result: Audit, kind: str) -> set[str]:
    return {path.name for finding in result.findings[kind] for path in finding.paths}


def first(folder: Path, n: int = 0) -> Path:
    return sorted(folder.iterdir())[n]


def test_what_was_measured_as_it_was_checked_is_not_opened_again(cells: Path) -> None:
    (cells / "worn" / "text.png").write_text("no photo")
    splits = read_splits(cells)
    everything = [*splits.train, *splits.val]
    measured = {s.path: m for s in everything if (m := measure_image(s)) is not None}
    assert len(measured) == len(everything) - 1
    before = audit_splits(cells, splits)
    for path in measured:
        path.unlink()
    after = audit_splits(cells, splits, measured=measured)
    assert after.to_dict() == before.to_dict()
    assert found(after, "unreadable") == {"text.png"}


# --- single files ---------------------------------------------------------------------------------------


def test_clean_photographs_have_no_findings_but_what_they_have_by_nature(cells: Path) -> None:
    result = audit(cells)
    none = set(result.findings) - {"near_duplicate", "leak", "duplicate_across_classes", "dark", "blurred"}
    assert {kind for kind in result.findings if result.findings[kind]} & none == set()
    assert (result.files, result.classes) == (40, ("good", "worn"))


def test_files_that_cannot_be_read_are_found_with_the_reason(cells: Path) -> None:
    whole = first(cells / "good").read_bytes()
    (cells / "good" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (cells / "worn" / "empty.jpg").touch()
    result = audit(cells)
    assert found(result, "unreadable") == {"cut.png", "empty.jpg"}
    assert any("empty" in finding.why for finding in result.findings["unreadable"])


def test_a_wrong_suffix_is_found_whatever_it_is(cells: Path) -> None:
    first(cells / "good").rename(cells / "good" / "png.jpg")
    first(cells / "worn").rename(cells / "worn" / "picture.dat")
    (cells / "notes.txt").write_text("no photo")
    result = audit(cells)
    assert found(result, "wrong_suffix") == {"png.jpg", "picture.dat"}
    assert result.files == 40


def test_tiny_blank_dark_blurred_and_long_pictures_are_found(cells: Path) -> None:
    image = Image.open(CELLS / "cell2000.png")
    image.resize((40, 40)).save(cells / "good" / "tiny.png")
    noise = np.random.default_rng(0).normal(200, 1, (300, 300))
    Image.fromarray(noise.astype(np.uint8)).save(cells / "good" / "blank.jpg")
    ImageEnhance.Brightness(image).enhance(0.1).save(cells / "good" / "dark.png")
    image.filter(ImageFilter.GaussianBlur(6)).save(cells / "good" / "blurred.jpg")
    image.crop((0, 0, 300, 60)).save(cells / "good" / "strip.png")
    result = audit(cells)
    assert found(result, "tiny") >= {"tiny.png"}
    assert found(result, "blank") == {"blank.jpg"}
    assert found(result, "dark") == {"dark.png"}
    assert result.findings["blurred"][0].paths[0].name == "blurred.jpg"
    assert found(result, "odd_aspect") == {"strip.png"}
    assert "blank.jpg" not in found(result, "dark") | found(result, "blurred") | found(result, "near_duplicate")


def test_what_a_whole_data_set_is_like_is_no_fault(tmp_path: Path) -> None:
    for k, name in enumerate(("a", "b")):
        (tmp_path / "dark" / name).mkdir(parents=True)
        for i in range(12):
            image = Image.open(CELLS / f"cell{1 + 15 * (2 * i + k):04d}.png").crop((0, 0, 300, 75))
            ImageEnhance.Brightness(image).enhance(0.15).save(tmp_path / "dark" / name / f"{i}.png")
    result = audit(tmp_path / "dark")
    assert not result.findings["dark"]
    assert not result.findings["odd_aspect"]
    (hidden,) = result.findings["cropped"]  # but that a centre crop sees little of any is said of the whole
    assert (hidden.paths, hidden.details["hidden"]) == ((tmp_path / "dark",), pytest.approx(0.81, abs=0.01))


def test_nothing_is_hidden_of_pictures_that_a_run_pads(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(1, 6):
            image = Image.open(CELLS / f"cell{number:04d}.png").crop((0, 0, 300, 75))
            image.save(tmp_path / name / f"{name}{number}.png")
    splits = read_splits(tmp_path)
    assert not audit_splits(tmp_path, splits, preprocess=Preprocess(fit="pad")).findings["cropped"]
    assert audit_splits(tmp_path, splits, preprocess=Preprocess()).findings["cropped"]


@given(st.integers(0, 255), st.integers(1, 40), st.integers(1, 40))
def test_blur_is_a_share_and_a_flat_picture_is_wholly_blurred(grey: int, high: int, wide: int) -> None:
    value = blur_effect(np.full((high, wide), grey, np.uint8))
    assert 0 <= value <= 1
    assert value == 1 or min(high, wide) <= 9


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_more_blur_scores_higher_whatever_the_contrast(radius: int) -> None:
    image = Image.open(CELLS / "cell0500.png")
    blurred = image.filter(ImageFilter.GaussianBlur(radius))
    assert blur_effect(np.asarray(blurred)) > blur_effect(np.asarray(image))
    pale = np.asarray(blurred, np.float32) / 2 + 60  # in whole grey levels the rounding would be new detail
    assert blur_effect(pale) == pytest.approx(blur_effect(np.asarray(blurred)), abs=1e-4)


def test_a_class_below_a_third_of_the_largest_is_told() -> None:
    findings = imbalance(Path("photos"), ("a", "b", "c"), (90, 30, 29))
    assert [f.details["label"] for f in findings] == ["c"]
    assert imbalance(Path("photos"), ("a", "b"), (0, 0)) == []


# --- duplicates -----------------------------------------------------------------------------------------


def test_the_same_pixels_in_another_file_format_are_exact_duplicates(cells: Path) -> None:
    shutil.copy(first(cells / "good"), cells / "good" / "copy.png")
    Image.open(first(cells / "worn")).save(cells / "worn" / "again.bmp")
    result = audit(cells)
    assert found(result, "exact_duplicate") >= {"copy.png", "again.bmp"}
    assert len(result.findings["exact_duplicate"]) == 2
    assert all(f.score == 1 for f in result.findings["exact_duplicate"])


@pytest.mark.parametrize("version", ["jpeg", "half", "brighter"])
def test_a_version_of_a_photograph_is_its_near_duplicate_and_nobody_elses(cells: Path, version: str) -> None:
    source = first(cells / "good", 3)
    image = Image.open(source)
    target = cells / "good" / "version.jpg"
    if version == "jpeg":
        image.save(target, quality=30)
    elif version == "half":
        image.resize((150, 150)).save(target)
    else:
        ImageEnhance.Brightness(image).enhance(1.15).save(target)
    (group,) = [f for f in audit(cells).findings["near_duplicate"] if target in f.paths]
    assert {path.name for path in group.paths} == {source.name, "version.jpg"}
    assert 0.85 <= group.score < 1


def test_a_picture_with_two_labels_is_told_with_both(cells: Path) -> None:
    shutil.copy(first(cells / "good"), cells / "worn" / "same.png")
    (finding,) = [f for f in audit(cells).findings["duplicate_across_classes"] if f.score == 1]
    assert finding.details["labels"] == ["good", "worn"]
    assert "good and worn" in finding.why


def test_features_that_differ_veto_a_near_duplicate(cells: Path) -> None:
    Image.open(first(cells / "good")).save(cells / "good" / "version.jpg", quality=30)
    photos = measure_images([Sample(path, 0) for path in sorted(cells.rglob("*.*"))]).images
    at = next(i for i, photo in enumerate(photos) if photo.path.name == "version.jpg")
    assert any(at in (p.first, p.second) for p in find_pairs(photos))
    different = np.eye(len(photos), dtype=np.float32)
    assert not [p for p in find_pairs(photos, different) if not p.exact]
    alike = np.ones((len(photos), 3), np.float32)
    assert find_pairs(photos, alike) == find_pairs(photos)


@given(st.integers(2, 20), st.data())
def test_groups_are_what_links_and_tags_join(n: int, data: st.DataObject) -> None:
    index = st.integers(0, n - 1)
    links = data.draw(st.lists(st.tuples(index, index), max_size=n))
    tags = data.draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=n, max_size=n))
    reach = np.eye(n, dtype=bool)
    for i in range(n):
        for j in range(n):
            reach[i, j] |= (i, j) in links or (j, i) in links or (tags[i] is not None and tags[i] == tags[j])
    for _ in range(n):
        reach = reach @ reach
    expected = {tuple(np.flatnonzero(row).tolist()) for row in reach if row.sum() > 1}
    assert {tuple(group) for group in groups_of(n, links, tags)} == expected


def test_the_same_findings_for_any_number_of_threads(cells: Path) -> None:
    samples = [Sample(path, 0) for path in sorted(cells.rglob("*.png"))]
    one, four = measure_images(samples, workers=1), measure_images(samples, workers=4)
    assert [p.digest for p in one.images] == [p.digest for p in four.images]
    assert audit(cells).to_dict() == audit(cells).to_dict()


# --- leaks and the cleaned data set ---------------------------------------------------------------------


def split_cells(folder: Path) -> Path:
    copy_cells(folder / "train")
    for name in ("good", "worn"):
        (folder / "val" / name).mkdir(parents=True)
        for path in sorted((folder / "train" / name).iterdir())[:5]:
            shutil.move(path, folder / "val" / name)
    return folder


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_shot_in_train_and_validation_is_a_leak(tmp_path: Path) -> None:
    data = split_cells(tmp_path / "cells")
    Image.open(first(data / "val" / "good")).save(data / "train" / "good" / "leak.jpg", quality=60)
    (leak,) = [f for f in audit(data).findings["leak"] if "leak.jpg" in {p.name for p in f.paths}]
    assert sorted(leak.details["parts"]) == ["train", "val"]


def test_of_split_data_the_training_side_of_a_leak_is_left_out(tmp_path: Path) -> None:
    data = split_cells(tmp_path / "cells")
    source = first(data / "val" / "good")
    Image.open(source).save(data / "train" / "good" / "leak.jpg", quality=60)
    shutil.copy(source, data / "train" / "good" / "copy.png")
    write_clean(audit(data), tmp_path / "clean.csv")
    names = {Path(row["path"]).name: row["split"] for row in rows_of(tmp_path / "clean.csv")}
    assert "leak.jpg" not in names
    assert "copy.png" not in names
    assert names[source.name] == "val"


def test_the_seeded_split_no_longer_tears_groups_of_the_clean_csv_apart(cells: Path, tmp_path: Path) -> None:
    for i in range(8):
        Image.open(first(cells / "good", i)).save(cells / "good" / f"shot{i}.jpg", quality=50)
    before = audit(cells)
    assert before.findings["leak"]
    write_clean(before, tmp_path / "clean.csv")
    assert not audit(tmp_path / "clean.csv").findings["leak"]
    splits = read_splits(tmp_path / "clean.csv")
    assert not {s.group for s in splits.train if s.group} & {s.group for s in splits.val}


def test_cleaning_drops_the_unreadable_and_copies_and_touches_no_file(cells: Path, tmp_path: Path) -> None:
    (cells / "good" / "empty.png").touch()
    shutil.copy(first(cells / "good", 1), cells / "good" / "zcopy.png")
    shutil.copy(first(cells / "good", 2), cells / "worn" / "other.png")
    contradicted = first(cells / "good", 2).name
    before = {path: path.read_bytes() for path in cells.rglob("*.png")}
    cleaned = write_clean(audit(cells), tmp_path / "clean.csv")
    rows = rows_of(tmp_path / "clean.csv")
    names = {Path(row["path"]).name for row in rows}
    assert {path: path.read_bytes() for path in cells.rglob("*.png")} == before
    assert not names & {"empty.png", "zcopy.png", "other.png", contradicted}
    assert cleaned.left_out == {"unreadable": 1, "copies": 1, "copies with different labels": 2}
    assert cleaned.rows == len(rows) == 39
    assert all(row["label"] == Path(row["path"]).parent.name for row in rows)


def test_the_datas_own_groups_and_strata_are_kept(cells: Path, tmp_path: Path) -> None:
    table = tmp_path / "cells.csv"
    paths = sorted(cells.rglob("*.png"))
    lines = [f"{p.relative_to(tmp_path)},{p.parent.name},{'g' if i < 3 else ''},s{i % 2}" for i, p in enumerate(paths)]
    table.write_text("path,label,group,stratum\n" + "\n".join(lines) + "\n")
    write_clean(audit(table), tmp_path / "clean.csv")
    rows = rows_of(tmp_path / "clean.csv")
    assert sum(row["group"] == "g" for row in rows) >= 3
    assert {row["stratum"] for row in rows} == {"s0", "s1"}


def test_a_clean_csv_never_replaces_a_file(cells: Path, tmp_path: Path) -> None:
    (tmp_path / "clean.csv").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        write_clean(audit(cells), tmp_path / "clean.csv")
    assert (tmp_path / "clean.csv").read_text() == "mine"


def test_data_too_small_to_split_is_audited_all_the_same(tmp_path: Path) -> None:
    copy_cells(tmp_path / "cells", per_class=1)
    result = audit(tmp_path / "cells")
    assert result.files == 2
    assert any("leaks are not looked for" in note for note in result.notes)
    assert result.omitted == {"leak", "likely_mislabelled"}
    assert not result.omitted & set(result.clean)


# --- what comes out -------------------------------------------------------------------------------------


def test_what_a_training_was_given_is_audited_as_its_parts_are(cells: Path) -> None:
    (cells / "good" / "empty.png").touch()
    Image.open(first(cells / "good", 1)).save(cells / "worn" / "again.jpg", quality=60)
    first(cells / "worn").rename(cells / "worn" / "picture.dat")
    splits = read_splits(cells, val=0.5)
    result = audit_splits(cells, splits)
    assert result.files == 42
    assert found(result, "unreadable") == {"empty.png"}
    assert "picture.dat" in found(result, "wrong_suffix")
    assert "again.jpg" in found(result, "duplicate_across_classes")
    part_of = {s.path: part for part, samples in (("train", splits.train), ("val", splits.val)) for s in samples}
    torn = {f.paths for f in result.findings["near_duplicate"] if len({part_of[p] for p in f.paths}) > 1}
    assert {f.paths for f in result.findings["leak"]} == torn
    assert result.notes == ()


def test_of_very_many_pictures_some_from_all_over_are_audited_and_it_is_said(cells: Path) -> None:
    result = audit_splits(cells, read_splits(cells), max_images=20)
    assert 20 <= result.files <= 24
    assert {m.sample.label for m in result.members} == {0, 1}
    assert {m.split for m in result.members} == {"train", "val"}
    assert "has 40" in " ".join(result.notes)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=400), st.lists(st.floats(0, 100), min_size=1, max_size=4))
def test_percentiles_of_a_histogram_are_those_of_what_it_counts(values: list[int], wanted: list[float]) -> None:
    expected = np.percentile(np.array(values, np.uint8), wanted)
    assert percentiles(np.bincount(values, minlength=256).tolist(), wanted) == pytest.approx(expected.tolist())


def test_findings_come_worst_first(cells: Path) -> None:
    for side in (60, 20, 40):
        Image.open(CELLS / "cell2000.png").resize((side, side)).save(cells / "good" / f"{side}.png")
    names = [f.paths[0].name for f in audit(cells).findings["tiny"]]
    assert names == ["20.png", "40.png", "60.png"]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_self_contained_escaped_and_names_its_pictures(tmp_path: Path) -> None:
    data = copy_cells(tmp_path / "cells")
    (data / "good").rename(data / "<b>good")
    name = "<img src=x onerror=alert(1)>.png"
    shutil.copy(first(data / "<b>good"), data / "<b>good" / name)
    parser = _Tags()
    text = audit_page(audit(data))
    parser.feed(text)
    pictures = [attributes for tag, attributes in parser.seen if tag == "img"]
    assert pictures
    assert all((a["src"] or "").startswith("data:image/jpeg;base64,") and a["alt"] for a in pictures)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in parser.seen}
    assert not re.search(r"https?://", text)
    assert "&lt;img src=x" in text
    targets = {f"#{a['id']}" for tag, a in parser.seen if tag == "section"}
    assert {a["href"] for tag, a in parser.seen if tag == "a"} == targets


def test_the_page_stays_small_however_bad_the_data(tmp_path: Path) -> None:
    data = copy_cells(tmp_path / "cells", 5)
    for i in range(60):
        Image.new("L", (300, 300), 4 * i).save(data / "good" / f"blank{i}.png")
    assert audit_page(audit(data)).count("<img") <= 24 * len(KINDS)
