"""The command reference: docs/reference/commands.md, from what each command declares to argparse.

    python tools/commands.py            write it
    python tools/commands.py --check    exit with 1 where it is not what the commands declare

Written from the declarations, not from `--help`, whose layout differs between versions of Python.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from mobilenets.cli import COMMANDS
from mobilenets.cli.parser import parse

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"
HEAD = """# Commands

Every command, with every option it takes. `mobilenets COMMAND --help` prints the same.

This page is written by `python tools/commands.py`; a test fails where it is not current.

Exit codes: 0 all done; 1 done, but some inputs failed, each of which is named, or an exported file is not the network
or lost more than a point of accuracy; 2 wrong use or unusable input; 130 interrupted. Messages go to standard error.
With `--json` and `--format` standard output holds the answer alone.
"""


def page() -> str:
    """The text of the page."""
    return HEAD + "".join(_command(name, line) for name, line in COMMANDS.items())


def _parser(name: str) -> argparse.ArgumentParser:
    """The parser that answers `mobilenets NAME --help`."""
    asked: list[argparse.ArgumentParser] = []
    with patch.object(argparse.ArgumentParser, "print_help", lambda parser: asked.append(parser)), suppress(SystemExit):
        parse([name, "--help"])
    return asked[0]


def _command(name: str, line: str) -> str:
    parser = _parser(name)
    groups = [g for g in parser._action_groups if any(_shown(a) for a in g._group_actions)]
    words = [_word(a) for a in parser._actions if not a.option_strings]
    text = f"\n## {name}\n\n{line[0].upper()}{line[1:]}.\n\n```text\n"
    text += " ".join(["mobilenets", name, *words, "[options]"]) + "\n```\n"
    for group in groups:
        if len(groups) > 1:
            text += f"\n**{(group.title or '').capitalize()}**\n"
        if group.description:
            text += f"\n{_escaped(group.description)}\n"
        text += f"\n| {'option' if group._group_actions[-1].option_strings else 'argument'} | meaning |\n|---|---|\n"
        text += "".join(f"| {_spelled(a)} | {_meaning(a)} |\n" for a in group._group_actions if _shown(a))
    return text


def _shown(action: argparse.Action) -> bool:
    return action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)


def _word(action: argparse.Action) -> str:
    name = _metavar(action)
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} [{name} ...]"}.get(str(action.nargs), name)


def _metavar(action: argparse.Action) -> str:
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _spelled(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else " " + _metavar(action)
    spelled = [f"`{o}{value}`" for o in action.option_strings] or [f"`{_metavar(action)}`"]
    return ", ".join(spelled).replace("|", "\\|")


def _meaning(action: argparse.Action) -> str:
    values = {**vars(action), "prog": "mobilenets"}
    text = _escaped((action.help or "") % values if "%" in (action.help or "") else action.help or "")
    if action.choices is not None and action.metavar is not None:
        text += f" (one of {', '.join(f'`{choice}`' for choice in _choices(action))})"
    return text


def _choices(action: argparse.Action) -> Iterator[str]:
    yield from map(str, action.choices or ())


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def main() -> int:
    """Write or check the page."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="compare, write nothing")
    now = page()
    if not arguments.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(now, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == now:
        return 0
    print(f"{PAGE} is not what the commands declare; run: python tools/commands.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
