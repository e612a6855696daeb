"""The commands, in the order `mobilenets --help` lists them, each with its line there.

A command is the module of its name (`_` for `-`): `add_arguments(parser)` and `run(args) -> exit code`. It is imported
when it is asked for, and what it needs beyond argparse inside `run`.
"""

COMMANDS = {
    "models": "list the published weights: size, cost, accuracy, licence",
    "show": "print a network's table, row by row, with parameters and multiply-accumulates",
    "train": "train a classifier on a folder of photos",
    "add-class": "teach a finished run one class more, in seconds, without its old photos",
    "audit": "find unreadable, duplicate, leaking, blurred and mislabelled photos",
    "evaluate": "measure a model on photos with known classes",
    "predict": "say what photos show",
    "embed": "write what a network sees in photos, as vectors",
    "similar": "find the photos that are most like one",
    "label-next": "list the photos that are worth a label, the most valuable first",
    "explain": "show which part of a photo speaks for its class",
    "export": "write a model for another runtime, run it there and compare",
    "bench": "measure latency, memory and size in every installed engine",
    "search": "find the most accurate network within a latency that is measured here, from a trained run",
    "serve": "answer over HTTP, with a page to try the model",
    "fetch": "fetch public photos to learn with",
    "cache": "list what is kept (downloads, decoded photos), or delete it",
    "demo": "train on photos of solar cells, evaluate and predict, in under three minutes",
}


def module_of(command: str) -> str:
    """The name of its modules in `cli` and `verbs`, and of the function that it is."""
    return command.replace("-", "_")
