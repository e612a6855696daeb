"""What the words behind `mobilenets` mean: the options of the command that is asked for, and of no other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NoReturn

from mobilenets._version import __version__
from mobilenets.cli import COMMANDS, pixels
from mobilenets.cli.main import DESCRIPTION, EXIT_USE, help_text
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
    """The command and its options: `command`, `run` and what its `add_arguments` declares.

    Raises:
        SystemExit: wrong use, told in one line; or help and version, printed.
    """
    parser = _Parser(prog="mobilenets", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"mobilenets {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_CommandParser)
    command = next((word for word in given if not word.startswith("-")), None)
    if command is not None:
        if command not in COMMANDS:
            parser.error(f"no command is called {command!r}{_like(command, COMMANDS)}")
        module = import_module(f"mobilenets.cli.{command}")
        sub = commands.add_parser(command, description=COMMANDS[command])
        module.add_arguments(sub)
        if command in pixels.COMMANDS:
            sub.add_argument("--max-pixels", **pixels.OPTIONS)
        sub.set_defaults(run=module.run, parser=sub)
    args, unknown = parser.parse_known_args(given)
    if unknown:
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        like = _like(options[0], args.parser.options) if options else ""
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{like}")
    if torchrun_env.world() > 1 and command != "train":
        parser.error(f"{command} is one process's work; start it without torchrun, which is for 'train'")
    return args


def _like(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    like = get_close_matches(word, list(known), n=1)
    return f"; did you mean {like[0]}?" if like else ""
