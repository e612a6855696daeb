"""mobilenets: a folder of photos becomes a small, explained, deployable classifier.

Every command is a function here, with the same name and options. The public names below are loaded when first used,
so that `import mobilenets` costs nothing and prediction never imports torch.
"""

from __future__ import annotations

from mobilenets._version import __version__ as __version__

TYPE_CHECKING = False  # as `typing`'s, which takes as long to import as Python to start
if TYPE_CHECKING:
    from typing import Any

    from mobilenets.errors import (
        DataError,
        DownloadError,
        MissingExtraError,
        ModelFileError,
        UsageError,
        UserError,
    )
    from mobilenets.preprocess import Preprocess
    from mobilenets.runtime.classifier import Classifier
    from mobilenets.runtime.opening import load
    from mobilenets.verbs.add_class import add_class
    from mobilenets.verbs.audit import audit
    from mobilenets.verbs.bench import bench
    from mobilenets.verbs.cache import cache
    from mobilenets.verbs.demo import demo
    from mobilenets.verbs.embed import embed
    from mobilenets.verbs.evaluate import evaluate
    from mobilenets.verbs.explain import explain
    from mobilenets.verbs.export import export
    from mobilenets.verbs.fetch import fetch
    from mobilenets.verbs.label_next import label_next
    from mobilenets.verbs.models import models
    from mobilenets.verbs.predict import predict
    from mobilenets.verbs.run import Run
    from mobilenets.verbs.search import search
    from mobilenets.verbs.serve import serve
    from mobilenets.verbs.show import show
    from mobilenets.verbs.similar import similar
    from mobilenets.verbs.train import train
    from mobilenets.weights.create import create, list_models

_HOME = {
    **dict.fromkeys(
        ("DataError", "DownloadError", "MissingExtraError", "ModelFileError", "UsageError", "UserError"), "errors"
    ),
    "Classifier": "runtime.classifier",
    "Preprocess": "preprocess",
    "Run": "verbs.run",
    "create": "weights.create",
    "list_models": "weights.create",
    "load": "runtime.opening",
    **{
        name: f"verbs.{name}"
        for name in (
            "add_class", "audit", "bench", "cache", "demo", "embed", "evaluate", "explain", "export", "fetch",
            "label_next", "models", "predict", "search", "serve", "show", "similar", "train",
        )
    },
}  # fmt: skip

__all__ = [
    "Classifier", "DataError", "DownloadError", "MissingExtraError", "ModelFileError", "Preprocess", "Run",
    "UsageError", "UserError", "add_class", "audit", "bench", "cache", "create", "demo", "embed", "evaluate",
    "explain", "export", "fetch", "label_next", "list_models", "load", "models", "predict", "search", "serve", "show",
    "similar", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"mobilenets.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mobilenets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
