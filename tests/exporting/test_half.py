"""`--half`: half the size, nearly the same answers, and what it costs is told."""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from command import run_command
from mobilenets.cli.main import main
from mobilenets.errors import UserError
from mobilenets.exporting.job import export
from mobilenets.exporting.targets.table import HALF_TARGETS, TARGETS, Writers, exporter, half_exporter, with_full_input
from mobilenets.exporting.verify import FLOAT16, Verification, losses, table
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.opening import load
from mobilenets.runtime.registry import find_half, open_engine
from small import card_of, coloured, learned, network, noise

INSTALLED = {"onnx", "openvino"}  # the other converters are not in the test install
ALL = [
    pytest.param(t, marks=() if t in INSTALLED else pytest.mark.exports) for t in HALF_TARGETS if t != "web"
]  # `web` fetches its runtime


def _engine() -> TorchEngine:
    model = learned("mobilenet_v2", 32, 7)
    return TorchEngine(model, card_of(model))


@pytest.mark.parametrize("target", ALL)
def test_a_file_is_half_as_large_and_gives_nearly_the_same_answers(target: str, tmp_path: Path) -> None:
    model = network("mobilenet_v2")  # large enough for its weights to outweigh names and metadata
    engine = TorchEngine(model, card_of(model))
    _, whole = export(engine, target, exporter(target), tmp_path / "float", [])
    path, small = export(engine, target, half_exporter(target), tmp_path / "half", [], FLOAT16)
    assert small.bytes < 0.65 * whole.bytes
    assert small.precision == FLOAT16
    if target == "coreml":
        assert not small.ran
        return
    assert small.top1_agreement == 1
    pixels = noise(8, engine.card.preprocess)
    found, exact = open_engine(path, TARGETS[target].engine or "")(pixels), engine(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=0.01)
    assert np.abs(found - exact).max() > 1e-6  # rounding leaves a trace: it is no float32 file under another name


