"""The exported graph: the same probabilities as the network, complete in one file, nothing else touched."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from mobilenets.errors import UserError
from mobilenets.exporting.deploy import Answering, fold_norms
from mobilenets.exporting.targets import onnx as onnx_target
from mobilenets.exporting.targets.onnx import export_onnx, onnx_bytes, onnx_file, write_card
from mobilenets.model_card import ModelCard, read_card
from mobilenets.preprocess.torch import FromPixels
from mobilenets.runtime.base import features_engine
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine, make_session
from mobilenets.runtime.engines.openvino import OpenVinoEngine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.tasks.classify.head import softmax
from small import CLASSES, card_of, expected, network, noise


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelCard, Path]:
    """A small network's card and its file, alone in a folder."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    model = network()
    export_onnx(model, card_of(model), path)
    return card_of(model), path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenet_v1", {}),
        ("mobilenet_v2", {}),
        ("mobilenet_v2", {"flavor": "tf"}),
        ("mobilenet_v3_large", {"output_stride": 16}),
        ("mobilenet_v3_small", {}),
        ("mobilenet_v3_large_minimal", {}),
        ("mobilenet_v4_conv_small", {}),
    ],
)
def test_the_graph_gives_the_networks_probabilities(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    model = network(name, **options)
    card = card_of(model, size=40)
    export_onnx(model, card, tmp_path / "model.onnx")
    pixels = noise(3, card.preprocess)
    got = OnnxRuntimeEngine(tmp_path / "model.onnx")(pixels)
    want = expected(model, card.preprocess, pixels)
    assert np.abs(got - want).max() <= 1e-4
    assert np.ptp(want, axis=0).max() > 0.01, "the photos must matter for this to mean anything"


def test_normalisation_is_that_of_the_card(tmp_path: Path) -> None:
    model = network(in_channels=1)
    card = card_of(model, mean=(0.2,), std=(0.7,), mode="L")
    export_onnx(model, card, tmp_path / "grey.onnx")
    pixels = noise(2, card.preprocess)
    got = OnnxRuntimeEngine(tmp_path / "grey.onnx")(pixels)
    assert np.abs(got - expected(model, card.preprocess, pixels)).max() <= 1e-4


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"])
def test_features_are_the_vector_before_the_classifier_at_length_1(tmp_path: Path, name: str) -> None:
    model = network(name)
    card = card_of(model)
    export_onnx(model, card, tmp_path / "model.onnx")
    pixels = noise(3, card.preprocess)
    with torch.inference_mode():
        images = torch.from_numpy(card.preprocess.normalize(pixels))
        want = model.forward_head(model.forward_features(images), pre_logits=True).numpy()
        means = model.features(images)[-2].mean((2, 3)).numpy()  # of the last map but one stride
    lengths = np.linalg.norm(want, axis=1, keepdims=True)
    want = want / lengths
    engines = [OnnxRuntimeEngine(tmp_path / "model.onnx"), OpenVinoEngine(tmp_path / "model.onnx")]
    for engine in (*engines, TorchEngine(model, card)):
        outputs, seen = engine.with_features(pixels)
        assert np.array_equal(outputs, engine(pixels))
        assert seen.features.dtype == np.float32
        assert np.abs(seen.features - want).max() < 1e-4
        np.testing.assert_allclose(seen.lengths, lengths, rtol=1e-4)
        np.testing.assert_allclose(seen.means, means, rtol=1e-3, atol=1e-4)


def test_a_black_picture_has_features_that_are_numbers(tmp_path: Path) -> None:
    model = network(blocks=2)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    export_onnx(model, card_of(model), tmp_path / "model.onnx")
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    assert not OnnxRuntimeEngine(tmp_path / "model.onnx").with_features(pixels)[1].features.any()


@pytest.mark.parametrize("kept", [0, 1], ids=["no features", "features alone"])
def test_a_file_of_an_older_version_is_run_as_before(kept: int, tmp_path: Path) -> None:
    model = network(blocks=2)
    export_onnx(model, card_of(model), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx")
    del graph.graph.output[1 + kept :]
    onnx.save(graph, tmp_path / "older.onnx")
    for open_ in (OnnxRuntimeEngine, OpenVinoEngine):
        engine, newer = open_(tmp_path / "older.onnx"), open_(tmp_path / "model.onnx")
        pixels = noise(2, engine.card.preprocess)
        assert np.allclose(engine(pixels), newer(pixels), atol=1e-6)
        with pytest.raises(UserError, match="gives no features"):
            features_engine(engine)


def test_any_number_of_pictures_gives_each_the_same_row(exported: tuple[ModelCard, Path]) -> None:
    card, path = exported
    engine, pixels = OnnxRuntimeEngine(path), noise(5, card.preprocess)
    together = engine(pixels)
    alone = np.concatenate([engine(pixels[i : i + 1]) for i in range(5)])
    assert together.dtype == np.float32
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(together.sum(1), 1, atol=1e-5)


def test_the_file_is_complete_and_valid(exported: tuple[ModelCard, Path]) -> None:
    card, path = exported
    assert list(path.parent.iterdir()) == [path], "weights are inside, not beside"
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    assert read_card(path) == card
    (image,), (probabilities, features, *_) = graph.graph.input, graph.graph.output
    assert (image.name, image.type.tensor_type.elem_type) == ("image", onnx.TensorProto.UINT8)
    assert [d.dim_value for d in image.type.tensor_type.shape.dim][1:] == [32, 32, 3]
    assert image.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert (probabilities.name, features.name) == ("probabilities", "features")
    assert [d.dim_value for d in features.type.tensor_type.shape.dim][1:] == [card.net.head_width]


def test_batch_norms_are_folded_away(exported: tuple[ModelCard, Path]) -> None:
    kinds = {node.op_type for node in onnx.load(exported[1]).graph.node}
    assert "BatchNormalization" not in kinds
    assert "Conv" in kinds


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"])
@pytest.mark.parametrize("flavor", ["timm", "tf"])
def test_the_graph_holds_only_what_engines_compute_fast(tmp_path: Path, name: str, flavor: str) -> None:
    """No division of pixels, no pads beside convolutions, no arithmetic on shapes, means as pooling."""
    model = network(name, flavor=flavor)
    export_onnx(model, card_of(model, size=40), tmp_path / "model.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    activations = {"Clip"} if name == "mobilenet_v2" else {"Relu", "HardSwish", "HardSigmoid", "Mul"}
    ends = {"Transpose", "Cast", "Sub", "GlobalAveragePool", "Flatten", "Gemm", "Softmax", "ReduceL2", "Max", "Div"}
    assert kinds - {"Constant", "Identity"} == {"Conv", "Add"} | activations | ends


def test_the_callers_network_stays_as_it_was(tmp_path: Path) -> None:
    model = network(blocks=4).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_onnx(model, card_of(model), tmp_path / "model.onnx")
    assert model.training
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_folding_changes_no_output() -> None:
    model = network("mobilenet_v4_conv_small")
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(fold_norms(model)(x), model(x), atol=1e-4)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = network(blocks=4)
    export_onnx(model, card_of(model), tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")


def test_an_existing_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"old")
    model = network(blocks=4)
    export_onnx(model, card_of(model), tmp_path / "model.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert OnnxRuntimeEngine(tmp_path / "model.onnx").card.classes == CLASSES


def test_a_card_of_another_network_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 class names for 4 outputs"):
        export_onnx(network(num_classes=4), card_of(network()), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_that_gives_no_numbers_is_not_exported(tmp_path: Path) -> None:
    model = network(blocks=4)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    with pytest.raises(UserError, match="differs from the network by nan; not written"):
        export_onnx(model, card_of(model), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rounding", [5e-4, 1e-6])
def test_a_difference_that_is_rounding_is_told_and_another_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, rounding: float
) -> None:
    model = network(blocks=4)
    assert 0 <= onnx_target._rounding(model, card_of(model)) < 1e-4
    monkeypatch.setattr(onnx_target, "_difference", lambda *_: 7e-4)  # as trained on 30 photos from scratch
    monkeypatch.setattr(onnx_target, "_rounding", lambda *_: rounding)
    if rounding < 1e-4:
        with pytest.raises(UserError, match=r"differs from the network by 0\.0007; not written"):
            export_onnx(model, card_of(model), tmp_path / "model.onnx")
    else:
        export_onnx(model, card_of(model), tmp_path / "model.onnx")
        assert "by 0.0007, as rounding alone moves its answers by 0.0005" in caplog.text
    assert (tmp_path / "model.onnx").exists() == (rounding > 1e-4)


def test_other_outputs_than_probabilities_can_be_exported() -> None:
    model = network(blocks=4)
    card = card_of(model)
    content = onnx_bytes(FromPixels(Answering(model, softmax), card.preprocess).eval(), card.preprocess, "features")
    session = make_session(content)
    assert [output.name for output in session.get_outputs()] == ["features"]
    pixels = noise(3, card.preprocess)
    assert np.allclose(session.run(None, {"image": pixels})[0], expected(model, card.preprocess, pixels), atol=1e-4)


def test_another_card_leaves_the_graph_as_it_is(tmp_path: Path) -> None:
    model = network()
    card, path = card_of(model), tmp_path / "model.onnx"
    export_onnx(model, replace(card, metrics={"accuracy": 0.5}), path)
    write_card(card, path)
    assert path.read_bytes() == onnx_file(model, card)
    assert read_card(path) == card
