"""The command line itself: what it says to words that it does not know."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenets.cli import COMMANDS
from mobilenets.cli.main import main
from mobilenets.cli.overview import DESCRIPTION


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train photos --epocs 3", "mobilenets train: unrecognized arguments: --epocs 3; did you mean --epochs?"),
        (
            "train photos --batchsize=3",
            "mobilenets train: unrecognized arguments: --batchsize=3; did you mean --batch-",
        ),
        ("predict runs/a b.jpg --tpo 3", "mobilenets predict: unrecognized arguments: --tpo"),
        ("cache --zebra", "mobilenets cache: unrecognized arguments: --zebra (see 'mobilenets cache --help')"),
        ("cache now", "mobilenets cache: unrecognized arguments: now (see 'mobilenets cache --help')"),
        ("--verbose cache", "mobilenets cache: unrecognized arguments: --verbose (see"),
        ("trian photos", "mobilenets: no command is called 'trian'; did you mean train? (see 'mobilenets --help')"),
        ("zebra", "mobilenets: no command is called 'zebra' (see 'mobilenets --help')"),
        ("", "mobilenets: the following arguments are required: COMMAND"),
        ("train photos --epochs x", "mobilenets train: argument --epochs: invalid int value: 'x' (see 'mobilenets tr"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_command_and_its_help(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    out, error = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert error.startswith(told)
    assert error.count("\n") == 1


def test_an_empty_argument_is_not_the_working_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["audit", ""])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("mobilenets: an argument is empty, as that of a shell's variable that")


@pytest.mark.parametrize("words", ["--help", "-h", "--hel", "--help predict"])
def test_help_is_what_argparse_would_print_in_80_columns(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    expected = argparse.ArgumentParser(prog="mobilenets", description=DESCRIPTION)
    expected.add_argument("--version", action="version", help="show program's version number and exit")
    commands = expected.add_subparsers(metavar="COMMAND", required=True)
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what)
    try:
        code = main(words.split())
    except SystemExit as stopped:  # argparse's way
        code = stopped.code
    assert (code, capsys.readouterr()) == (0, (expected.format_help(), ""))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_leads_nowhere_and_the_command_does_its_work(closed: str, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "mobilenets.cli.main", "cache"]
    result = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *run], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_paths_on_a_standard_input_that_is_closed_are_none(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "mobilenets.cli.main", "predict", "mobilenet_v2", "-"]
    result = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *run], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 2
    assert result.stderr == "mobilenets predict: -: no paths on standard input; write one a line\n"


def test_ctrl_c_while_a_library_is_loaded_is_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def cache() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error  # as onnxruntime's does

    monkeypatch.setattr("mobilenets.cli.cache.run", lambda args: cache())
    assert main(["cache"]) == 130
    assert capsys.readouterr().err == "mobilenets cache: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="says it in other words")
def test_where_nothing_can_be_kept_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "file" / "kept"))
    assert main(["fetch", "flowers", "--out", str(tmp_path / "flowers")]) == 2
    assert capsys.readouterr().err.endswith("; let MOBILENETS_HOME name a folder for what is kept\n")


def test_onnxruntime_sends_nothing_of_what_a_command_runs(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom mobilenets.cli.main import main\nmain(['cache'])\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert result.stdout.splitlines()[-1] == "1"
