"""Photographs five times as wide as high whose class shows at one end: what a run with `fit` makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.explaining.gradcam import Explainer
from mobilenets.exporting.targets.table import TARGETS, exporter, with_full_input
from mobilenets.model_card import read_card
from mobilenets.nn.io import open_network, write_network
from mobilenets.runtime.opening import load
from mobilenets.training.run import train
from mobilenets.training.settings import read_asked, read_config
from small import card_of, network

SIZE = 48


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`wide/`, two classes of 24 photographs of 120×24, and `features.safetensors`, a network that learned nothing.

    Its random features tell colours apart, and are the same on every processor.
    """
    folder = tmp_path_factory.mktemp("fit")
    rng = np.random.default_rng(0)
    for name, colour in (("good", (40, 200, 60)), ("bad", (220, 40, 40))):
        (folder / "wide" / name).mkdir(parents=True)
        for i in range(24):
            pixels, top = rng.normal(120, 20, (24, 120, 3)), rng.integers(2, 12)
            pixels[top : top + 10, 100:115] = colour
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "wide" / name / f"{i}.png")
    model = network("mobilenet_v3_small", blocks=6)
    write_network(folder / "features.safetensors", model, card_of(model, SIZE))
    return folder


@pytest.fixture(scope="module")
def padded(wide: Path) -> Path:
    """What `--fit auto` makes of them."""
    weights = str(wide / "features.safetensors")
    return train(wide / "wide", wide / "padded", weights=weights, recipe="probe", fit="auto").path


def test_padded_photographs_are_told_apart_by_what_a_crop_would_hide(padded: Path) -> None:
    card = read_card(padded)
    assert (card.preprocess.fit, card.preprocess.crop, card.preprocess.size) == ("pad", 1.0, SIZE)
    assert card.metrics["accuracy"] >= 0.99


def test_config_holds_what_auto_took_and_that_it_was_asked_for(padded: Path) -> None:
    settings, _ = read_config(padded / "config.yaml")
    assert settings.fit == "pad"
    assert read_asked(padded / "config.yaml")["fit"] == "auto"


def test_prediction_and_explanation_take_the_fit_from_the_card(wide: Path, padded: Path) -> None:
    photo = wide / "wide" / "bad" / "3.png"
    assert load(padded).predict(photo).label == "bad"
    seen = Explainer.open(padded).explain(photo)
    assert seen.crop.shape[1] == 5 * seen.crop.shape[0] + 3  # 48×9, rounded down; no padding
    assert seen.heat.shape == seen.crop.shape[:2]
    assert seen.heat.max() == 1
    assert seen.heat[:, 24:].sum() > seen.heat[:, :24].sum()  # the class shows on the right


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_an_exported_graph_pads_by_itself(target: str, wide: Path, padded: Path, tmp_path: Path) -> None:
    network = open_network(padded)
    path = tmp_path / TARGETS[target].file
    with_full_input(target, exporter(target))(network.model, network.card, path)
    whole = load(path, {"onnx": "onnxruntime"}.get(target, target))
    for photo in sorted((wide / "wide").rglob("1*.png"))[:6]:
        assert whole.predict(photo).label == photo.parent.name
