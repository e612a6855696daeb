"""What the words behind `mobilenets` mean: the options of the command that is asked for, and of no other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from mobilenets._version import __version__
from mobilenets.cli import COMMANDS, module_of
from mobilenets.cli.options import defaults
from mobilenets.cli.overview import DESCRIPTION, EXIT_USE, help_text
from mobilenets.errors import did_you_mean
from mobilenets.system import torchrun_env


class _CommandParser(argparse.ArgumentParser):
    """argparse, with wrong use told in one line like every other error, by the command it is about."""

    @property
    def options(self) -> list[str]:
        """Every option that it takes."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        if torchrun_env.rank() == 0:
            print(f"{self.prog}: {message} (see '{self.prog} --help')", file=sys.stderr)
        raise SystemExit(EXIT_USE)


class _Parser(_CommandParser):
    """The words before the command."""

    def format_help(self) -> str:
        return help_text()


def parse(given: Sequence[str]) -> argparse.Namespace:
    """The command and its options: `command`, `execute` and what its `add_arguments` declares.

    Raises
    ------
    SystemExit
        Wrong use, told in one line; or help and version, printed.
    """
    parser, commands = _words()
    command = next((word for word in given if not word.startswith("-")), None)
    if command is not None:
        if command not in COMMANDS:
            parser.error(f"no command is called {command!r}{did_you_mean(command, COMMANDS)}")
        _add(commands, command)
    if "" in given:  # it would be the working folder
        parser.error("an argument is empty, as that of a shell's variable that is not set; give it a value")
    args, unknown = parser.parse_known_args(given)
    if unknown:
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        like = did_you_mean(options[0], args.parser.options) if options else ""
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{like}")
    if torchrun_env.world() > 1 and command != "train":
        parser.error(f"{command} is one process's work; start it without torchrun, which is for 'train'")
    return args


def full_parser() -> argparse.ArgumentParser:
    """All commands with all of their options, for what reads a parser: completion of a shell, the reference."""
    parser, commands = _words()
    for command in COMMANDS:
        _add(commands, command)
    return parser


def _words() -> tuple[_Parser, Any]:
    """The parser of what stands before the command, and where commands are added to it."""
    parser = _Parser(prog="mobilenets", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"mobilenets {__version__}")
    return parser, parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_CommandParser)


def _add(commands: Any, command: str) -> None:
    """A command with its options, each with the default of the verb's signature."""
    name = module_of(command)
    module = import_module(f"mobilenets.cli.{name}")
    verb = getattr(import_module(f"mobilenets.verbs.{name}"), name)
    sub = commands.add_parser(command, help=COMMANDS[command], description=COMMANDS[command])
    module.add_arguments(sub)
    sub.set_defaults(**defaults(verb), execute=module.run, parser=sub)
