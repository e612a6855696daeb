"""8-bit exports: smaller, nearly as right, calibrated with what they are given; the layers that suffer are named."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mobilenets.errors import UserError
from mobilenets.exporting.images import random_images
from mobilenets.exporting.int8.calibration import Calibration, read_calibration
from mobilenets.exporting.int8.quantize import layer_noise
from mobilenets.exporting.job import export
from mobilenets.exporting.targets.table import INT8_TARGETS, TARGETS, exporter, quantizer
from mobilenets.exporting.verify import INT8
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.registry import open_engine
from small import card_of, coloured, learned, network, noise

ALL = [pytest.param(t, marks=() if t == "onnx" else pytest.mark.exports) for t in INT8_TARGETS if t != "web"]


def _engine(name: str = "mobilenet_v2") -> TorchEngine:
    """The first blocks, among them two residual ones in a row."""
    model = network(name, blocks=7)
    return TorchEngine(model, card_of(model))


@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize(("name", "blocks"), [("mobilenet_v2", 7), ("mobilenet_v3_small", 9)])
def test_an_8_bit_file_is_smaller_and_gives_nearly_the_same_answers(
    target: str, name: str, blocks: int | None, tmp_path: Path
) -> None:
    """Also where late maps are of one pixel, as V3-Small's are in pictures of 32."""
    model = learned(name, 32, blocks)
    engine = TorchEngine(model, card_of(model))
    pictures = random_images(engine.card.preprocess)  # what is compared without photographs
    pixels = np.stack([picture.pixels for picture in pictures])
    calibration, quantize = Calibration(pixels), quantizer(target)
    (tmp_path / "photos").mkdir()
    photos = coloured(tmp_path / "photos", 30, 32)
    _, whole = export(engine, target, exporter(target), tmp_path / "float", photos)
    path, small = export(
        engine, target, lambda m, c, p: quantize(m, c, p, calibration), tmp_path / "int8", photos, INT8
    )
    assert small.bytes < 0.7 * whole.bytes  # of a tiny network: names and metadata weigh as much as weights
    assert small.top1_agreement is not None
    assert small.top1_agreement >= 0.9
    difference = np.abs(open_engine(path, TARGETS[target].engine or "")(pixels) - engine(pixels))
    assert difference.mean() < 0.1
    assert difference.max() > 1e-4  # 8 bits leave a trace: it is no float file under another name


def test_the_onnx_file_computes_in_integers_and_keeps_its_card(tmp_path: Path) -> None:
    engine = _engine()
    quantizer("onnx")(engine.model, engine.card, tmp_path / "model.onnx", Calibration(noise(8, engine.card.preprocess)))
    graph = onnx.load(tmp_path / "model.onnx").graph
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    first, second, *convolutions = [n for n in graph.node if n.op_type == "Conv"]
    for layer in (first, second):  # it reads pixels, and the depthwise one what it gives
        assert weights[layer.input[1]].dtype == np.float32
    sources = {o: n for n in graph.node for o in n.output}
    stored = [weights[sources[n.input[1]].input[0]] for n in convolutions]
    scales = [weights[sources[n.input[1]].input[1]] for n in convolutions]
    assert {w.dtype for w in stored} == {np.dtype(np.int8)}
    assert [len(s) for s in scales] == [len(w) for w in stored]  # a scale per output channel
    assert OnnxRuntimeEngine(tmp_path / "model.onnx").card == engine.card