def test_the_onnx_file_stores_float16_takes_uint8_gives_float32_and_keeps_its_card(tmp_path: Path) -> None:
    engine = _engine()
    half_exporter("onnx")(engine.model, engine.card, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    stored = {tuple(i.dims): i.data_type for i in graph.initializer if len(i.dims) > 1}
    assert set(stored.values()) == {onnx.TensorProto.FLOAT16}
    ends = [end.type.tensor_type.elem_type for end in (*graph.input, *graph.output)]
    assert ends == [onnx.TensorProto.UINT8, *4 * [onnx.TensorProto.FLOAT]]
    for name in ("onnxruntime", "openvino"):
        assert open_engine(tmp_path / "model.onnx", name).card == engine.card


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_whole_pictures_go_in_with_half_the_weights_too(target: str, tmp_path: Path) -> None:
    model = network("mobilenet_v2")
    engine = TorchEngine(model, card_of(model))
    write = with_full_input(target, half_exporter(target))
    _, cropped = export(engine, target, half_exporter(target), tmp_path / "cropped", [], FLOAT16)
    _, result = export(engine, target, write, tmp_path / "full", [], FLOAT16)
    assert (result.input, result.top1_agreement) == ("full", 1)
    assert result.bytes < 1.2 * cropped.bytes


@pytest.mark.skipif(find_half("openvino") is None, reason="this processor computes in neither bfloat16 nor float16")
def test_an_openvino_file_is_also_computed_in_half_precision_where_the_processor_has_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    photos = coloured(tmp_path / "photos", 12, 32)
    _, result = export(_engine(), "openvino", half_exporter("openvino"), tmp_path / "half", photos, FLOAT16)
    assert result.half is not None
    assert (result.half.precision, result.half.n) == (find_half("openvino"), 12)
    assert result.half.accuracy_after == result.accuracy_before == 1
    assert result.half.max_probability_difference != result.max_probability_difference
    written = json.loads((tmp_path / "half" / "verify.json").read_text(encoding="utf-8"))
    assert written["half"]["precision"] == result.half.precision
    titles = [line for line in table(result) if not line.startswith(" ")]
    assert titles == ["openvino float16", f"openvino float16, computed in {result.half.precision}"]


def test_where_the_processor_has_no_half_precision_the_table_says_that_it_was_not_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobilenets.runtime.engines.openvino._CAPABILITIES", {})  # as if it named neither
    _, result = export(_engine(), "openvino", half_exporter("openvino"), tmp_path / "half", [], FLOAT16)
    assert result.half is None
    assert table(result)[-1] == "openvino float16: not computed in half precision here (this processor has none)"


def test_weights_beyond_float16_are_refused_by_name(tmp_path: Path) -> None:
    model = network("mobilenet_v2", blocks=4)
    model.classifier.weight.data[0, 0] = 1e5
    with pytest.raises(UserError, match=r"weights of classifier\.weight reach 1e\+05, float16 ends at 65504"):
        half_exporter("onnx")(model, card_of(model), tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())


RESULT = Verification("onnx", FLOAT16, "cropped", True, 100, 0.97, 0.1, 0.90, 0.88, 1.0, 1000)


@pytest.mark.parametrize(
    ("result", "verdict", "told"),
    [
        (RESULT, "loss", ["2.0 points less accurate than the network, on 100 photos"]),
        (replace(RESULT, accuracy_after=0.89), "passed", []),  # a point, not more
        (replace(RESULT, accuracy_after=0.91), "passed", []),
        (replace(RESULT, precision="int8"), "loss", ["2.0 points less accurate than the network, on 100 photos"]),
        (
            replace(RESULT, accuracy_before=None, accuracy_after=None),
            "unknown",
            ["another class than the network's for 3.0% of the photos"],
        ),
        (
            replace(RESULT, accuracy_after=0.90, half=replace(RESULT, precision="bfloat16", accuracy_after=0.85)),
            "loss",
            ["computed in bfloat16, 5.0 points less accurate than the network, on 100 photos"],
        ),
        (Verification("coreml", FLOAT16, "cropped", False, 0, None, None, None, None, None, 1000), "unknown", []),
    ],
)
def test_what_costs_more_than_a_point_is_told(result: Verification, verdict: str, told: list[str]) -> None:
    assert (result.verdict, losses(result)) == (verdict, told)


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    engine = _engine()
    write_network(folder / "model.safetensors", engine.model, engine.card)
    return folder


def test_an_export_in_half_lies_beside_the_others_with_its_verification(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--to", "onnx", "--half"]) == 0
    folder = run / "exports" / "onnx-half"
    result = json.loads((folder / "verify.json").read_text(encoding="utf-8"))
    assert (result["precision"], result["top1_agreement"]) == (FLOAT16, 1)
    out = capsys.readouterr().out
    assert out.startswith("onnx float16\n")
    assert "same class         1.0000" in out
    assert "largest difference" in out


@pytest.fixture
def turned_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written in half gives the probabilities of the two classes the wrong way round."""

    def write(model: MobileNet, card: ModelCard, path: Path) -> None:
        wrong = copy.deepcopy(model)
        wrong.classifier.weight.data *= -1
        wrong.classifier.bias.data *= -1
        half(wrong, card, path)

    half = half_exporter("onnx")
    monkeypatch.setattr("mobilenets.exporting.targets.table._writers", lambda target: Writers(half, half=write))


@pytest.fixture
def labelled(run: Path, tmp_path: Path) -> Path:
    """Photos labelled with what the network says of them, so that it is always right; the rest validates."""
    model, rows = load(run / "model.safetensors"), []
    rng = np.random.default_rng(0)
    for i in range(16):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 16 * i + 16, (40, 40, 3)).astype(np.uint8)).save(path)
        rows.append((path.name, model.predict(path).label))
    with (tmp_path / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return tmp_path / "photos.csv"


@pytest.mark.usefixtures("turned_around")
def test_what_other_answers_cost_is_not_known_without_labels_and_no_reason_to_fail(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), "--to", "onnx", "--half"]) == 0
    assert "another class than the network's for " in capsys.readouterr().err
    folder = run / "exports" / "onnx-half"
    assert json.loads((folder / "verify.json").read_text(encoding="utf-8"))["verdict"] == "unknown"


@pytest.mark.usefixtures("turned_around")
def test_a_file_that_loses_more_than_a_point_says_so_last_and_fails_unless_that_was_asked_for(
    run: Path, labelled: Path, tmp_path: Path
) -> None:
    command = ["export", str(run), "--to", "onnx", "--half", "--data", str(labelled)]
    fails, allowed = (
        run_command(more, tmp_path, {}, None) for more in (command, [*command, "--allow-loss", "--out", "allowed"])
    )
    folder = run / "exports" / "onnx-half"
    assert (fails.returncode, allowed.returncode) == (1, 0)
    written = json.loads((folder / "verify.json").read_text(encoding="utf-8"))
    loss = f"100.0 points less accurate than the network, on {written['n']} photos"
    last = f"mobilenets export: {folder / 'model.onnx'}: {loss}"
    assert fails.stderr.splitlines()[-1] == f"{last}; without --half nothing is lost, --allow-loss accepts it"
    assert allowed.stderr.splitlines()[-1].endswith(loss)
    assert json.loads((folder / "verify.json").read_text(encoding="utf-8"))["verdict"] == "loss"
    assert load(folder / "model.onnx").card == load(run).card


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "onnx", "--half", "--int8"], "argument --int8: not allowed with argument --half"),
        (["--to", "executorch", "--half"], "--half: not offered for executorch; it is for onnx, openvino, litert"),
        (["--to", "torch", "--half"], "--half: not offered for torch"),
        (["--to", "toaster", "--half"], "--to: 'toaster' is not one of onnx"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    run: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["export", str(run), *options])
    except SystemExit as stop:  # argparse
        code = int(str(stop.code))
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (run / "exports").exists()
