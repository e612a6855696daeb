"""`import mobilenets as mn`: what is there, what a wrong argument says, and what a program's process keeps."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import isfunction, signature
from pathlib import Path

import pytest

import mobilenets as mn
from mobilenets.cli import COMMANDS, module_of


def test_dir_shows_every_public_name() -> None:
    names = {name for name in dir(mn) if not name.startswith("_")}
    assert names == {*mn.__all__}
    assert {*map(module_of, COMMANDS), "Classifier", "Preprocess", "Run", "UserError", "create", "load"} <= names


def test_the_verbs_stay_the_verbs_whatever_is_imported() -> None:
    before = {name: getattr(mn, name) for name in map(module_of, COMMANDS)}
    root = Path(mn.__file__).parent
    for room in sorted(path.parent.name for path in root.glob("*/__init__.py")):
        import_module(f"mobilenets.{room}")
        assert room not in mn.__all__
    for name, verb in before.items():
        assert getattr(mn, name) is verb
        assert isfunction(verb)


@pytest.mark.parametrize(
    ("verb", "arguments", "told"),
    [
        ("train", {"data": "photos", "epoch": 3}, "train: no option is called 'epoch'; did you mean epochs?"),
        ("export", {"model": "run", "target": "onnx"}, "export: no option is called 'target'"),
        ("bench", {"model": "run", "engines": []}, "bench: no option is called 'engines'; did you mean engine?"),
        ("export", {"model": "run"}, "export: missing a required argument: 'to'"),
        ("show", {"model": "mobilenet_v9"}, "mobilenet_v9"),
        ("models", {"pattern": "mobilenet_v5"}, "mobilenet_v5: no published weights match"),
        ("serve", {"model": "run", "timeout": 0}, "--timeout: 0 must be above 0"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(verb: str, arguments: dict[str, object], told: str) -> None:
    with pytest.raises(mn.UserError) as error:
        getattr(mn, verb)(**arguments)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_use_is_an_error_of_its_kind() -> None:
    with pytest.raises(mn.UsageError):
        mn.train("photos", epoch=3)  # type: ignore[call-arg]
    with pytest.raises(mn.UsageError):
        mn.predict("run", "a.jpg", top=0)
    for kind in (mn.UsageError, mn.DataError, mn.ModelFileError, mn.DownloadError, mn.MissingExtraError):
        assert issubclass(kind, mn.UserError)


def test_an_editor_sees_the_signature() -> None:
    assert [*signature(mn.fetch).parameters] == ["what", "out", "val", "seed", "progress"]
    assert mn.fetch.__name__ == "fetch"
    assert "Parameters" in (mn.fetch.__doc__ or "")


SCRIPT = """
import logging, os, sys, warnings
filters, descriptors = list(warnings.filters), (os.fstat(1).st_ino, os.fstat(2).st_ino)
import mobilenets as mn
from mobilenets.preprocess.decode import Decoded
import torch
threads = torch.get_num_threads()
clf = mn.load(sys.argv[1], engine="torch", threads=3)
clf.predict(sys.argv[2])
assert torch.get_num_threads() == threads
assert [f for f in warnings.filters if f[0] == "ignore" and "PIL" in str(f[3])] == []
assert logging.getLogger("mobilenets").handlers == []
assert (os.fstat(1).st_ino, os.fstat(2).st_ino) == descriptors
print(clf.predict(sys.argv[2]).label)
"""


def test_a_program_keeps_its_filters_threads_and_outputs(tmp_path: Path) -> None:
    from conftest import write_photos
    from mobilenets.nn.io import write_network
    from small import CLASSES, card_of, network

    model = network(blocks=2)
    write_network(tmp_path / "model.safetensors", model, card_of(model))
    photos = write_photos(tmp_path / "photos", ("rose",), 1)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "model.safetensors"), str(photos / "rose" / "000.jpg")]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=None)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in CLASSES
    assert result.stderr == ""