def test_the_onnx_file_holds_nothing_that_is_not_read(tmp_path: Path) -> None:
    engine = _engine()
    quantizer("onnx")(engine.model, engine.card, tmp_path / "model.onnx", Calibration(noise(8, engine.card.preprocess)))
    graph = onnx.load(tmp_path / "model.onnx").graph
    written = {i.name for i in graph.initializer} | {name for node in graph.node for name in node.output}
    assert written <= {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    biases = {i.name for i in graph.initializer if i.data_type == onnx.TensorProto.INT32}
    read = [node for node in graph.node if biases & {*node.input}]
    assert {len(node.input) for node in read} == {2}  # a bias and its scale: its zero point is zero
    assert (
        len(read) == len([node for node in graph.node if node.op_type in ("Conv", "Gemm")]) - 2
    )  # the first two are float


@pytest.mark.exports
def test_the_openvino_file_is_written_without_what_changes_nothing(tmp_path: Path) -> None:
    """No ReLU6 before what is rounded into its range, every number once, names of layers only."""
    import openvino

    model = network("mobilenet_v2")
    engine = TorchEngine(model, card_of(model, 64))  # at 32 pixels some layers stay float
    calibration = Calibration(noise(8, engine.card.preprocess))
    quantizer("openvino")(engine.model, engine.card, tmp_path / "model.xml", calibration)
    graph = openvino.Core().read_model(tmp_path / "model.xml")
    nodes = graph.get_ordered_ops()
    kinds = [node.get_type_name() for node in nodes]
    assert "FakeQuantize" in kinds
    assert not {"Minimum", "Clamp"} & set(kinds)
    numbers = [
        (str(node.get_element_type()), tuple(node.get_output_shape(0)), node.data.tobytes())
        for node in nodes
        if node.get_type_name() == "Constant" and node.data.size == 1
    ]
    assert len(set(numbers)) == len(numbers)
    assert (graph.input(0).get_any_name(), graph.output(0).get_any_name()) == ("image", "probabilities")
    named = {node.get_friendly_name() for node in nodes if not node.get_friendly_name().isdigit()}
    assert any(name.startswith("blocks.3/project") for name in named)
    assert not any("fq" in name for name in named)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large"])
def test_a_residual_sum_reads_projections_rounded_and_other_sums_unrounded(name: str, tmp_path: Path) -> None:
    """So that what passes many blocks is not rounded anew at each of them."""
    engine = _engine(name)
    quantizer("onnx")(engine.model, engine.card, tmp_path / "model.onnx", Calibration(noise(8, engine.card.preprocess)))
    graph = onnx.load(tmp_path / "model.onnx").graph
    sources = {o: n for n in graph.node for o in n.output}

    def written_by(name: str) -> str:
        node = sources[name]
        if node.op_type != "DequantizeLinear":
            return node.op_type
        return f"rounded {sources[sources[node.input[0]].input[0]].op_type}"

    read = [{written_by(name) for name in node.input} for node in graph.node if node.op_type == "Add"]
    assert len(read) == sum(block.residual for block in engine.model.blocks)
    assert set().union(*read) <= {"rounded Conv", "Add", "HardSwish"}
    assert {"rounded Conv", "Add"} in read


def test_the_ends_stay_float_when_asked(tmp_path: Path) -> None:
    engine = _engine()
    calibration = Calibration(noise(8, engine.card.preprocess), skip_first_last=True)
    quantizer("onnx")(engine.model, engine.card, tmp_path / "model.onnx", calibration)
    graph = onnx.load(tmp_path / "model.onnx").graph
    sources = {o: n.op_type for n in graph.node for o in n.output}
    layers = [sources.get(n.input[1]) for n in graph.node if n.op_type in ("Conv", "Gemm")]
    assert layers[0] is None
    assert layers[-1] is None
    assert set(layers[2:-1]) == {"DequantizeLinear"}


@pytest.mark.exports
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small"])
def test_the_ends_stay_float_in_litert_too(name: str, tmp_path: Path) -> None:
    """And what pads between two layers in integers pads in integers: no map is rounded twice."""
    from ai_edge_litert import schema_py_generated as schema

    engine = _engine(name)
    kinds, found = schema.BuiltinOperator, []
    for skip in (False, True):
        calibration = Calibration(noise(4, engine.card.preprocess), skip_first_last=skip)
        quantizer("litert")(engine.model, engine.card, tmp_path / "model.tflite", calibration)
        model = schema.ModelT.InitFromPackedBuf((tmp_path / "model.tflite").read_bytes(), 0)
        graph = model.subgraphs[0]
        operators = [(model.operatorCodes[o.opcodeIndex].builtinCode, o) for o in graph.operators]
        layers = [
            graph.tensors[o.inputs[1]].type
            for kind, o in operators
            if kind in (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.FULLY_CONNECTED)
        ]
        assert {*layers} == {schema.TensorType.FLOAT32, schema.TensorType.INT8}
        found.append([k for k, kind in enumerate(layers) if kind == schema.TensorType.FLOAT32])
        pads = [graph.tensors[o.outputs[0]].type for kind, o in operators if kind == kinds.PAD]
        assert pads[0] == schema.TensorType.FLOAT32  # the pixels
        assert {*pads[1:]} <= {schema.TensorType.INT8}
    assert found == [[0, 1], [0, 1, len(layers) - 1]]  # the second is depthwise


@pytest.mark.exports
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small"])
def test_the_ends_stay_float_in_executorch_too(name: str, tmp_path: Path) -> None:
    from mobilenets.exporting.targets.executorch import quantize_executorch, rounded

    engine = _engine(name)
    pixels = noise(2, engine.card.preprocess)
    floats = []
    for skip in (False, True):
        graph = rounded(engine.model, engine.card, Calibration(pixels, skip_first_last=skip)).graph
        layers = [n for n in graph.nodes if str(n.target) in ("aten.conv2d.default", "aten.linear.default")]
        floats.append([k for k, n in enumerate(layers) if "dequantize" not in str(n.args[1].target)])
    assert floats == [[0, 1], [0, 1, len(layers) - 1]]  # the second is depthwise
    quantize_executorch(engine.model, engine.card, tmp_path / "m.pte", Calibration(pixels, skip_first_last=True))
    found = open_engine(tmp_path / "m.pte", "executorch")(pixels[:1])
    assert np.abs(found - engine(pixels[:1])).max() < 0.2


@pytest.mark.exports
def test_executorch_rounds_what_relu6_gives_not_what_it_takes() -> None:
    """Below zero it takes much, where channels were made equal; none of the 256 steps is for what it cuts off."""
    from mobilenets.exporting.targets.executorch import rounded

    engine = _engine()
    graph = rounded(engine.model, engine.card, Calibration(noise(8, engine.card.preprocess))).graph
    clips = [node for node in graph.nodes if "hardtanh" in str(node.target)]
    assert not any("quantize" in str(node.args[0].target) for node in clips)
    scales = [user.args[1] for node in clips for user in node.users if "quantize" in str(user.target)]
    assert len(scales) == len(clips) - 1  # the one behind the stem is read by a depthwise layer, which is float
    assert max(scales) < 6.001 / 255


@pytest.mark.exports
def test_executorch_runs_gates_behind_a_relu(tmp_path: Path) -> None:
    """A V3-Large has the first of them in its fourth block; XNNPACK mistook the mean of what it reads."""
    model = network("mobilenet_v3_large", blocks=4)
    card = card_of(model, 64)
    pixels = noise(12, card.preprocess)
    quantizer("executorch")(model, card, tmp_path / "m.pte", Calibration(pixels))
    difference = np.abs(open_engine(tmp_path / "m.pte", "executorch")(pixels) - TorchEngine(model, card)(pixels))
    assert difference.mean() < 0.1


@pytest.mark.exports
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large"])
def test_executorch_computes_the_graph_it_is_given_where_channels_have_a_bias_alone(name: str, tmp_path: Path) -> None:
    """As a trained network has them. With steps as small as such weights a bias is no number of 32 bits."""
    from mobilenets.exporting.targets.executorch import quantize_executorch, rounded

    engine = _engine(name)
    norm = engine.model.blocks[3].depthwise.norm
    norm.weight.data[::2], norm.bias.data[::2] = 0, 5
    pixels = noise(4, engine.card.preprocess)
    graph = rounded(engine.model, engine.card, Calibration(pixels))
    wanted = torch.cat([graph(torch.from_numpy(image[None]))[0] for image in pixels]).numpy()
    quantize_executorch(engine.model, engine.card, tmp_path / "m.pte", Calibration(pixels))
    found = open_engine(tmp_path / "m.pte", "executorch")(pixels)
    assert np.abs(found - wanted).max() < 0.05


@pytest.mark.parametrize("target", ALL)
def test_the_order_of_the_calibration_photographs_does_not_matter(target: str, tmp_path: Path) -> None:
    """A moving average over photographs in the order of their classes would have the range of the last class."""
    engine = _engine()
    pixels = noise(24, engine.card.preprocess)
    pixels = pixels[np.argsort(pixels.reshape(len(pixels), -1).mean(1))]
    answers = []
    for name, order in (("bright-last", pixels), ("dark-last", pixels[::-1].copy())):
        path = tmp_path / name / TARGETS[target].file
        path.parent.mkdir()
        quantizer(target)(engine.model, engine.card, path, Calibration(order))
        answers.append(open_engine(path, TARGETS[target].engine or "")(pixels))
    apart = np.abs(answers[0] - answers[1])  # sums in another order now and then round the other way
    assert apart.max() < 0.1
    assert apart.mean() < 0.015  # up to 0.0064; with the ranges of the last photographs alone 0.03


def test_the_layer_with_an_outlier_suffers_most() -> None:
    engine = _engine()
    pixels = noise(8, engine.card.preprocess)
    victim = engine.model.blocks[3].project.conv
    usual = layer_noise(engine.model, engine.card, Calibration(pixels))
    with torch.no_grad():
        victim.weight[:, 0] *= 1e4  # one input channel swamps all others in every output
        victim.weight[:, 0] *= torch.linspace(-1, 1, len(victim.weight)).view(-1, 1, 1)
    engine.model.blocks[3].project.norm.running_var *= 1e8
    changed = layer_noise(engine.model, engine.card, Calibration(pixels))
    assert set(usual) == set(changed)
    assert list(usual.values()) == sorted(usual.values())
    assert 15 < min(usual.values()) < max(usual.values()) < 60
    torch.testing.assert_close(usual["stem.conv"], changed["stem.conv"])


def test_no_readable_photograph_is_an_error() -> None:
    with pytest.raises(UserError, match="--data"):
        read_calibration(_engine().card.preprocess, [])
