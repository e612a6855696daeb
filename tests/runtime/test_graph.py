"""A graph in memory: exactly, or in the fastest engine at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mobilenets.exporting.targets.onnx import onnx_bytes
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import FromPixels
from mobilenets.runtime import graph as graph_module
from mobilenets.runtime.graph import Run, run_exactly, run_fast
from small import network

PREPROCESS = Preprocess(size=32)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
TOLERANCE = 0.05  # of the outputs' root mean square: bfloat16 has three digits, and a network many layers


@pytest.fixture(scope="module")
def graph() -> bytes:
    return onnx_bytes(FromPixels(network(), PREPROCESS).eval(), PREPROCESS, "logits")


@torch.inference_mode()
def test_exactly_is_what_torch_computes(graph: bytes) -> None:
    expected = network()(torch.from_numpy(PREPROCESS.normalize(PIXELS))).numpy()
    np.testing.assert_allclose(run_exactly(graph, 1)(PIXELS), expected, rtol=1e-4, atol=1e-4)


def test_fast_is_the_same_up_to_its_tolerance_and_every_time(graph: bytes) -> None:
    exact, run = run_exactly(graph, 1)(PIXELS), run_fast(graph, 1)
    fast = run(PIXELS)
    assert fast.dtype == np.float32
    assert np.sqrt(np.square(fast - exact).mean()) <= TOLERANCE * np.sqrt(np.square(exact).mean())
    run(PIXELS[::-1].copy())  # what was returned before stays what it was
    assert np.array_equal(fast, run(PIXELS))
    assert run(PIXELS[:1]).shape == exact[:1].shape


@pytest.mark.parametrize("run", [run_exactly, run_fast])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_threads_that_share_a_batch_give_the_rows_of_one_in_their_order(
    graph: bytes, run: Callable[[bytes, int], Run], count: int
) -> None:
    pixels = PIXELS[:count]
    alone, shared = run(graph, 1), run(graph, 2)
    assert np.array_equal(shared(pixels), alone(pixels))
    assert np.array_equal(shared(pixels), shared(pixels))


def test_without_openvino_fast_is_exact(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "find_spec", lambda name: None)
    assert np.array_equal(run_fast(graph, 1)(PIXELS), run_exactly(graph, 1)(PIXELS))


@pytest.mark.parametrize("instructions", ["SSE41", "AVX2"])
def test_fast_runs_on_a_processor_that_is_held_to_older_instructions(
    graph: bytes, tmp_path: Path, instructions: str
) -> None:
    """OpenVINO crashed there, where the processor itself has bfloat16."""
    (tmp_path / "graph.onnx").write_bytes(graph)
    code = (
        "import sys, numpy as np; from pathlib import Path; from mobilenets.runtime.graph import run_fast\n"
        "run = run_fast(Path(sys.argv[1]).read_bytes(), 1)\n"
        "print(run(np.zeros((8, 32, 32, 3), np.uint8)).shape)"
    )
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions}
    command = [sys.executable, "-c", code, str(tmp_path / "graph.onnx")]
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, "(8, 3)"), result.stderr
