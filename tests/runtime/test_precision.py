"""`precision`: float32 unless asked, half where engine and processor have it, and never without saying so."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import mobilenets as mn
from mobilenets.errors import UserError
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.nn.io import write_network
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.base import HALF
from mobilenets.runtime.engines import openvino as openvino_module
from mobilenets.runtime.engines.openvino import OpenVinoEngine
from mobilenets.runtime.registry import find_half
from small import card_of, expected, learned, noise

needs_half = pytest.mark.skipif(
    find_half("openvino") is None, reason="this processor computes in neither bfloat16 nor float16"
)
HELD_BACK_BY = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
PIXELS = noise(8, Preprocess(size=32))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model = learned("mobilenet_v2", 32, 5)
    export_onnx(model, card_of(model), folder / "model.onnx")
    write_network(folder / "model.safetensors", model, card_of(model))
    return folder


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    model = learned("mobilenet_v2", 32, 5)
    return expected(model, card_of(model).preprocess, PIXELS)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "torch"])
def test_every_engine_computes_in_float32_unless_asked(run: Path, rows: np.ndarray, engine: str) -> None:
    np.testing.assert_allclose(mn.load(run, engine).probabilities(PIXELS), rows, atol=1e-4)


@needs_half
def test_half_gives_nearly_the_same_and_leaves_a_trace(run: Path, rows: np.ndarray) -> None:
    found = mn.load(run, precision="half").probabilities(PIXELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows, atol=0.1)
    assert np.abs(found - rows).max() > 1e-5


@needs_half
def test_threads_and_pickles_compute_in_half_too(run: Path) -> None:
    classifier = mn.load(run, precision="half", threads=2)
    wanted = classifier.probabilities(PIXELS)
    assert np.array_equal(pickle.loads(pickle.dumps(classifier)).probabilities(PIXELS), wanted)
    np.testing.assert_allclose(classifier._concurrent(PIXELS), wanted, atol=0.01)
    exact = mn.load(run, "openvino", threads=2)
    assert np.abs(classifier._concurrent(PIXELS) - exact._concurrent(PIXELS)).max() > 1e-5


@needs_half
def test_a_forked_process_says_that_it_computes_in_float32(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    OpenVinoEngine(run / "model.onnx", precision=HALF).after_fork()
    assert capfd.readouterr().err.endswith("onnxruntime does, in float32\n")


@pytest.mark.parametrize(
    ("file", "engine", "message"),
    [
        ("", "onnxruntime", "onnxruntime has no half precision here; use --engine openvino, or leave --precision out"),
        ("", "torch", "torch has no half precision here"),
        ("model.safetensors", "auto", "half precision is for .onnx and .xml, in openvino; leave --precision out"),
    ],
)
def test_what_has_no_half_precision_refuses_it(run: Path, file: str, engine: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        mn.load(run / file, engine, precision="half")


def test_a_processor_without_it_refuses_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_module, "_CAPABILITIES", {})  # as if it named neither
    for name in HELD_BACK_BY:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"this processor has no half precision .*; leave --precision out"):
        mn.load(run, precision="half")
    assert find_half("openvino") is None


@pytest.mark.parametrize("name", HELD_BACK_BY)
def test_a_processor_that_is_held_back_refuses_it_and_says_by_what(
    run: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in HELD_BACK_BY:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "AVX2")
    with pytest.raises(UserError, match=f"{name} keeps half precision from the processor; unset it"):
        mn.load(run, precision="half")


def test_where_there_is_no_half_precision_auto_is_float32(
    run: Path, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openvino_module, "_CAPABILITIES", {})
    for engine in ("openvino", "torch"):
        found = mn.load(run, engine, precision="auto").probabilities(PIXELS)
        np.testing.assert_allclose(found, rows, atol=1e-4)
    assert capfd.readouterr().err == ""


def test_a_precision_that_does_not_exist_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match="precision: 'int4' is not one of float32, half, auto"):
        mn.load(run, precision="int4")
