"""A detector as a service: boxes in pixels of the photo, described by the schema, and a page that draws them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from mobilenets.model_card import DETECT, ModelCard
from mobilenets.nn.io import write_network
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.predictor import Predictor
from mobilenets.serving.app import make_app
from serving.service import picture, serving
from small import finder

CLASSES = ("cat", "dog")
SIZE = (80, 60)


@cache
def detector() -> TorchEngine:
    """Random weights, and thresholds so low that boxes are found."""
    model = finder()
    preprocess = Preprocess(size=64, crop=1.0, fit="squash")
    card = ModelCard("finder", model.net, CLASSES, preprocess, task=DETECT, thresholds=(0.02, 0.02))
    return TorchEngine(model, card)


def predictor() -> Predictor:
    return Predictor(detector())


@pytest.fixture
def client() -> TestClient:
    return TestClient(make_app(predictor()))


def test_boxes_are_told_in_pixels_of_the_photo_the_surest_first(client: TestClient, tmp_path: Path) -> None:
    with client:
        (result,) = client.post("/predict?top=7", content=picture("PNG", SIZE)).json()["results"]
    (tmp_path / "photo.png").write_bytes(picture("PNG", SIZE))
    expected = predictor().predict(tmp_path / "photo.png").cut(7).to_dict()
    assert len(result["objects"]) == 7
    assert result == {"name": None, **expected}
    scores = [found["score"] for found in result["objects"]]
    assert scores == sorted(scores, reverse=True)
    assert np.max([found["box"] for found in result["objects"]]) > 1, "pixels, not fractions"


def test_a_model_of_tiles_finds_what_predict_does_on_large_photos_and_small_ones(tmp_path: Path) -> None:
    """In one request, beside a damaged one; boxes in pixels of the whole photo."""
    tiled = predictor()
    tiled.tile = 64
    sizes = [(300, 200), (64, 50), (70, 200)]
    files = [("image", (f"{k}.png", picture("PNG", size))) for k, size in enumerate(sizes)]
    with TestClient(make_app(tiled)) as client:
        results = client.post("/predict?top=9999", files=[*files, ("image", ("no.png", b"none"))]).json()["results"]
    assert results.pop()["code"] == "not-an-image"
    for k, size in enumerate(sizes):
        (tmp_path / f"{k}.png").write_bytes(picture("PNG", size))
        assert results[k] == {"name": f"{k}.png", **tiled.predict(tmp_path / f"{k}.png").to_dict()}
    assert len(results[0]["objects"]) > 100, "more than a whole photo can have"
    assert max(found["box"][2] for found in results[0]["objects"]) > 200


def test_the_schema_has_the_fields_of_an_object(client: TestClient) -> None:
    with client:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        model = client.get("/model").json()
    items = schemas["Answer"]["properties"]["objects"]["anyOf"][0]["items"]["$ref"]
    found = schemas[items.rpartition("/")[2]]
    assert found["properties"].keys() == {"label", "score", "box"}
    assert found["properties"]["box"]["items"] == {"type": "number"}
    assert (model["task"], model["classes"], model["explains"]) == (DETECT, list(CLASSES), False)


def test_the_page_comes_with_what_draws_boxes(client: TestClient) -> None:
    with client:
        assert 'id="boxes"' in client.get("/").text
        assert client.get("/boxes.js").status_code == 200


def test_a_server_with_the_network_itself_does_not_offer_to_explain(tmp_path: Path) -> None:
    engine = detector()
    write_network(tmp_path / "model.safetensors", engine.model, engine.card)
    with serving(tmp_path / "model.safetensors", engine="torch") as service:
        assert service.get("/model").json()["explains"] is False


def test_explaining_is_refused(client: TestClient) -> None:
    with client:
        response = client.post("/predict?explain=true", content=picture("PNG", SIZE))
    assert response.status_code == 400
    assert response.json()["code"] == "no-explanation"
