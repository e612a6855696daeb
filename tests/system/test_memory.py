"""A process's own memory: that of who started it is not counted, what it held itself is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mobilenets.arch import build
from mobilenets.benchmarking.latency import measure
from mobilenets.benchmarking.worker import Task
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.system.memory import peak_mb

pytestmark = pytest.mark.skipif(sys.platform not in ("linux", "darwin", "win32"), reason="is not told there")


@pytest.fixture
def gigabyte() -> Iterator[None]:
    """This process holds 1 GB, every page of it touched."""
    held = np.ones(10**9, np.uint8)
    yield
    assert held[-1] == 1  # held until here


def _printed(code: str) -> str:
    """What a process of its own prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.usefixtures("gigabyte")
def test_a_process_started_by_a_large_one_is_not_large() -> None:
    own = peak_mb()
    assert own is not None
    assert own > 1000
    assert 1 < float(_printed("from mobilenets.system.memory import peak_mb; print(peak_mb())")) < 200


@pytest.mark.usefixtures("gigabyte")
def test_a_row_of_bench_has_the_memory_of_its_own_process(tmp_path: Path) -> None:
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2)).eval()
    file = tmp_path / "model.onnx"
    export_onnx(model, ModelCard("small", model.net, ("a", "b"), Preprocess(size=32)), file)
    (row,) = measure([Task("small", file, "onnxruntime", 1, 1)])
    assert row.peak_mb is not None
    assert 20 < row.peak_mb < 800


HELD_AND_GIVEN_BACK = """
import numpy as np
from mobilenets.system.memory import peak_mb

before = peak_mb()
np.ones(300 * 10**6, np.uint8)  # given back at once: the peak stays
print(before, peak_mb())
"""


def test_the_peak_is_what_was_held_not_what_is_held() -> None:
    before, after = map(float, _printed(HELD_AND_GIVEN_BACK).split())
    assert after > before + 250
