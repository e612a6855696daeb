"""`mobilenets export` and what cannot be done: one line on standard error, exit code 2, and nothing left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Cli, unprivileged
from mobilenets.model_card import write_safetensors
from small import CLASSES, card_of, network


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a small network, as a run has them."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    model = network()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_safetensors(folder / "model.safetensors", tensors, card_of(model))
    return folder


def everything(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def expect_refusal(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert message in result.stderr
    assert result.stderr.startswith("mobilenets export: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "--to", "toaster"], "--to: 'toaster' is not one of onnx, openvino"),
        (["EMPTY", "--to", "onnx"], "holds no model.safetensors, so there are no weights"),
        (["TEXT", "--to", "onnx"], "only a network can be exported"),
        (["NO_TENSORS", "--to", "onnx"], "not a .safetensors file, or a damaged one"),
        (["CUT", "--to", "onnx"], "or a damaged one"),
        (["RUN", "--to", "onnx", "--int8", "--data", "EMPTY"], "no images found"),
        (["RUN", "--to", "onnx", "--int8", "--data", "MISSING"], "missing: "),
        (["RUN", "--to", "onnx", "--int8"], "no training photo to calibrate with"),
        (["RUN", "--to", "onnx", "--int8", "--data", "UNREADABLE"], "can be read"),
        (["RUN", "--to", "onnx", "--data", "UNREADABLE"], "can be read"),
        (["RUN", "--to", "onnx", "--out", "EMPTY"], "exists already; choose another --out"),
        (["RUN", "--to", "onnx", "--out", "TEXT/onnx"], "is a file; choose another --out"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(
    cli: Cli, run: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "none.safetensors").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    whole = (run / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").mkdir()
    for name in CLASSES:
        (tmp_path / "unreadable" / name).mkdir(parents=True)
        for i in range(5):
            (tmp_path / "unreadable" / name / f"{i}.jpg").write_bytes(b"no photo")
    places = {
        "RUN": run, "EMPTY": tmp_path / "empty", "TEXT": tmp_path / "notes.txt", "MISSING": tmp_path / "missing",
        "NO_TENSORS": tmp_path / "none.safetensors", "CUT": tmp_path / "cut.safetensors",
        "UNREADABLE": tmp_path / "unreadable", "TEXT/onnx": tmp_path / "notes.txt" / "onnx",
    }  # fmt: skip
    before = everything(tmp_path), everything(run)
    result = cli("export", *(places.get(a, a) for a in arguments))
    lines = result.stderr.splitlines()
    result.stderr = f"{lines[-1]}\n" if "UNREADABLE" in arguments and lines else result.stderr  # progress stands before
    expect_refusal(result, message)
    assert (everything(tmp_path), everything(run)) == before


def test_a_folder_that_cannot_be_written_is_told_before_the_work(run: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o500)
    command = [*unprivileged(), sys.executable, "-m", "mobilenets", "export", run, "--to", "onnx"]
    out = tmp_path / "kept" / "a" / "onnx"
    result = subprocess.run([*command, "--out", out], capture_output=True, text=True, timeout=300)
    expect_refusal(result, f"the folder {tmp_path / 'kept'} cannot be written; choose another --out")
    assert not any((tmp_path / "kept").iterdir())
