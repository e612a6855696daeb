"""What the service says of photographs that are unlike those it learned from, and what it keeps to itself."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import build_index, model_id
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.serving.app import make_app
from small import card_of, network, noise


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Of a network that was shown noise, kept in and outside the folder of its data."""
    model = network()
    card = card_of(model)
    engine = TorchEngine(model, card)
    features = engine.with_features(noise(8, card.preprocess))[1].vectors
    paths = ["noise/0.png", "/home/someone/1.png", "C:\\photos\\2.png"] + [f"/srv/data/{i}.png" for i in range(3, 8)]
    train = ImageFeatures.of(features, np.arange(8) % 2, paths)
    index = build_index(train, ImageFeatures.of(features, np.arange(8) % 2, paths, np.arange(8, 16)), model_id(card))
    return Classifier(engine, index)


def test_the_nearest_photographs_are_named_without_folders_of_the_server(classifier: Classifier) -> None:
    photos = noise(8, classifier.card.preprocess)
    named: set[str] = set()
    with TestClient(make_app(classifier)) as client:
        for photo in photos:
            (result,) = client.post("/predict", content=png(photo)).json()["results"]
            assert 0 < result["known"] <= 1
            named |= set(result["nearest"])
    assert {"noise/0.png", "1.png", "2.png", "3.png"} <= named
    assert not any("home" in path or "srv" in path or "\\" in path for path in named)
