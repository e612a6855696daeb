"""OpenVINO's first arrays may come from several threads at the same time, as those of a training do."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What a thread may do before another one has its turn is made as little as can be: without care in the engine's module
# one in five of these processes waited without end.
SCRIPT = """
import sys, threading
import numpy as np
from mobilenets.runtime.engines.openvino import compile_model
import openvino
from openvino import opset13
value = opset13.parameter([-1, 3], np.float32)
compiled = openvino.compile_model(openvino.Model([opset13.relu(value)], [value]), "CPU")
sys.setswitchinterval(1e-6)
requests, both = [compiled.create_infer_request() for _ in range(2)], threading.Barrier(2)
def work(request):
    both.wait()
    request.infer([np.ones((1, 3), np.float32)])
threads = [threading.Thread(target=work, args=(request,)) for request in requests]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.parametrize("time", range(8))
def test_two_threads_may_begin_together(time: int) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], timeout=120, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
