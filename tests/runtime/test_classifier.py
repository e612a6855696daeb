"""The classifier: any source, in order, in constant memory; two engines that agree; clear refusals."""

import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

import mobilenets as mn
from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import METADATA_KEY, ModelCard, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.decode import UnreadableImage
from mobilenets.runtime.base import OneAtATime
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.opening import load
from mobilenets.runtime.predictor import Failure
from mobilenets.runtime.registry import open_engine
from mobilenets.tasks.classify.answers import Prediction

CLASSES = ("daisy", "rose", "tulip")


def save_run(folder: Path, model: MobileNet, card: ModelCard) -> Path:
    folder.mkdir(exist_ok=True)
    export_onnx(model, card, folder / "model.onnx")
    write_safetensors(folder / "model.safetensors", {k: v.numpy() for k, v in model.state_dict().items()}, card)
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny network whose answer depends on the picture."""
    torch.manual_seed(0)
    net = build("mobilenet_v3_small", width=0.35, num_classes=3)
    model = MobileNet(net).eval()
    torch.nn.init.normal_(model.classifier.weight, 0, 20.0)
    return save_run(
        tmp_path_factory.mktemp("runs") / "run", model, ModelCard("tiny", net, CLASSES, Preprocess(size=32))
    )


@pytest.fixture(scope="module")
def classifier(run_folder: Path) -> Classifier:
    return load(run_folder)


@pytest.fixture(scope="module")
def photo_paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Ten photographs that differ, the sixth unreadable."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = rng.normal(rng.uniform(0, 255, 3), 40, (48, 60, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "5.png").write_bytes(b"not a photo")
    return [str(folder / f"{i}.png") for i in range(10)]


# --- one picture ----------------------------------------------------------------------------------------


def test_a_prediction_lists_every_class_best_first(classifier: Classifier, photo_paths: list[str]) -> None:
    prediction = classifier.predict(photo_paths[0])
    probabilities = [p for _, p in prediction.top]
    assert {name for name, _ in prediction.top} == set(CLASSES)
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert (prediction.label, prediction.probability) == prediction.top[0]
    assert prediction.path == photo_paths[0]


def test_labels_follow_the_order_of_the_outputs(classifier: Classifier, photo_paths: list[str]) -> None:
    row = classifier.probabilities(classifier.pixels(photo_paths[0])[None])[0]
    assert dict(classifier.predict(photo_paths[0]).top) == pytest.approx(dict(zip(CLASSES, row, strict=True)))


def test_path_bytes_image_and_array_give_the_same(classifier: Classifier, photo_paths: list[str]) -> None:
    path = Path(photo_paths[0])
    image = Image.open(path)
    by_path = classifier.predict(path)
    for source in (str(path), path.read_bytes(), image, np.asarray(image)):
        assert classifier.predict(source).top == by_path.top


def test_a_source_without_a_name_has_no_path(classifier: Classifier, photo_paths: list[str]) -> None:
    assert classifier.predict(Path(photo_paths[0]).read_bytes()).path is None


@pytest.mark.parametrize("shape", [(4,), (4, 4, 4), (1, 4, 4, 3)])
def test_an_array_of_another_shape_is_refused(classifier: Classifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"\(H, W, 3\)"):
        classifier.predict(np.zeros(shape, np.uint8))


def test_an_array_of_floats_is_refused_rather_than_guessed_at(classifier: Classifier) -> None:
    with pytest.raises(UserError, match="array of float64"):
        classifier.predict(np.zeros((8, 8, 3)))


def test_an_unreadable_picture_raises(classifier: Classifier, photo_paths: list[str]) -> None:
    with pytest.raises(UnreadableImage, match=r"5\.png"):
        classifier.predict(photo_paths[5])


# --- many pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (3, 2), (4, None), (100, 5)])
def test_many_are_predicted_in_order_as_one_by_one(
    classifier: Classifier, photo_paths: list[str], batch: int, workers: int | None
) -> None:
    results = list(classifier.predict_many(photo_paths, batch, workers))
    assert [r.path for r in results] == photo_paths
    for i, result in enumerate(results):
        if i == 5:
            assert isinstance(result, Failure)
            assert "5.png" in result.error
        else:
            assert isinstance(result, Prediction)
            assert dict(result.top) == pytest.approx(dict(classifier.predict(photo_paths[i]).top), abs=1e-5)


def test_nothing_to_predict_is_no_error(classifier: Classifier) -> None:
    assert list(classifier.predict_many([])) == []


def test_a_batch_of_unreadable_pictures_alone_is_no_error(classifier: Classifier, photo_paths: list[str]) -> None:
    results = list(classifier.predict_many([photo_paths[5]] * 9, batch=2))
    assert [type(r) for r in results] == [Failure] * 9


def test_an_endless_stream_is_read_only_as_far_as_needed(classifier: Classifier, photo_paths: list[str]) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        for path in itertools.cycle(photo_paths):
            taken += 1
            yield path

    results = classifier.predict_many(endless(), batch=4, workers=2)
    for _ in range(50):
        next(results)
    assert taken <= 50 + 4 * 4
    before = threading.active_count()
    results.close()
    assert threading.active_count() < before, "the decoding threads end with the stream"


def test_pictures_that_vanish_or_are_replaced_meanwhile_are_failures_or_what_they_are_now(
    classifier: Classifier, photo_paths: list[str], tmp_path: Path
) -> None:
    paths = [Path(shutil.copy(photo_paths[i], tmp_path / f"{i}.png")) for i in range(4)]

    def changing() -> Iterator[Path]:
        yield from paths  # decoded only when all four are known
        paths[1].unlink()
        paths[2].write_bytes(b"no photo")
        shutil.copy(photo_paths[4], paths[3])

    first, second, third, fourth = classifier.predict_many(changing(), batch=5)
    assert isinstance(first, Prediction)
    assert isinstance(second, Failure)
    assert isinstance(third, Failure)
    assert isinstance(fourth, Prediction)
    assert "no such file" in second.error
    assert "2.png" in third.error
    assert dict(first.top) == pytest.approx(dict(classifier.predict(photo_paths[0]).top), abs=1e-5)
    assert dict(fourth.top) == pytest.approx(dict(classifier.predict(photo_paths[4]).top), abs=1e-5)


def test_an_error_in_the_stream_reaches_the_caller(classifier: Classifier, photo_paths: list[str]) -> None:
    def broken() -> Iterator[str]:
        yield photo_paths[0]
        raise UserError("list of paths: damaged")

    with pytest.raises(UserError, match="damaged"):
        list(classifier.predict_many(broken()))


def test_rows_are_the_probabilities_in_the_order_of_the_classes(classifier: Classifier, photo_paths: list[str]) -> None:
    for (source, row), result in zip(classifier.rows(photo_paths), classifier.predict_many(photo_paths), strict=True):
        assert source == result.path
        if isinstance(result, Prediction):
            assert CLASSES[int(np.argmax(row.outputs))] == result.label
        else:
            assert row == result


def test_what_was_decoded_of_each_photo_can_be_looked_at(classifier: Classifier, photo_paths: list[str]) -> None:
    seen: dict[object, tuple[int, int]] = {}
    rows = dict(classifier.rows(photo_paths, on_decoded=lambda path, photo: seen.update({path: photo.size})))  # type: ignore[arg-type]
    assert seen == {path: row.size for path, row in rows.items() if not isinstance(row, Failure)}


@pytest.mark.parametrize(
    ("name", "engine"), [("model.onnx", "onnxruntime"), ("model.onnx", "openvino"), ("model.safetensors", "torch")]
)
def test_many_threads_at_once_get_the_answers_of_one(
    run_folder: Path, photo_paths: list[str], name: str, engine: str
) -> None:
    classifier = load(run_folder / name, engine)
    concurrent = open_engine(run_folder / name, engine).concurrent()
    pixels = [classifier.pixels(path)[None] for i, path in enumerate(photo_paths) if i != 5] * 20
    expected = np.concatenate([classifier.probabilities(picture) for picture in pixels])
    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_allclose(np.concatenate(list(pool.map(concurrent, pixels))), expected, atol=1e-5)


def test_an_engine_for_one_thread_is_never_entered_by_two() -> None:
    class Counting:
        card, accepts_full_image, inside, most = None, False, 0, 0

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.001)
            self.inside -= 1
            return pixels

    counting = Counting()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(OneAtATime(counting), range(40)))  # type: ignore[arg-type]  # needs no more
    assert (counting.most, answers) == (1, list(range(40)))


# --- engines --------------------------------------------------------------------------------------------


def test_onnxruntime_and_torch_agree(run_folder: Path, photo_paths: list[str]) -> None:
    first, second = load(run_folder, "onnxruntime"), load(run_folder, "torch")
    pixels = np.stack([first.pixels(path) for i, path in enumerate(photo_paths) if i != 5])
    assert np.array_equal(pixels[0], second.pixels(photo_paths[0]))
    rows = first.probabilities(pixels)
    assert np.abs(rows - second.probabilities(pixels)).max() <= 1e-4
    assert np.ptp(rows, axis=0).max() > 0.01


def test_the_engines_agree_on_real_photographs_with_official_weights(tmp_path: Path) -> None:
    package = find_spec("elpv_dataset")
    assert package is not None
    assert package.origin is not None
    cells = sorted((Path(package.origin).parent / "data" / "images").glob("*.png"))[:4]
    assert len(cells) == 4
    model = mn.create("mobilenet_v2", weights="torchvision-v1")
    names = tuple(f"class {k}" for k in range(1000))
    run = save_run(tmp_path / "run", model, ModelCard("v2", model.net, names, model.preprocess))
    first, second = load(run / "model.onnx"), load(run / "model.safetensors")
    pixels = np.stack([first.pixels(cell) for cell in cells])
    rows = first.probabilities(pixels)
    assert rows.max() > 0.05
    assert np.abs(rows - second.probabilities(pixels)).max() <= 1e-4


def test_a_network_in_memory_is_an_engine_too(classifier: Classifier, run_folder: Path, photo_paths: list[str]) -> None:
    model = mn.create("mobilenet_v3_small", weights=run_folder / "model.safetensors", width=0.35)
    in_memory = Classifier(TorchEngine(model, classifier.card))
    assert dict(in_memory.predict(photo_paths[0]).top) == pytest.approx(
        dict(classifier.predict(photo_paths[0]).top), abs=1e-4
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_answer(
    classifier: Classifier, run_folder: Path, photo_paths: list[str], threads: int
) -> None:
    again = load(run_folder / "model.onnx", threads=threads).predict(photo_paths[0])
    assert dict(again.top) == pytest.approx(dict(classifier.predict(photo_paths[0]).top), abs=1e-5)


def test_predicting_from_onnx_imports_no_torch(run_folder: Path, photo_paths: list[str]) -> None:
    code = (
        "import sys, mobilenets as mn\n"
        "print(mn.load(sys.argv[1]).predict(sys.argv[2]).label)\n"
        "assert not {'torch', 'onnx', 'safetensors', 'scipy', 'tqdm'} & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, run_folder, photo_paths[0]], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in CLASSES


def test_without_torch_a_safetensors_says_what_to_install(run_folder: Path, tmp_path: Path) -> None:
    # An environment without torch: a module of that name that is not there.
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import mobilenets as mn\n"
        "try: mn.load(sys.argv[2])\n"
        "except mn.UserError as error: print(error)\n"
    )
    file = run_folder / "model.safetensors"
    result = subprocess.run([sys.executable, "-c", code, tmp_path, file], capture_output=True, text=True, check=True)
    assert str(file) in result.stdout
    assert "pip install 'mobilenets[train]'" in result.stdout


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "engine", "named"),
    [
        ("model.onnx", "tensorrt", "'tensorrt' is not one of auto, onnxruntime, openvino, torch"),
        ("model.onnx", "torch", "torch runs .safetensors; leave --engine out"),
        ("model.safetensors", "onnxruntime", "onnxruntime runs .onnx"),
        ("missing.onnx", "auto", "missing.onnx: no such file or folder"),
        ("card.txt", "auto", "card.txt: not a model this runs"),
        ("empty", "auto", "empty: holds no model.onnx or model.safetensors"),
        ("empty", "torch", "empty: holds no model.safetensors"),
    ],
)
def test_what_cannot_be_loaded_is_named(run_folder: Path, tmp_path: Path, name: str, engine: str, named: str) -> None:
    folder = shutil.copytree(run_folder, tmp_path / "run")
    (folder / "empty").mkdir()
    (folder / "card.txt").touch()
    with pytest.raises(UserError) as caught:
        load(folder / name, engine)
    assert named in str(caught.value)
    assert str(folder / name) in str(caught.value) or engine == "tensorrt"


def test_a_run_that_was_stopped_before_it_had_a_model_is_told_how_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").touch()
    with pytest.raises(UserError, match="go on with its training: mobilenets train --resume --out "):
        load(tmp_path / "run")


def test_a_graph_of_others_is_refused_even_with_a_card(run_folder: Path, tmp_path: Path) -> None:
    graph = onnx.load(run_folder / "model.onnx")
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64
    graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 64
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(UserError, match=r"other\.onnx: "):
        load(tmp_path / "other.onnx")


def test_a_graph_without_a_card_is_refused(run_folder: Path, tmp_path: Path) -> None:
    graph = onnx.load(run_folder / "model.onnx")
    kept = [p for p in graph.metadata_props if p.key != METADATA_KEY]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    onnx.save(graph, tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match=r"foreign\.onnx: carries no model card"):
        load(tmp_path / "foreign.onnx")


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_a_model_cut_off_is_refused_by_name_and_silently_otherwise(
    run_folder: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = (run_folder / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=name):
        load(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    card = ModelCard("x", build("mobilenet_v3_small", width=0.35, num_classes=3), CLASSES, Preprocess(size=32))
    other = MobileNet(build("mobilenet_v3_small", width=0.5, num_classes=3))
    write_safetensors(tmp_path / "m.safetensors", {k: v.numpy() for k, v in other.state_dict().items()}, card)
    with pytest.raises(UserError, match=r"m\.safetensors: its tensors are not those of the network"):
        load(tmp_path / "m.safetensors")
