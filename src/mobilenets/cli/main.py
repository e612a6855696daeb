"""The command line: `mobilenets COMMAND …`. Each command lives in its own file, and only the one asked for is imported.

`mobilenets --help` is answered without argparse, which takes as long to import as Python to start.
"""

from __future__ import annotations

import os
import sys

from mobilenets.cli.overview import EXIT_USE, help_text
from mobilenets.errors import UserError

TYPE_CHECKING = False  # as `typing`'s, which takes as long to import as Python to start
if TYPE_CHECKING:
    import argparse

EXIT_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code (0 done, 1 some inputs failed, 2 wrong use, 130 interrupted)."""
    _open_closed_streams()
    given = sys.argv[1:] if argv is None else argv
    if given in (["-h"], ["--help"]):
        print(help_text(), end="")
        return 0
    try:
        from mobilenets.cli.parser import parse
        from mobilenets.cli.process import own_process

        args = parse(given)
        with own_process():
            code = _run(args)
    except KeyboardInterrupt:  # before there is a command, or after it
        print("mobilenets: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    if argv is None:  # the process is ours, and ends: going through all objects for cycles would take a second of it
        import gc  # not for the help

        from mobilenets.system import torchrun_env

        if torchrun_env.world() == 1:  # of several, each frees what its threads of communication hang on
            gc.freeze()
    return code


def _open_closed_streams() -> None:
    """A stream that is closed, as by `>&-` or some services, leads nowhere: else the next file takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _run(args: argparse.Namespace) -> int:
    try:
        code = int(args.execute(args))
        sys.stdout.flush()
        return code
    except (Exception, KeyboardInterrupt) as error:
        return _report(args.command, error)
    finally:
        _warn_counts()


def _report(command: str, error: BaseException) -> int:
    """Say in one line what ended a command; its exit code. What nobody foresaw is raised."""
    if _is_interrupt(error):
        print(f"mobilenets {command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    if isinstance(error, UserError):
        print(f"mobilenets {command}: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USE
    if isinstance(error, BrokenPipeError):  # `mobilenets predict … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        print(f"mobilenets {command}: {where}{error.strerror or error}{_remedy(error)}", file=sys.stderr)
        return EXIT_USE
    raise error


def _remedy(error: OSError) -> str:
    """What to do where the folder of what is kept cannot be written; of other files nothing is known."""
    from pathlib import Path

    from mobilenets.system.cache_dir import home

    path, kept = Path(os.fsdecode(error.filename or os.devnull)).absolute(), home().absolute()
    concerns = kept == path or kept in path.parents or path in kept.parents
    return "; let MOBILENETS_HOME name a folder for what is kept" if concerns else ""


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: in the middle of loading onnxruntime it becomes an ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _warn_counts() -> None:
    """What was said once about pictures is now known to be true of how many; of commands that read none, nothing."""
    notes = sys.modules.get("mobilenets.preprocess.notes")
    if notes is not None:
        notes.NOTES.warn_counts()


if __name__ == "__main__":
    raise SystemExit(main())
