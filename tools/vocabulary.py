"""Words that the code no longer uses, each with the field's term: checked in every name that src/ defines.

    python tools/vocabulary.py           say which names use a retired word; exit with 1 if there are any

A name is what the code defines: modules, classes, functions, parameters, fields and variables. It is taken apart into
its words (`MAX_EPOCHS`, `trainContext`: max, epochs, train, context). Prose is free: comments and docstrings are not
looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "mobilenets"

# As a word of a name, wherever it stands.
WORDS = {
    "share": "fraction, rank, lam or progress",
    "told": "describe",
    "tell": "describe",
    "said": "caption",
    "most": "max",
    "least": "min",
    "picture": "image",
    "pictures": "images",
    "photograph": "image",
    "photographs": "images",
    "sureness": "calibration",
    "workbench": "search context",
    "placed": "split sample, offset or extent",
    "weighed": "pruning stats",
    "weigh": "pruning stats",
    "judge": "evaluator",
    "judged": "evaluated candidate",
    "journal": "search state",
    "notches": "unit cuts",
    "stopwatch": "timer",
    "genes": "architecture configuration, genotype",
    "eye": "feature extractor",
    "eyes": "feature extractors",
    "embedder": "feature extractor",
    "doubts": "label errors",
}
# As a whole name.
NAMES = {
    "Ask": "SearchConfig",
    "ask": "config",
    "Seen": "ImageStats",
    "look": "measure_images",
    "Place": "ComputeContext or TrainContext",
    "place": "context, offset or path",
    "places": "offsets or paths",
    "Piece": "SubGraph",
    "pieces": "subgraphs",
    "Space": "ChannelGroup or SearchSpace",
    "Choice": "ArchConfig",
    "Some": "LimitedLoader",
    "floors": "min_sizes",
    "narrower": "global_cut_path",
    "Finding": "RecordsBuilder",
    "PARTS": "SPLITS",
    "Stamp": "FileFingerprint",
    "stamp": "fingerprint",
    "silence": "quiet",
    "StoredViews": "ActivationCache",
    "whole_batch": "sync_batchnorm",
    "Feed": "LoaderFactory",
    "feed": "loaders",
    "worth": "what is worth is said by its measure",
    "told_apart": "effective_range",
    "Rounding": "LayerQParams",
    "float_ends": "skip_first_last",
    "touch_up": "short_finetune_ablation",
}
# As a whole name, in one room; elsewhere it means something else.
ROOMS = {
    "exporting": {"Grid": "QParams"},
    "runtime": {"whole": "accepts_full_image"},
    "searching": {"bench": "context"},
}
# Names that users write or read, by room: a format, an option or an answer is not renamed.
FIXED = {
    "benchmarking.share_of_ceiling",  # bench --json
    "bulk.pictures",  # _manifest.json
    "serving.pictures",  # GET /model
    "verbs.float_ends",  # export --float-ends
}


def retired() -> dict[str, dict[str, str]]:
    """Of every file below src/, the names that use a retired word, with what they should use."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        path = file.relative_to(SOURCE)
        names = {name: better for name in _defined(file) if (better := term(name, path.parts[0]))}
        if names:
            found[path.as_posix()] = dict(sorted(names.items()))
    return found


def _defined(file: Path) -> Iterator[str]:
    yield file.stem if file.stem != "__init__" else file.parent.name
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def term(name: str, room: str) -> str | None:
    """What the field says instead of `name`, which is defined in `room`; None where nothing is wrong with it."""
    bare, names = name.strip("_"), NAMES | ROOMS.get(room, {})
    if f"{room}.{bare}" in FIXED:
        return None
    if bare in names:
        return names[bare]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower().split("_")
    return next((WORDS[word] for word in words if word in WORDS), None)


def main() -> int:
    """Name what is retired; 1 where there is any."""
    found = retired()
    for file, names in found.items():
        for name, better in names.items():
            print(f"src/mobilenets/{file}: {name}: the field says {better}")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
