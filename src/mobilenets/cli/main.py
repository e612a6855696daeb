"""The command line: `mobilenets COMMAND …`. Each command lives in its own file and imports inside."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

from mobilenets import __version__, launch
from mobilenets.cli import COMMANDS, pixels
from mobilenets.errors import UserError

EXIT_USE = 2
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """argparse, with wrong use told in one line like every other error, by the command it is about."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; the commands' own parsers do not come here."""
        given = list(sys.argv[1:] if args is None else args)
        command = next((word for word in given if not word.startswith("-")), None)
        if command is not None and command not in COMMANDS:
            self.error(f"no command is called {command!r}{_like(command, COMMANDS)}")
        parsed, unknown = self.parse_known_args(given, namespace)
        if unknown:
            parser = parsed.parser
            options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
            like = _like(options[0], parser.options) if options else ""
            parser.error(f"unrecognized arguments: {' '.join(unknown)}{like}")
        return parsed

    @property
    def options(self) -> list[str]:
        """Every option that it takes."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        if launch.rank() == 0:
            print(f"{self.prog}: {message} (see '{self.prog} --help')", file=sys.stderr)
        raise SystemExit(EXIT_USE)


def _like(word: str, known: Iterable[str]) -> str:
    like = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {like[0]}?" if like else ""


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command, without importing what the commands need."""
    parser = _Parser(
        prog="mobilenets",
        description="A folder of photos becomes a small classifier: trained, measured, ready to deploy.",
    )
    parser.add_argument("--version", action="version", version=f"mobilenets {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(sub)
        if name in pixels.COMMANDS:
            sub.add_argument("--max-pixels", **pixels.OPTIONS)
        sub.set_defaults(run=module.run, parser=sub)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code (0 done, 1 some inputs failed, 2 wrong use, 130 interrupted)."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if launch.world() > 1 and args.command != "train":
        parser.error(f"{args.command} is one process's work; start it without torchrun, which is for 'train'")
    try:
        with _max_pixels(getattr(args, "max_pixels", None)):
            code = int(args.run(args))
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"mobilenets {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USE
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `mobilenets predict … | head`: the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        where = f"{error.filename}: " if error.filename else ""
        print(f"mobilenets {args.command}: {where}{error.strerror or error}", file=sys.stderr)
        return EXIT_USE
    except KeyboardInterrupt:
        print(f"mobilenets {args.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        _tell_counts()


def _max_pixels(asked: int | None) -> AbstractContextManager[None]:
    if asked is None:
        return nullcontext()
    from mobilenets.preprocess.opening import max_pixels

    return max_pixels(asked)


def _tell_counts() -> None:
    """What was said once about pictures is now known to be true of how many; of commands that read none, nothing."""
    notes = sys.modules.get("mobilenets.preprocess.notes")
    if notes is not None:
        notes.NOTES.tell_counts()


if __name__ == "__main__":
    raise SystemExit(main())
