"""The commands, in the order `mobilenets --help` lists them.

A command module has `HELP` (one line), `add_arguments(parser)` and `run(args) -> exit code`; what it
needs beyond argparse is imported inside `run`, so that `--help` stays instant.
"""

from mobilenets.cli import (
    audit,
    bench,
    cache,
    demo,
    evaluate,
    explain,
    export,
    fetch,
    models,
    predict,
    search,
    serve,
    show,
    train,
)

COMMANDS = {
    "models": models,
    "show": show,
    "train": train,
    "audit": audit,
    "evaluate": evaluate,
    "predict": predict,
    "explain": explain,
    "export": export,
    "bench": bench,
    "search": search,
    "serve": serve,
    "fetch": fetch,
    "cache": cache,
    "demo": demo,
}
