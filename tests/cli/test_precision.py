"""`--precision` of predict, evaluate, serve and bench: what it does, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Cli, is_one_line_error, write_photos
from mobilenets.cli.main import main
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.nn.io import write_network
from mobilenets.runtime.registry import find_half
from small import CLASSES, card_of, learned

needs_half = pytest.mark.skipif(
    find_half("openvino") is None, reason="this processor computes in neither bfloat16 nor float16"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    model = learned("mobilenet_v2", 32, 5)
    export_onnx(model, card_of(model), folder / "model.onnx")
    write_network(folder / "model.safetensors", model, card_of(model))
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", CLASSES, 1) / CLASSES[0] / "000.jpg"


@needs_half
def test_predict_and_evaluate_compute_in_half_precision(cli: Cli, run: Path, photo: Path) -> None:
    found = cli("predict", run, photo, "--precision", "half", "--format", "jsonl")
    exact = cli("predict", run, photo, "--engine", "openvino", "--format", "jsonl")
    assert (found.returncode, found.stderr, exact.returncode) == (0, "", 0)
    one, other = (json.loads(result.stdout)["probability"] for result in (found, exact))
    assert one == pytest.approx(other, abs=0.1)
    assert one != other
    result = cli("evaluate", run, photo.parents[1], "--precision", "half", "--json")
    assert result.returncode == 0
    assert "accuracy" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "RUN", "PHOTO", "--precision", "int4"], "--precision: 'int4' is not one of float32, half, auto"),
        (["predict", "RUN", "PHOTO", "--precision", "half", "--engine", "onnxruntime"], "use --engine openvino"),
        (["predict", "RUN/model.safetensors", "PHOTO", "--precision", "half"], "is for .onnx and .xml, in openvino"),
        (["predict", "mobilenet_v2", "PHOTO", "--precision", "half"], "export mobilenet_v2 --to openvino"),
        (["predict", "RUN", "PHOTO", "--ray", "--out", "OUT", "--precision", "half"], "workers run onnxruntime"),
        (["evaluate", "RUN", "PHOTOS", "--precision", "half", "--engine", "torch"], "use --engine openvino"),
        (["serve", "RUN", "--port", "0", "--precision", "half", "--engine", "onnxruntime"], "use --engine openvino"),
        (["bench", "RUN", "--precision", "half", "--engine", "onnxruntime"], "nothing there that onnxruntime can run"),
        (["bench", "--family", "--precision", "half"], "--family: measures in float32; leave --precision out"),
    ],
)
def test_what_has_no_half_precision_is_told_in_one_line(
    cli: Cli, run: Path, photo: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {
        "RUN": run, "RUN/model.safetensors": run / "model.safetensors", "PHOTO": photo, "PHOTOS": photo.parents[1],
        "OUT": tmp_path / "out",
    }  # fmt: skip
    assert is_one_line_error(cli(*(places.get(word, word) for word in arguments)), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_processor_that_is_held_back_is_told_in_one_line(cli: Cli, run: Path, photo: Path, command: str) -> None:
    place = photo if command == "predict" else photo.parents[1]
    result = cli(command, run, place, "--precision", "half", env={"ONEDNN_MAX_CPU_ISA": "AVX2"})
    assert is_one_line_error(result, "ONEDNN_MAX_CPU_ISA", "unset it, or leave --precision out")


@needs_half
def test_bench_measures_half_precision_by_the_real_clock(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", str(run / "model.onnx"), "--precision", "half", "--threads", "1", "--json"]
    assert main(arguments) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["engine"], row["precision"]) == ("openvino", find_half("openvino"))
    assert row["quiet_ms"] > 0
