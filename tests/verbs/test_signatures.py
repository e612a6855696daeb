"""A verb and its command are the same: options, defaults, and the words that options take."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest

import mobilenets as mn
from mobilenets import choices
from mobilenets.cli import COMMANDS, module_of
from mobilenets.cli.options import defaults
from mobilenets.cli.parser import full_parser, parse

# What only the one has: how results are printed is the command's matter, what is called back is a program's.
PRINTED = {"json"}
CALLED = {"progress", "ready"}
NEEDED = {"add-class": ["r", "p", "--name", "n"], "label-next": ["s"],
          "model": ["m"], "show": ["m"], "audit": ["d"], "evaluate": ["m", "d"], "predict": ["m", "s"],
          "embed": ["m", "s", "--out", "o"], "similar": ["m", "p"],
          "explain": ["m", "i"], "export": ["m", "--to", "onnx"], "serve": ["m"], "fetch": ["flowers"]}  # fmt: skip


def _verb(command: str) -> Callable[..., Any]:
    return getattr(mn, module_of(command))


def _parser(command: str) -> argparse.ArgumentParser:
    (subparsers,) = (a for a in full_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return subparsers.choices[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verb_has_the_options_of_its_command(command: str) -> None:
    options = {action.dest for action in _parser(command)._actions if action.dest != "help"}
    assert options - PRINTED == {*signature(_verb(command)).parameters} - CALLED


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_given_is_the_same_for_both(command: str) -> None:
    args = vars(parse([command, *NEEDED.get(command, [])]))
    given = {"model", "data", "source", "image", "what", "to"}  # where they have no default
    for name, default in defaults(_verb(command)).items():
        if name not in CALLED and not (name in given and NEEDED.get(command)):
            assert args[name] == default or args[name] == list(default), name


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verb_says_the_type_of_each_option(command: str) -> None:
    for parameter in signature(_verb(command)).parameters.values():
        assert parameter.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
        assert parameter.annotation is not Parameter.empty
        assert parameter.name in (_verb(command).__doc__ or ""), parameter.name


def test_training_knows_each_setting_and_leaves_its_default_to_them() -> None:
    from mobilenets.training.settings import Settings

    options = signature(mn.train).parameters
    settings = {field.name: field.default for field in fields(Settings)}
    assert settings.keys() <= options.keys()
    assert options["weights"].default == settings["weights"]
    assert {options[name].default for name in settings.keys() - {"weights"}} == {None}


def test_a_search_knows_each_setting_and_leaves_its_default_to_them() -> None:
    from mobilenets.searching.config import SearchConfig

    options = signature(mn.search).parameters
    assert {field.name for field in fields(SearchConfig)} <= options.keys()


def _settings() -> dict[Any, tuple[str, ...]]:
    from mobilenets.arch.build import _FAMILIES
    from mobilenets.data.cache.images import MODES
    from mobilenets.data.rare import CHOICES
    from mobilenets.exporting.targets.table import TARGETS
    from mobilenets.preprocess import FITS
    from mobilenets.runtime.registry import KINDS, PRECISIONS
    from mobilenets.training.recipe import BALANCES
    from mobilenets.training.settings import PRECISIONS as TRAIN_PRECISIONS
    from mobilenets.training.settings import RECIPES
    from mobilenets.verbs.demo import DEMOS

    return {
        choices.Engine: ("auto", *KINDS),
        choices.BenchEngine: tuple(KINDS),
        choices.Precision: PRECISIONS,
        choices.Target: tuple(TARGETS),
        choices.RecipeName: RECIPES,
        choices.TrainPrecision: TRAIN_PRECISIONS,
        choices.Fit: (*FITS, "auto"),
        choices.Cache: MODES,
        choices.Rare: CHOICES,
        choices.Balance: BALANCES,
        choices.Demo: tuple(DEMOS),
        choices.Flavor: tuple({flavor for family in _FAMILIES.values() for flavor in family.norms}),
    }


def test_the_words_of_an_option_are_those_that_are_understood() -> None:
    for literal, understood in _settings().items():
        assert sorted(choices.values(literal)) == sorted(understood)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "photos", "--recipe", "prob"], "'prob' is not one of auto, probe, finetune, scratch; did you mean "
         "probe?"),
        (["train", "photos", "--epoch-s", "3"], "--epoch-s 3; did you mean --epochs?"),
        (["export", "run", "--to", "onx"], "did you mean onnx?"),
        (["predict", "run", "a.jpg", "--engine", "openvno"], "did you mean openvino?"),
    ],
)  # fmt: skip
def test_what_was_mistyped_is_told_with_what_is_nearest(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verb_is_loaded_without_arrays_and_torch(command: str) -> None:
    verb = module_of(command)
    code = f"import sys, mobilenets; mobilenets.{verb}; print({{'numpy', 'torch', 'PIL'}} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_each_command_has_its_two_files() -> None:
    for command in COMMANDS:
        assert import_module(f"mobilenets.verbs.{module_of(command)}")
        assert import_module(f"mobilenets.cli.{module_of(command)}")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_completes_the_words_of_an_option(tmp_path: Path) -> None:
    shtab = pytest.importorskip("shtab")
    script = tmp_path / "mobilenets.bash"
    script.write_text(shtab.complete(full_parser(), "bash"), encoding="utf-8")
    ask = f"""source {script}
    COMP_WORDS=(mobilenets train photos --recipe p) COMP_CWORD=4
    _shtab_mobilenets
    echo "${{COMPREPLY[@]}}" """
    result = subprocess.run(["bash", "-c", ask], capture_output=True, text=True)
    assert result.stdout.split() == ["probe"]
