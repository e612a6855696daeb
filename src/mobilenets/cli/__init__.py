"""The commands, in the order `mobilenets --help` lists them.

A command module has `HELP` (one line), `add_arguments(parser)` and `run(args) -> exit code`; what it
needs beyond argparse is imported inside `run`, so that `--help` stays instant.
"""

from mobilenets.cli import cache, demo, evaluate, fetch, models, predict, show, train

COMMANDS = {
    "models": models,
    "show": show,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "fetch": fetch,
    "cache": cache,
    "demo": demo,
}
