"""A run on 16-bit pictures: the range it decided is what every later step applies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import mobilenets as mn
from mobilenets.arch import build
from mobilenets.cli.main import main
from mobilenets.errors import UserError
from mobilenets.model_card import read_card
from mobilenets.runtime.opening import load
from mobilenets.training.settings import check_same, read_config
from small import write_random

CLASSES = ("across", "down")


def stripes(label: str, rng: np.random.Generator) -> np.ndarray:
    wave = 1000 + 60 * np.sin(np.arange(64) / 4 + rng.uniform(0, 6)) + rng.uniform(-300, 300)
    return (np.tile(wave, (64, 1)) if label == "down" else np.tile(wave[:, None], (1, 64))).astype(np.uint16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deep")
    rng = np.random.default_rng(0)
    for label in CLASSES:
        (folder / "photos" / label).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(stripes(label, rng)).save(folder / "photos" / label / f"{i}.tif")
    net = build("mobilenet_v2", width=0.35, num_classes=2)
    net = replace(net, blocks=net.blocks[:4])
    weights = write_random(folder / "start.safetensors", net, CLASSES, 64)
    mn.train(folder / "photos", out=folder / "run", weights=str(weights), model=net.name, recipe="probe", device="cpu")
    return folder


def test_card_and_config_hold_the_range_and_the_report_is_written(trained: Path) -> None:
    black, white = read_card(trained / "run").preprocess.range
    assert 300 < black < 640
    assert 1360 < white < 1700
    settings = yaml.safe_load((trained / "run" / "config.yaml").read_text())["settings"]
    assert [float(end) for end in settings["range"].split(",")] == [black, white]
    assert (trained / "run" / "report.html").exists()


def test_a_resumed_run_takes_the_range_that_was_asked_for_or_decided_and_no_other(trained: Path) -> None:
    config = trained / "run" / "config.yaml"
    settings, recipe = read_config(config)
    black, white = settings.range.split(",")
    for same in ("auto", settings.range, f" {black} , {white}.0"):
        check_same(config, settings, recipe, {"range": same}, {})
    with pytest.raises(UserError, match="range"):
        check_same(config, settings, recipe, {"range": "0,4095"}, {})


def test_one_overshooting_pixel_leaves_the_prediction_as_it_is(trained: Path) -> None:
    values = stripes("down", np.random.default_rng(7))
    Image.fromarray(values).save(trained / "plain.png")
    values[0, 0] = 65535
    Image.fromarray(values).save(trained / "over.png")
    classifier = load(trained / "run")
    plain, over = (classifier.pixels(trained / name) for name in ("plain.png", "over.png"))
    assert plain.std() > 5  # not black
    assert (plain != over).mean() < 0.01
    a, b = (classifier.predict(trained / name).probability for name in ("plain.png", "over.png"))
    assert abs(a - b) < 0.02


def test_the_sheet_shows_the_picture_as_the_network_sees_it(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture = trained / "photos" / "down" / "0.tif"
    assert main(["predict", str(trained / "run"), str(picture), "--save", str(trained / "sheet.png")]) == 0
    sheet = np.asarray(Image.open(trained / "sheet.png").convert("L"), float)
    black, white = read_card(trained / "run").preprocess.range
    seen = ((np.asarray(Image.open(picture), float) - black) / (white - black) * 255).mean()
    assert abs(sheet[300:500, 200:440].mean() - seen) < 25
    assert "guessed" not in capfd.readouterr().err
