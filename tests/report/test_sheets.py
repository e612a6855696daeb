"""Pictures with titles: what is drawn where."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.preprocess import Preprocess
from mobilenets.report.marks import colour_of, draw_marks
from mobilenets.report.sheets import TILE, TILE_ALONE, TILE_MARKED_ALONE, save_predictions
from mobilenets.report.thumbnails import contained, thumbnail
from mobilenets.tasks.anomaly.answers import inspection
from mobilenets.tasks.classify.answers import Prediction
from mobilenets.tasks.detect.answers import Detection, FoundObject
from mobilenets.tasks.mark import Mark


def predicted(path: Path, label: str = "rose", probability: float = 0.5) -> Prediction:
    return Prediction(str(path), label, probability, ((label, probability), ("another", 1 - probability)))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    Image.new("RGB", (300, 100), (200, 0, 0)).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def where(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels close to a colour."""
    return np.argwhere((np.abs(drawn - colour) < 40).all(2))


def test_one_picture_keeps_its_proportions_below_its_title(red: Path, tmp_path: Path) -> None:
    save_predictions([predicted(red)], tmp_path / "out.png", (), Preprocess())
    drawn = pixels(tmp_path / "out.png")
    assert drawn.shape[1] == TILE_ALONE
    place, title = where(drawn, (200, 0, 0)), where(drawn, (0, 0, 0))
    height, width = np.ptp(place, axis=0) + 1
    assert width / height == pytest.approx(3, rel=0.02)
    assert title[:, 0].max() < place[:, 0].min()
    assert abs(title[:, 1].mean() - TILE_ALONE / 2) < 20, "the title is centred"


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (1, 1)])
def test_a_photo_that_is_a_line_keeps_a_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    line = Image.new("RGB", size, (200, 0, 0))
    assert contained(line, 160).size == tuple(max(1, 160 * side // max(size)) for side in size)
    line.save(tmp_path / "line.png")
    assert thumbnail(lambda: tmp_path / "line.png", 160, "a line").uri is not None
    save_predictions([predicted(tmp_path / "line.png")], tmp_path / "out.png", (), Preprocess())
    assert len(where(pixels(tmp_path / "out.png"), (200, 0, 0)))


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 2, 1), (3, 2, 2), (7, 3, 3), (16, 4, 4), (20, 4, 4)])
def test_several_fill_a_grid_of_at_most_sixteen(red: Path, tmp_path: Path, count: int, columns: int, rows: int) -> None:
    save_predictions([predicted(red)] * count, tmp_path / "out.png", (), Preprocess())
    drawn = pixels(tmp_path / "out.png")
    height = drawn.shape[0] // rows
    assert drawn.shape[1] == columns * TILE
    for i in range(min(count, 16)):
        row, column = divmod(i, columns)
        tile = drawn[row * height : (row + 1) * height, column * TILE : (column + 1) * TILE]
        assert len(where(tile, (200, 0, 0)))
        assert len(where(tile, (0, 0, 0)))


def test_a_long_name_is_shortened_to_fit_its_tile(red: Path, tmp_path: Path) -> None:
    save_predictions(
        [predicted(red, "a very long name " * 10), predicted(red, "b")], tmp_path / "out.png", (), Preprocess()
    )
    title = where(pixels(tmp_path / "out.png"), (0, 0, 0))
    long = title[title[:, 1] < TILE]
    assert long[:, 1].min() >= 4
    assert long[:, 1].max() <= TILE - 4


def test_chinese_arabic_or_unknown_names_are_drawn_or_replaced_never_boxes(
    red: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["玫瑰", "وردة", "\U0001c8f0\U0001c8f1"]
    save_predictions([predicted(red, label) for label in labels], tmp_path / "out.png", sorted(labels), Preprocess())
    warned = capsys.readouterr().err
    assert repr(labels[2]) in warned
    assert "class 2" in warned, "its number among the sorted names"
    assert warned.count("\n") == warned.count("no installed font can write"), "once per name"


@pytest.mark.parametrize("name", ["two\nlines.png", "no \udcff text.png", "a\ttab.png"])
def test_a_name_that_is_no_line_of_text_is_written_as_one(red: Path, tmp_path: Path, name: str) -> None:
    red.rename(tmp_path / name)
    save_predictions([predicted(tmp_path / name)], tmp_path / "out.png", (), Preprocess())
    assert (pixels(tmp_path / "out.png")[:24].sum(2) < 300).any(), "dark letters above the photo"


def test_a_picture_without_a_path_is_left_out(red: Path, tmp_path: Path) -> None:
    unnamed = Prediction(None, "rose", 0.5, (("rose", 0.5),))
    save_predictions([unnamed, predicted(red)], tmp_path / "out.png", (), Preprocess())
    assert pixels(tmp_path / "out.png").shape[1] == TILE_ALONE


def detected(path: Path, *found: FoundObject) -> Detection:
    return Detection(str(path), found)


def test_boxes_are_drawn_where_they_are_each_class_in_its_colour(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), (250, 250, 250)).save(tmp_path / "plain.png")
    dog, cat = FoundObject("dog", 0.9, [0.1, 0.5, 0.4, 0.9]), FoundObject("cat", 0.8, [0.6, 0.5, 0.95, 1.0])
    save_predictions([detected(tmp_path / "plain.png", dog, cat)], tmp_path / "out.png", ("cat", "dog"), Preprocess())
    drawn = pixels(tmp_path / "out.png")
    photo = where(drawn, (250, 250, 250))
    assert drawn.shape[1] == TILE_MARKED_ALONE
    wide = TILE_MARKED_ALONE - 16
    top = (drawn.shape[0] - TILE_MARKED_ALONE) + (TILE_MARKED_ALONE - wide / 2) / 2
    assert len(photo)
    for found, number in ((dog, 1), (cat, 0)):
        rows, columns = where(drawn, colour_of(number)).T
        left, upper, right, lower = found.box
        assert columns.min() == pytest.approx(8 + left * wide, abs=3)
        assert columns.max() == pytest.approx(8 + right * wide, abs=3)
        assert rows.max() == pytest.approx(top + lower * wide / 2, abs=3)
        label = top + upper * wide / 2 - rows.min()
        assert 10 < label < 30, "its name stands on the upper edge"


