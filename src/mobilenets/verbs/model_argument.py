"""MODEL on the command line: a run folder, a model file or a published name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.runtime.base import FLOAT, HALF
from mobilenets.runtime.opening import load, load_for_one, predictor_of
from mobilenets.runtime.predictor import Predictor

if TYPE_CHECKING:
    from mobilenets.nn.io import Network


def open_model(
    text: str,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = FLOAT,
    one: bool = False,
    accept: float | None = None,
) -> Predictor[Any]:
    """What answers with the model that MODEL names; a published name (or NAME/TAG) brings ImageNet's classes or COCO's.

    `one`: for a single picture, for which "auto" is the engine that starts the soonest. `accept`: as `load`.

    Raises
    ------
    UserError
        No such file or name, no half precision for it, or no index for `accept`.
    """
    if not _is_published(text):
        if one and engine == "auto" and precision == FLOAT:
            return load_for_one(text, threads, accept)
        return load(text, engine, threads, precision, accept)
    if precision == HALF:
        raise UsageError(
            f"{text}: a published network runs in torch, in float32; for half precision "
            f"run 'mobilenets export {text} --to openvino' and give its file, or leave --precision out"
        )
    network = _published(text)
    from mobilenets.runtime.engines.torch import TorchEngine

    return predictor_of(TorchEngine(network.model, network.card), accept)


def open_network(text: str) -> Network:
    """MODEL as a network with its weights in torch: what can be exported and explained.

    Raises
    ------
    UserError
        No such file or name, or a file that holds a graph and no network.
    """
    if _is_published(text):
        return _published(text)
    _require_torch(text)
    from mobilenets.nn import io

    return io.open_network(Path(text))


def has_network(text: str) -> bool:
    """Whether `open_network` would find one."""
    path = Path(text) / "model.safetensors" if Path(text).is_dir() else Path(text)
    return _is_published(text) or (path.suffix == ".safetensors" and path.exists())


def _is_published(text: str) -> bool:
    if Path(text).exists():
        return False
    from mobilenets.arch import DETECTORS, NAMES

    return text.partition("/")[0] in NAMES + DETECTORS


def _require_torch(text: str) -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"{text}: running it needs {missing.name}; run: pip install 'mobilenets[train]'"
        ) from None


def _published(text: str) -> Network:
    _require_torch(text)
    from mobilenets.arch import DETECTORS
    from mobilenets.model_card import CLASSIFY, DETECT, ModelCard
    from mobilenets.nn.io import Network
    from mobilenets.nn.layers import channels_last
    from mobilenets.weights import coco, imagenet
    from mobilenets.weights.catalog import COCO
    from mobilenets.weights.create import create

    name, _, tag = text.partition("/")
    is_detector = name in DETECTORS
    if is_detector and not any(c.model == name and tag in ("", "default", c.tag) for c in COCO):
        published = ", ".join(f"{c.model}/{c.tag}" for c in COCO)
        raise UsageError(f"{text}: no detector with such weights is published, only {published}; train one of your own")
    model = create(name, weights=tag or "default")
    card = ModelCard(
        name,
        model.net,
        coco.class_names() if is_detector else imagenet.class_names(),
        model.preprocess,
        provenance=model.provenance,
        task=DETECT if is_detector else CLASSIFY,
    )
    return Network(channels_last(model).eval(), card)
