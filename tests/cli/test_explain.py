"""`mobilenets explain` as a user runs it: what it says and draws, its exit codes, and wrong use."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import is_one_line_error
from mobilenets.cli.main import main
from mobilenets.model_card import write_safetensors
from small import CLASSES, card_of, network


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model = network()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_safetensors(folder / "model.safetensors", tensors, card_of(model, 64))
    return folder


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three photographs."""
    (tmp_path / "album").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.png", "玫瑰.png"):
        pixels = rng.normal(rng.uniform(50, 200, 3), 40, (80, 120, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "album" / name)
    return tmp_path / "album"


def test_it_says_what_the_picture_shows_and_where_the_heat_is(cli, run_folder: Path, album: Path) -> None:
    result = cli("explain", run_folder, album / "a.jpg", "--top", "2")
    assert result.returncode == 0, result.stderr
    path, first, second, where = result.stdout.splitlines()
    assert path == str(album / "a.jpg")
    assert first.startswith("class: ")
    assert float(first.split()[-1]) >= float(second.split()[-1])
    assert where.startswith(f"{first.split()[1]}: half of the heat is in ")


def test_the_probabilities_are_those_of_predict(
    run_folder: Path, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run_folder), str(album / "a.jpg")]) == 0
    predicted = capsys.readouterr().out
    assert main(["explain", str(run_folder), str(album / "a.jpg")]) == 0
    assert capsys.readouterr().out.startswith(predicted)


def test_a_sheet_has_picture_overlay_and_heat_map_of_each(
    run_folder: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(run_folder), str(album), "--save", str(tmp_path / "seen.png")]) == 0
    assert str(tmp_path / "seen.png") in capsys.readouterr().err
    sheet = Image.open(tmp_path / "seen.png")
    assert (sheet.format, sheet.width) == ("PNG", 960)
    rows = np.split(np.asarray(sheet).astype(int), 3)
    photo, over, heat = (rows[0][52:356, column * 320 + 8 : column * 320 + 312] for column in range(3))
    crop = Image.open(album / "a.jpg").resize((109, 73)).crop((23, 5, 86, 68)).resize((304, 304))
    assert np.abs(photo.mean((0, 1)) - np.asarray(crop).mean((0, 1))).max() < 8
    assert np.ptp(photo.mean((0, 1))) > 10
    # What lies over the picture is the heat map's colour, half as strong: both vary together.
    tint = over[..., 0] - over[..., 2]
    assert np.corrcoef(tint.ravel(), (heat[..., 0] - heat[..., 2]).ravel())[0, 1] > 0.9


def test_another_class_is_explained_when_asked_for(
    run_folder: Path, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in CLASSES:
        assert main(["explain", str(run_folder), str(album / "a.jpg"), "--class", name]) == 0
        assert f"\n{name}: " in capsys.readouterr().out


def test_a_damaged_picture_is_reported_and_the_others_are_explained(
    run_folder: Path, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "bad.jpg").write_bytes(b"bad")
    assert main(["explain", str(run_folder), str(album), "--save", str(tmp_path / "seen.png")]) == 1
    out, err = capsys.readouterr()
    assert out.count("prob:") == 3 * len(CLASSES)
    assert "bad.jpg" in err
    assert "1 of 4 could not be read" in err
    assert Image.open(tmp_path / "seen.png").height == 3 * 364


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["RUN", "A", "--class", "orchid"], ["class: 'orchid'", "雏菊, rose, tulip"]),
        (["RUN", "A", "--top", "0"], ["--top"]),
        (["RUN", "A", "--save", "A"], ["a.jpg", "exists already"]),
        (["RUN", "A", "--save", "new.jpg"], ["new.jpg", ".png"]),
        (["RUN", "nothing.jpg"], ["nothing.jpg"]),
        (["A", "A"], ["a.jpg", "only a network can be exported or explained"]),
        (["nothing", "A"], ["nothing", "no such file"]),
    ],
)
def test_wrong_use_is_one_line(cli, run_folder: Path, album: Path, args: list[str], named: list[str]) -> None:
    before = (album / "a.jpg").read_bytes()
    places = {"RUN": run_folder, "A": album / "a.jpg"}
    assert is_one_line_error(cli("explain", *(places.get(arg, arg) for arg in args)), *named)
    assert (album / "a.jpg").read_bytes() == before
