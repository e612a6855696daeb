"""MODEL on the command line: a run folder, a model file or a published name."""

from __future__ import annotations

from pathlib import Path

from mobilenets.errors import UserError
from mobilenets.runtime.classifier import Classifier, load


def open_model(text: str, engine: str = "auto", threads: int | None = None) -> Classifier:
    """The classifier that MODEL names; a published name (also NAME/TAG) brings ImageNet's classes.

    Raises:
        UserError: no such file or name.
    """
    from mobilenets.spec import NAMES

    name, _, tag = text.partition("/")
    if Path(text).exists() or name not in NAMES:
        return load(text, engine, threads)
    try:
        from mobilenets.runtime.torch import TorchEngine
        from mobilenets.weights.create import create
    except ModuleNotFoundError as missing:
        raise UserError(f"{text}: running it needs {missing.name}; run: pip install 'mobilenets[train]'") from None
    from mobilenets.artifact import ModelCard
    from mobilenets.weights.imagenet import class_names

    model = create(name, weights=tag or "default")
    card = ModelCard(name, model.net, class_names(), model.preprocess, provenance=model.provenance)
    return Classifier(TorchEngine(model, card))
