"""mobilenets: a folder of photos becomes a small, explained, deployable classifier.

The public names below are loaded when first used, so that `import mobilenets` costs nothing and
prediction never imports torch.
"""

from __future__ import annotations

from mobilenets._version import __version__ as __version__

TYPE_CHECKING = False  # as `typing`'s, which takes as long to import as Python to start
if TYPE_CHECKING:
    from typing import Any

    from mobilenets.errors import UserError
    from mobilenets.preprocess import Preprocess
    from mobilenets.runtime.classifier import Classifier, load
    from mobilenets.training.run import Run, train
    from mobilenets.weights.create import create, list_models

__all__ = ["Classifier", "Preprocess", "Run", "UserError", "create", "list_models", "load", "train"]

_HOME = {
    "Classifier": "mobilenets.runtime.classifier",
    "Preprocess": "mobilenets.preprocess",
    "Run": "mobilenets.training.run",
    "UserError": "mobilenets.errors",
    "create": "mobilenets.weights.create",
    "list_models": "mobilenets.weights.create",
    "load": "mobilenets.runtime.classifier",
    "train": "mobilenets.training.run",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'mobilenets' has no attribute {name!r}")
