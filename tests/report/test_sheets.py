"""Pictures with titles: what is drawn where."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.report.sheets import TILE, TILE_ALONE, save_predictions
from mobilenets.tasks.classify.answers import Prediction


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
    save_predictions([predicted(red)], tmp_path / "out.png", ())
    drawn = pixels(tmp_path / "out.png")
    assert drawn.shape[1] == TILE_ALONE
    place, title = where(drawn, (200, 0, 0)), where(drawn, (0, 0, 0))
    height, width = np.ptp(place, axis=0) + 1
    assert width / height == pytest.approx(3, rel=0.02)
    assert title[:, 0].max() < place[:, 0].min()
    assert abs(title[:, 1].mean() - TILE_ALONE / 2) < 20, "the title is centred"


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 2, 1), (3, 2, 2), (7, 3, 3), (16, 4, 4), (20, 4, 4)])
def test_several_fill_a_grid_of_at_most_sixteen(red: Path, tmp_path: Path, count: int, columns: int, rows: int) -> None:
    save_predictions([predicted(red)] * count, tmp_path / "out.png", ())
    drawn = pixels(tmp_path / "out.png")
    height = drawn.shape[0] // rows
    assert drawn.shape[1] == columns * TILE
    for i in range(min(count, 16)):
        row, column = divmod(i, columns)
        tile = drawn[row * height : (row + 1) * height, column * TILE : (column + 1) * TILE]
        assert len(where(tile, (200, 0, 0)))
        assert len(where(tile, (0, 0, 0)))


def test_a_long_name_is_shortened_to_fit_its_tile(red: Path, tmp_path: Path) -> None:
    save_predictions([predicted(red, "a very long name " * 10), predicted(red, "b")], tmp_path / "out.png", ())
    title = where(pixels(tmp_path / "out.png"), (0, 0, 0))
    long = title[title[:, 1] < TILE]
    assert long[:, 1].min() >= 4
    assert long[:, 1].max() <= TILE - 4


def test_chinese_arabic_or_unknown_names_are_drawn_or_replaced_never_boxes(
    red: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["玫瑰", "وردة", "\U0001c8f0\U0001c8f1"]
    save_predictions([predicted(red, label) for label in labels], tmp_path / "out.png", sorted(labels))
    warned = capsys.readouterr().err
    assert repr(labels[2]) in warned
    assert "class 2" in warned, "its number among the sorted names"
    assert warned.count("\n") == warned.count("no installed font can write"), "once per name"


def test_a_picture_without_a_path_is_left_out(red: Path, tmp_path: Path) -> None:
    unnamed = Prediction(None, "rose", 0.5, (("rose", 0.5),))
    save_predictions([unnamed, predicted(red)], tmp_path / "out.png", ())
    assert pixels(tmp_path / "out.png").shape[1] == TILE_ALONE
