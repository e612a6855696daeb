"""What engines print as they start is dropped; nothing else is."""

import os
import subprocess
import sys
import warnings

import pytest

from mobilenets.system import quiet
from mobilenets.system.quiet import no_output


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of the command line."""
    monkeypatch.setattr(quiet, "_ours", True)


def test_in_a_program_that_uses_this_package_nothing_is_dropped(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "_ours", False)
    with no_output():
        os.write(2, b"another thread's line\n")
    assert capfd.readouterr().err == "another thread's line\n"


@pytest.mark.usefixtures("ours")
def test_what_a_library_in_c_writes_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with no_output():
        os.write(1, b"INFO: found a processor\n")
        os.write(2, b"INFO: found a processor\n")
        warnings.warn("experimental", stacklevel=1)
    print("after", file=sys.stderr)
    assert capfd.readouterr() == ("before\n", "after\n")


@pytest.mark.usefixtures("ours")
def test_an_exception_passes_and_the_outputs_are_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no model"), no_output():
        raise ValueError("no model")
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_a_program_started_without_outputs_is_no_error() -> None:
    script = (
        "import os; from mobilenets.system.quiet import no_output, own_outputs\n"
        "own_outputs(); os.close(1); os.close(2)\nwith no_output(): pass"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=300).returncode == 0
