"""The examples in docstrings give what they say, in a folder with `photos/`, `rose.jpg` and a trained `runs/photos`."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from conftest import write_photos
from mobilenets.training.run import train

SOURCE = Path(__file__).parents[1] / "src"
WITH_EXAMPLES = [
    ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted(SOURCE.rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("docstrings")
    photos = write_photos(here / "photos", ("daisy", "rose", "tulip"), 6)
    (here / "rose.jpg").write_bytes((photos / "rose" / "000.jpg").read_bytes())
    train(
        photos, here / "runs" / "photos", model="mobilenet_v3_small", weights="none", width=0.35, size=32,
        recipe="finetune", epochs=1, precision="fp32", device="cpu",
    )  # fmt: skip
    return here


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    result = doctest.testmod(import_module(name), optionflags=FLAGS, report=False)
    assert result.failed == 0, f"{name}: {result.failed} of {result.attempted} lines; see above"
