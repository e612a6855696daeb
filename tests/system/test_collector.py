"""The collector of cycles is off while modules are imported, and as it was before from then on."""

from __future__ import annotations

import gc
import subprocess
import sys

from mobilenets.system.collector import nothing_collected

SCRIPT = """
import gc, sys
from mobilenets.cli.main import main

sys.argv[1:] = ["models"]
main({given})
print(gc.get_freeze_count() > 0, gc.isenabled())
"""


def test_nothing_is_collected_inside_and_the_setting_is_left_as_it_was() -> None:
    with nothing_collected():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with nothing_collected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def _told(given: str) -> str:
    script = [sys.executable, "-c", SCRIPT.format(given=given)]
    return subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


def test_a_process_that_ends_leaves_its_objects_and_a_program_that_calls_a_command_keeps_its_own() -> None:
    assert _told("") == "True True"
    assert _told("['models']") == "False True"