@pytest.mark.parametrize(("fit", "crop", "width"), [("squash", 1.0, 400), ("crop", 0.5, 100)])
def test_a_photo_is_warm_where_it_is_stranger_than_the_threshold(
    tmp_path: Path, fit: str, crop: float, width: int
) -> None:
    """The upper right quarter of what is seen: of the whole photo, or of a square in the middle of it."""
    Image.new("RGB", (400, 200), (200, 200, 200)).save(tmp_path / "plain.png")
    scores = np.full((16, 16), 0.1, np.float32)
    scores[:8, 8:] = 0.9
    answer = inspection(str(tmp_path / "plain.png"), np.append(np.float32(0.9), scores.ravel()), "part", 0.5)
    sheet, preprocess = tmp_path / "out.png", Preprocess(size=64, fit=fit, crop=crop)
    save_predictions([answer], sheet, ("part",), preprocess)
    drawn = pixels(sheet)
    inner = TILE_MARKED_ALONE - 16
    top = drawn.shape[0] - TILE_MARKED_ALONE + (TILE_MARKED_ALONE - inner / 2) / 2
    warm = np.argwhere((drawn[..., 0] - drawn[..., 2] > 80) & (np.indices(drawn.shape[:2])[0] > top))
    height = 200 if fit == "squash" else 100
    scale = inner / 400
    (upper, left), (lower, right) = warm.min(0), warm.max(0)
    near = 16 * scale
    assert left == pytest.approx(8 + 200 * scale, abs=near)
    assert right == pytest.approx(8 + (200 + width / 2) * scale, abs=near)
    assert upper == pytest.approx(top + (200 - height) / 2 * scale, abs=near)
    assert lower == pytest.approx(top + 100 * scale, abs=near)
    good = inspection(str(tmp_path / "plain.png"), np.append(np.float32(0.2), scores.ravel() / 3), "part", 0.5)
    save_predictions([good], sheet, ("part",), preprocess)
    assert np.ptp(pixels(sheet), axis=2).max() < 5, "nothing is drawn on a good one"


def test_of_labels_that_would_cover_each_other_the_surest_one_stands(tmp_path: Path) -> None:
    image = Image.new("RGB", (200, 200), (250, 250, 250))
    marks = [Mark("dog", "0.90", (0.2, 0.5, 0.8, 0.9)), Mark("cat", "0.80", (0.2, 0.51, 0.7, 0.8))]
    colours = {"dog": (0, 200, 0), "cat": (200, 0, 200)}
    both = draw_marks(image, marks, colours, {"dog": "dog", "cat": "cat"})
    above = np.asarray(both).astype(int)[84:97, 40:80]
    assert len(where(above, (0, 200, 0))) > 100
    assert not len(where(above, (200, 0, 200)))
    assert np.asarray(image).min() == 250, "the photo itself is as it was"


def test_a_label_at_the_edge_stays_within_the_photo(tmp_path: Path) -> None:
    image = Image.new("RGB", (200, 100), (250, 250, 250))
    mark = Mark("a rather long name", "0.90", (0.95, 0.0, 1.0, 0.1))
    names = {"a rather long name": "a rather long name", "b": "b"}
    drawn = np.asarray(draw_marks(image, [mark], dict.fromkeys(names, (0, 200, 0)), names)).astype(int)
    assert where(drawn, (0, 200, 0))[:, 1].min() < 80


def test_no_two_of_a_hundred_classes_have_the_same_colour() -> None:
    assert len({colour_of(k) for k in range(100)}) == 100
