"""A detector that was trained on tiles: a photo has one answer, however it comes and whatever it comes beside."""

from __future__ import annotations

import io
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotated import UNDO
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import DETECT, TILE, ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import decoded
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.opening import load
from mobilenets.runtime.predictor import Failure, Predictor
from mobilenets.tasks.detect.tiles import grid, merged
from small import finder

SIDE, SIZE = 96, (200, 150)


@cache
def engine() -> TorchEngine:
    """Random weights, and thresholds so low that boxes are found."""
    model = finder()
    preprocess = Preprocess(size=64, crop=1.0, fit="squash")
    card = ModelCard(
        "finder",
        model.net,
        ("cat", "dog"),
        preprocess,
        task=DETECT,
        thresholds=(0.3, 0.3),
        provenance={TILE: str(SIDE)},
    )
    return TorchEngine(model, card)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(engine())


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large photo, another one on its side, a small one, one that is damaged and one that is none."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, size in (("a.png", SIZE), ("c.png", (90, 80)), ("e.png", (97, 60))):
        Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), np.uint8)).save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "a.png").transpose(UNDO[6]).save(folder / "f.jpg", exif=exif, quality=95)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:2000])
    (folder / "d.png").write_text("none")
    return folder


def by_hand(predictor: Predictor, image: Image.Image) -> dict:
    """The network on each tile, cut here, and merged."""
    tiles = grid(*image.size, SIDE)
    crops = [image.crop((t.left, t.top, t.left + t.width, t.top + t.height)) for t in tiles]
    rows = [predictor.outputs(predictor.pixels(crop)[None])[0] for crop in crops]
    row = merged(tiles, rows, *image.size)
    return predictor.task.with_size(predictor.task.answer(None, row, predictor.classes), image.size).to_dict()


def test_many_photos_are_answered_in_their_order_as_each_alone(predictor: Predictor, photos: Path) -> None:
    paths = sorted(photos.iterdir())
    assert [path.stem for path in paths] == list("abcdef")
    found = list(predictor.predict_many(paths, batch=3, workers=2))
    assert [isinstance(one, Failure) for one in found] == [False, True, False, True, False, False]
    for path, one in zip(paths, found, strict=True):
        if isinstance(one, Failure):
            assert str(path) in one.error
        else:
            upright = decoded(path).image
            assert one.size == upright.size
            assert np.allclose(_boxes(one.to_dict()), _boxes(predictor.predict(path).to_dict()), atol=0.11)
            assert np.allclose(_boxes(one.to_dict()), _boxes(by_hand(predictor, upright)), atol=0.11)
    assert len(found[0].objects) > 10


def _boxes(answer: dict) -> list[list[float]]:
    """In pixels to a tenth, by their place: two of equal scores may come in either order."""
    return sorted(found["box"] for found in answer["objects"])


def test_a_photo_is_answered_alike_whatever_it_comes_as(predictor: Predictor, photos: Path) -> None:
    for name in ("a.png", "c.png", "f.jpg"):
        path = photos / name
        content = path.read_bytes()
        expected = predictor.predict(path).to_dict()
        forms = (bytes, io.BytesIO, _Pipe, decoded, lambda content: decoded(content).image, _array)
        for form in forms:
            assert predictor.predict(form(content)).to_dict() == expected, form
            (found,) = predictor.predict_many([form(content)], workers=1)
            assert np.allclose(_boxes(found.to_dict()), _boxes(expected), atol=0.11), form


def _array(content: bytes) -> np.ndarray:
    return np.asarray(decoded(content).image)


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_a_photo_no_larger_than_a_tile_is_seen_whole(predictor: Predictor, photos: Path) -> None:
    found = predictor.predict(photos / "c.png")
    assert found.to_dict() == by_hand(predictor, decoded(photos / "c.png").image)
    predictor.tile = None
    assert predictor.predict(photos / "c.png") == found
    assert predictor.predict(photos / "a.png").to_dict() != by_hand(predictor, decoded(photos / "a.png").image)


def test_another_process_looks_in_the_same_tiles(predictor: Predictor, photos: Path, tmp_path: Path) -> None:
    export_onnx(engine().model, engine().card, tmp_path / "model.onnx")
    opened = load(tmp_path / "model.onnx", "onnxruntime")
    assert opened.tile == SIDE
    opened.tile = 120
    again = pickle.loads(pickle.dumps(opened))
    assert again.tile == 120
    assert again.predict(photos / "a.png") == opened.predict(photos / "a.png") != predictor.predict(photos / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_decoded_at_reduced_scale_knows_its_size(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (403, 301))
    image.save(tmp_path / "a.jpg", exif=exif)
    found = decoded(tmp_path / "a.jpg", min_side=20)
    assert max(found.image.size) < 120
    assert found.size == decoded(tmp_path / "a.jpg").image.size
