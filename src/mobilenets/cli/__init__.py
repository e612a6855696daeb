"""The commands, in the order `mobilenets --help` lists them.

A command module has `HELP` (one line), `add_arguments(parser)` and `run(args) -> exit code`; what it
needs beyond argparse is imported inside `run`, so that `--help` stays instant.
"""

from __future__ import annotations

from types import ModuleType

COMMANDS: dict[str, ModuleType] = {}
