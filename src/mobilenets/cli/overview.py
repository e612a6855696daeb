"""What `mobilenets --help` prints, and the exit code of wrong use: known before argparse is imported."""

from __future__ import annotations

from mobilenets.cli import COMMANDS

EXIT_USE = 2
DESCRIPTION = "A folder of photos becomes a small classifier: trained, measured, ready to deploy."

_WIDTH = 78  # columns of the help
_INDENT = 14  # of what a command does


def help_text() -> str:
    """What `mobilenets --help` prints."""
    commands = [_command(name, line) for name, line in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mobilenets [-h] [--version] COMMAND ...",
            "",
            _wrapped(DESCRIPTION, 0),
            "",
            "positional arguments:",
            "  COMMAND",
            *commands,
            "",
            "options:",
            "  -h, --help  show this help message and exit",
            "  --version   show program's version number and exit",
            "",
        ]
    )


def _command(name: str, line: str) -> str:
    """As argparse has it: a name too long for its column has a line of its own."""
    text = _wrapped(line, _INDENT)
    return f"    {name:<{_INDENT - 4}}{text}" if len(name) <= _INDENT - 6 else f"    {name}\n{' ' * _INDENT}{text}"


def _wrapped(text: str, indent: int) -> str:
    """`text` in lines of at most `_WIDTH` columns, of which the first `indent` are empty but in the first line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if indent + len(longer) <= _WIDTH:
            lines[-1] = longer
        else:
            lines.append(word)
    return f"\n{' ' * indent}".join(lines)
