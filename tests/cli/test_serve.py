"""`mobilenets serve` from the command line: what it refuses to begin."""

import os
from pathlib import Path

import pytest

from conftest import Cli, is_one_line_error
from serving.service import write_model


@pytest.fixture(autouse=True)
def never_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that did begin would not end."""
    monkeypatch.setattr("uvicorn.Server.run", lambda *_: pytest.fail("it began to serve"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--port", "70000"), ("70000",)),
        (("--host", "no such host"), ("no such host", "--host")),
        (("--host", "192.0.2.1"), ("192.0.2.1", "--host")),
        (("--timeout", "0"), ("--timeout", "0")),
        (("--max-mb", "nan"), ("--max-mb", "nan")),
        (("--max-waiting", "-1"), ("--max-waiting", "-1")),
        (("--allow-origin", "localhost:3000"), ("--allow-origin", "localhost:3000", "http://localhost:3000")),
        (("--allow-origin", "https://a.example/x/"), ("--allow-origin", "write it as https://a.example,")),
        (("--engine", "abacus", "--port", "0"), ("abacus",)),
        (("--label-to", "labels.csv", "--port", "0"), ("--label-to", "--label")),
        (("--label", "nothing.csv", "--port", "0"), ("nothing.csv", "label-next")),
        (("--among", "nowhere", "--port", "0"), ("nowhere", "no such file or folder")),
    ],
)
def test_wrong_options_are_told_in_one_line(
    cli: Cli, model: Path, options: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert is_one_line_error(cli("serve", model, *options), *names)


def test_a_missing_model_is_told_in_one_line(cli: Cli) -> None:
    assert is_one_line_error(cli("serve", "runs/none", "--port", "0"), "runs/none")


def test_a_damaged_model_is_told_in_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    assert is_one_line_error(cli("serve", tmp_path / "model.onnx", "--port", "0"), "model.onnx")


def test_without_the_extra_the_line_says_how_to_install_it(process: Cli, model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked" / "uvicorn.py"
    blocked.parent.mkdir()
    blocked.write_text("raise ModuleNotFoundError('No module named uvicorn', name='uvicorn')\n")
    path = os.pathsep.join(filter(None, [str(blocked.parent), os.environ.get("PYTHONPATH")]))
    result = process("serve", model, env={"PYTHONPATH": path})
    assert is_one_line_error(result, "uvicorn", "pip install 'mobilenets[serve]'")
