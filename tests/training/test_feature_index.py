"""`index.safetensors` of a run: the training photographs as the kept network sees them."""

from pathlib import Path

import numpy as np
import pytest

from conftest import write_photos
from mobilenets.arch import build
from mobilenets.data.manifest import Manifest
from mobilenets.data.samples import Sample, Samples
from mobilenets.features.neighbours import unit
from mobilenets.model_card import read_card
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.index_file import find_index
from mobilenets.training.feature_index import _group_numbers
from mobilenets.training.run import train
from mobilenets.weights.kept import is_fine_tuned
from small import write_random

CLASSES = ("daisy", "rose")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, its data): a probe on random weights."""
    folder = tmp_path_factory.mktemp("probed")
    data = write_photos(folder / "photos", CLASSES, 20, size=40)
    weights = write_random(folder / "random.safetensors", build("mobilenet_v2", width=0.35, num_classes=2), CLASSES, 32)
    return train(data, folder / "run", weights=str(weights), recipe="probe", device="cpu").path, data


@pytest.mark.parametrize("which", ["probed", "trained"])  # its features are those that the head was fitted to, or new
def test_it_has_the_training_photographs_as_the_exported_model_sees_them(
    which: str, request: pytest.FixtureRequest
) -> None:
    run, data = request.getfixturevalue(which)
    card = read_card(run)
    index = find_index(run, card)
    assert index is not None
    listed = Manifest.read(run / "data.csv")
    rows = listed.of("train")
    assert sorted(index.paths) == sorted(listed.paths[i] for i in rows)
    assert [card.classes[k] for k in index.labels] == [Path(path).parts[0] for path in index.paths]
    engine = OnnxRuntimeEngine(run / "model.onnx")
    pixels = np.stack([card.preprocess.pixels(card.preprocess.read(data / path)) for path in index.paths])
    seen = engine.with_features(pixels)[1]
    assert np.abs(unit(seen.features) - index.features).max() < 0.02
    assert index.nearest(seen.features).rows[:, 0].tolist() == list(range(len(index)))
    np.testing.assert_allclose(index.train.lengths, seen.lengths[:, 0], rtol=0.02)
    assert (index.spread is None) != is_fine_tuned(run, card.metrics)  # a probe tells by its features
    if index.spread is not None:
        np.testing.assert_allclose(index.train.means, seen.means, rtol=2e-3, atol=1e-4)


def test_what_is_written_twice_has_the_same_bytes(probed: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = probed
    weights = run.parent / "random.safetensors"
    again = train(data, tmp_path / "run", weights=str(weights), recipe="probe", device="cpu").path
    assert (again / "index.safetensors").read_bytes() == (run / "index.safetensors").read_bytes()


def test_photographs_of_one_group_have_one_number_in_whatever_table_they_stand() -> None:
    first = Samples.of([Sample(Path(f"{i}.jpg"), 0, group) for i, group in enumerate(["a", None, "b"])])
    other = Samples.of([Sample(Path(f"{i}.png"), 0, group) for i, group in enumerate(["b", None])])
    none = Samples.of([Sample(Path("x.png"), 0)])
    a, alone, b, same, another, last = _group_numbers(first, other, none).tolist()
    assert b == same
    assert len({a, alone, b, another, last}) == 5
