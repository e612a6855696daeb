"""Docstrings say what comes in, what comes out and what is refused; their examples give what they say.

Those run in a folder with `photos/`, `rose.jpg` and a trained `runs/photos`.
"""

import doctest
import re
from collections.abc import Callable
from importlib import import_module
from inspect import getdoc, isclass, isfunction, signature
from pathlib import Path
from typing import Any

import pytest

import mobilenets as mn
from conftest import write_photos
from mobilenets.training.run import train

SOURCE = Path(__file__).parents[1] / "src"
WITH_EXAMPLES = [
    ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted(SOURCE.rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]
REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "python.md"
LISTED = re.findall(r"^::: mobilenets\.([\w.]+)\.(\w+)$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
FUNCTIONS = [name for name in mn.__all__ if isfunction(getattr(mn, name))]
CLASSES = {
    **{name: getattr(mn, name) for name in mn.__all__ if isclass(getattr(mn, name))},
    **{name: getattr(import_module(f"mobilenets.{module}"), name) for module, name in LISTED},
}
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


def _sections(documented: Any) -> dict[str, str]:
    """The text of every section of a numpydoc docstring, by its title."""
    parts = re.split(r"^(\w+)\n-{3,}\n", getdoc(documented) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _described(section: str) -> set[str]:
    """The names that the entries of a section are for."""
    return {name for line in re.findall(r"^\w.*$", section, re.MULTILINE) for name in line.split(" :")[0].split(", ")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_describes_parameters_result_errors_and_an_example(name: str) -> None:
    function: Callable[..., Any] = getattr(mn, name)
    sections = _sections(function)
    assert _described(sections["Parameters"]) == {*signature(function).parameters}
    assert ("Returns" in sections) == (signature(function).return_annotation != "None")
    assert "Examples" in sections
    assert "Raises" in sections or name == "list_models", "which gives none where there are none"


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_describes_what_it_holds_and_what_its_methods_take(name: str) -> None:
    documented = CLASSES[name]
    sections = _sections(documented)
    if fields := getattr(documented, "__dataclass_fields__", None):
        assert _described(sections.get("Attributes", sections.get("Parameters", ""))) == {*fields}
    for method in (value for key, value in vars(documented).items() if isfunction(value) and not key.startswith("_")):
        said = f"{getdoc(documented)}\n{getdoc(method)}"
        unsaid = [word for word in signature(method).parameters if not re.search(rf"\b{word}\b", said)]
        assert unsaid in ([], ["self"]), method.__qualname__
        if described := _described(_sections(method).get("Parameters", "")):
            assert described == {*signature(method).parameters} - {"self"}, method.__qualname__
        assert "Raises:" not in said, method.__qualname__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_public_function_returns_has_an_example_and_is_in_the_reference(name: str) -> None:
    for result in re.findall(r"\b[A-Z]\w+", signature(getattr(mn, name)).return_annotation):
        if result not in ("Any", "None"):
            assert "Examples" in _sections(CLASSES[result])
