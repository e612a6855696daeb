"""Every target: the file gives the network's answers in its own runtime, and explains itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenets.errors import UserError
from mobilenets.exporting.job import UNVERIFIED, export
from mobilenets.exporting.targets.table import TARGETS, exporter, with_full_input
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import features_engine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.opening import load
from mobilenets.runtime.registry import open_engine
from mobilenets.searching.pruning.groups import channel_groups, with_channels
from mobilenets.searching.pruning.importance import keep_important, slice_channels
from small import card_of, network, noise

EXTRA = {"executorch", "litert", "coreml", "ncnn"}  # their converters are not in the test install
NETWORK = {"web"}  # fetches its runtime, 33 MB
ALL = [pytest.param(t, marks=pytest.mark.exports) if t in EXTRA else t for t in TARGETS if t not in NETWORK]
RUN_HERE = [t for t in ALL if getattr(t, "values", (t,))[0] not in ("coreml", "torch")]
FIELDS = {
    "verdict", "target", "precision", "input", "ran", "n", "top1_agreement", "max_probability_difference",
    "accuracy_before", "accuracy_after", "latency_ms", "bytes", "runtime", "half", "quality",
}  # fmt: skip


def _engine(**options: object) -> TorchEngine:
    model = network(**options)
    return TorchEngine(model, card_of(model))


@pytest.mark.parametrize("target", ALL)
def test_an_exported_file_is_verified_in_its_own_runtime(target: str, tmp_path: Path) -> None:
    path, result = export(_engine(), target, exporter(target), tmp_path / "out", [])
    assert path.exists()
    assert result.agrees
    written = json.loads((tmp_path / "out" / "verify.json").read_text(encoding="utf-8"))
    assert set(written) == FIELDS
    assert written["ran"] == (target != "coreml")
    assert written["verdict"] == ("passed" if written["ran"] else "unknown")
    assert written["runtime"] == TARGETS[target].engine
    if written["ran"]:
        assert written["top1_agreement"] == 1
        assert written["max_probability_difference"] < 1e-4
        assert written["latency_ms"] > 0
    assert 200_000 < written["bytes"] < 20_000_000


@pytest.mark.parametrize("target", RUN_HERE)
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small_minimal"])
def test_the_file_alone_predicts_as_the_network_does(target: str, name: str, tmp_path: Path) -> None:
    engine = _engine(name=name)
    path, _ = export(engine, target, exporter(target), tmp_path / "out", [])
    pixels = noise(3, engine.card.preprocess)
    loaded = load(path, TARGETS[target].engine or "auto")
    assert loaded.card == engine.card
    np.testing.assert_allclose(loaded.probabilities(pixels), engine(pixels), atol=1e-4)


@pytest.mark.exports
@pytest.mark.parametrize("target", [t for t in TARGETS if t not in NETWORK])
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_a_network_that_a_search_has_cut_is_exported_like_any_other(target: str, name: str, tmp_path: Path) -> None:
    """Its widths are in no table's proportions: of every third set of channels a quarter is left."""
    whole = network(name, width=1.0)
    net, sizes = whole.net, {}
    for group, channels in list(channel_groups(net).sizes.items())[::3]:
        left = max(8, channels // 4 // 8 * 8)
        narrowed = with_channels(net, {group: left})
        if narrowed is not None:
            net, sizes = narrowed, {**sizes, group: left}
    scores = {group: torch.arange(channels) for group, channels in channel_groups(whole.net).sizes.items()}
    model = slice_channels(whole, keep_important(scores, sizes)).eval()
    assert model.net == net != whole.net
    engine = TorchEngine(model, card_of(model, size=72))
    path, result = export(engine, target, exporter(target), tmp_path / "out", [])
    assert result.ran == (target != "coreml")
    assert result.agrees, result
    if target not in ("coreml", "torch"):
        assert load(path, TARGETS[target].engine or "auto").card == engine.card


@pytest.mark.parametrize("target", RUN_HERE)
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small"])
def test_every_file_gives_the_features_of_the_network_too(target: str, name: str, tmp_path: Path) -> None:
    engine = _engine(name=name)
    path, _ = export(engine, target, exporter(target), tmp_path / "out", [])
    pixels = noise(3, engine.card.preprocess)
    outputs, seen = features_engine(open_engine(path, str(TARGETS[target].engine))).with_features(pixels)
    wanted_outputs, wanted = engine.with_features(pixels)
    np.testing.assert_allclose(outputs, wanted_outputs, atol=1e-4)
    for ours, theirs in zip(seen, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    net = engine.card.net
    assert [part.shape for part in seen] == [(3, net.head_width), (3, 1), (3, net.earlier_map.channels)]


@pytest.mark.exports
def test_a_core_ml_package_says_class_probabilities_and_features(tmp_path: Path) -> None:
    import coremltools

    engine = _engine(name="mobilenet_v3_small")
    path, result = export(engine, "coreml", exporter("coreml"), tmp_path / "out", [])
    described = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
    assert [end.name for end in described.output] == ["classLabel", "classLabel_probs", "features", "length", "means"]
    assert list(described.output[2].type.multiArrayType.shape) == [1, engine.card.net.head_width]
    assert result.bytes > 4 * sum(p.numel() for p in engine.model.parameters())  # the weights are in it


@pytest.mark.parametrize("target", RUN_HERE)
def test_a_file_cut_off_is_refused_by_name(target: str, tmp_path: Path) -> None:
    path, _ = export(_engine(blocks=4), target, exporter(target), tmp_path / "out", [])
    for file in (path, path.with_suffix(".bin")):
        if file.exists():
            whole = file.read_bytes()
            file.write_bytes(whole[: len(whole) // 2])
            with pytest.raises(UserError, match=path.name.split(".")[0]):
                load(path, TARGETS[target].engine or "auto")
            file.write_bytes(whole)


@pytest.mark.parametrize("target", ["onnx", "openvino"])
@pytest.mark.parametrize(("interpolation", "fit"), [("bilinear", "crop"), ("bicubic", "pad"), ("bilinear", "squash")])
def test_with_full_input_raw_pixels_of_any_size_give_the_same(
    target: str, interpolation: str, fit: str, tmp_path: Path
) -> None:
    model = network(blocks=4)
    engine = TorchEngine(model, card_of(model, size=48, interpolation=interpolation, fit=fit))
    path, result = export(engine, target, with_full_input(target, exporter(target)), tmp_path / "out", [])
    assert (result.input, result.top1_agreement) == ("full", 1)
    whole = load(path, TARGETS[target].engine or "auto")
    rng = np.random.default_rng(0)
    for width, height in [(300, 200), (48, 48), (71, 203), (40, 30), (320, 240), (501, 64)]:
        coarse = Image.fromarray(rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        expected = engine(engine.card.preprocess.pixels(image)[None])[0]
        np.testing.assert_allclose(whole.probabilities(np.asarray(image)[None])[0], expected, atol=0.01)
        top = dict(whole.predict(image).top)
        np.testing.assert_allclose([top[name] for name in engine.card.classes], expected, atol=0.01)


def test_full_input_is_refused_where_there_is_none() -> None:
    with pytest.raises(UserError, match="onnx and openvino"):
        with_full_input("litert", exporter("onnx"))


def test_a_file_of_another_network_is_kept_as_unverified(tmp_path: Path) -> None:
    other = network("mobilenet_v2", blocks=4)

    def write(_: MobileNet, card: ModelCard, path: Path) -> None:
        exporter("onnx")(other, card_of(other), path)

    path, result = export(_engine(blocks=4), "onnx", write, tmp_path / "out", [])
    assert not result.agrees
    assert json.loads((tmp_path / "out" / "verify.json").read_text(encoding="utf-8"))["verdict"] == "wrong"
    assert path.name == f"model.onnx{UNVERIFIED}"
    assert path.exists()
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(_: MobileNet, __: ModelCard, path: Path) -> None:
        path.write_bytes(b"half a file")
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        export(_engine(), "onnx", write, tmp_path / "exports" / "onnx", [])
    assert not any(tmp_path.iterdir())


def test_an_existing_export_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="exists already"):
        export(_engine(), "onnx", exporter("onnx"), tmp_path / "out", [])


@pytest.mark.exports
def test_the_tflite_file_carries_labels_and_metadata(tmp_path: Path) -> None:
    import zipfile

    from ai_edge_litert import schema_py_generated as schema

    engine = _engine()
    path, _ = export(engine, "litert", exporter("litert"), tmp_path / "out", [])
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(engine.card.classes)
        assert ModelCard.from_json(archive.read("card.json").decode()) == engine.card
    tree = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (entry,) = [m for m in tree.metadata if m.name == b"TFLITE_METADATA"]
    content = bytes(tree.buffers[entry.buffer].data)
    assert content[4:8] == b"M001"
    assert b"labels.txt" in content
    assert b"probabilities" in content
    assert b"features" in content  # readers want one description for each output
