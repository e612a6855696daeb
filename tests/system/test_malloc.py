"""Freed memory stays in the process, so that the next step need not have it cleared again."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from mobilenets.system.malloc import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def step():
    np.ones((16, 1024, 1024), np.float32) * 2  # two blocks of 64 MiB, freed: malloc's, as torch's are

for _ in range(8):  # until malloc has what fits
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), how], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_the_pages_of_a_step_are_those_of_the_step_before() -> None:
    # The least of three processes: now and then malloc has not settled after the eighth step.
    assert min(_faults("keep") for _ in range(3)) * 2 < _faults("default")
