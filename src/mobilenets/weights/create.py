"""`create`: a network by name, with published weights or weights from a file."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from mobilenets.arch import DEFAULT_NAME, NAMES, build
from mobilenets.arch.net import Net
from mobilenets.errors import ModelFileError, UsageError, UserError
from mobilenets.model_card import has_card, read_card
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.weights.catalog import Checkpoint, checkpoints
from mobilenets.weights.convert import convert, recognise
from mobilenets.weights.locate import locate, url
from mobilenets.weights.state import IMAGENET_CLASSES, is_file, num_classes_of, read_state

log = logging.getLogger(__name__)

_KERAS = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # all of Keras' MobileNets take inputs in [-1, 1]


def list_models(pattern: str = "*") -> list[str]:
    """Names of the networks there are.

    Parameters
    ----------
    pattern
        A shell pattern that the names match.

    Returns
    -------
    list of str
        In the order of their papers; none where the pattern matches none.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.list_models("*v3_small*")
    ['mobilenet_v3_small', 'mobilenet_v3_small_minimal']
    """
    return [name for name in NAMES if fnmatch(name, pattern)]


def create(
    name: str | None = None,
    *,
    weights: str | Path | None = None,
    num_classes: int | None = None,
    width: float | None = None,
    in_channels: int | None = None,
    reduced_tail: bool | None = None,
    output_stride: int | None = None,
    dropout: float | None = None,
    flavor: str | None = None,
) -> MobileNet:
    """Build a network, with published weights, weights from a file, or random ones.

    With a file `name` may be left out: one of our own says which network it is, and what is given beside it
    must agree, but for `num_classes` and `dropout`, which no trained weight depends on; of another library's
    it is the network whose names and shapes these are.

    Parameters
    ----------
    name
        One of `list_models()`.
    weights
        None: random ones; "default": the most accurate published ones of this network and width; a tag of
        `mobilenets models`; or a file (.pth, .safetensors, Keras' .h5) in torchvision's, timm's, Keras' or our layout.
    num_classes
        Outputs, 0 for none (default: those of the weights, else 1000). Where it differs from the weights', the backbone
        is kept and the classifier new: `model.provenance["classifier"]` says which.
    width
        The width multiplier, above 0 (default 1).
    in_channels
        Of the image, 1 or more (default 3): a stem for three colours is made to fit any number.
    reduced_tail
        V3 only: half the channels in the last stage (default False).
    output_stride
        32 (default), or 16 or 8 by dilation.
    dropout
        Its probability before the classifier, 0 up to 1 (default: the paper's).
    flavor
        Whose rounding, padding and BatchNorm apply: "torchvision", "timm" or "tf" (default: that of the weights, else
        that of the network's most accurate published ones).

    Returns
    -------
    MobileNet
        A `torch.nn.Module` in training mode, from images float32 (N, in_channels, H, W), normalised as `preprocess`
        says, to logits (N, num_classes). `preprocess` is that of the weights, `provenance` says where they are from.

    Raises
    ------
    UsageError
        Unknown names or tags, values out of range.
    ModelFileError
        Files that are no weights or do not fit, arguments that a file contradicts.
    DownloadError
        Weights that cannot be fetched, or are not those published.

    Examples
    --------
    >>> import mobilenets as mn
    >>> model = mn.create("mobilenet_v3_small", width=0.5, num_classes=3)
    >>> sum(p.numel() for p in model.parameters()) < 1_000_000
    True
    """
    given: dict[str, Any] = {
        "width": width,
        "in_channels": in_channels,
        "reduced_tail": reduced_tail,
        "output_stride": output_stride,
        "dropout": dropout,
        "flavor": flavor,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if name is None and not (weights is not None and is_file(weights)):
        raise UsageError(f"name: say which network; there are {', '.join(NAMES)}")
    if weights is None:
        return MobileNet(build(str(name), num_classes=_or_imagenet(num_classes), **given))
    # What is wrong with the name or options is said before a download.
    build(name or NAMES[0], **{k: v for k, v in given.items() if name or k not in ("flavor", "reduced_tail")})
    checkpoint = None if is_file(weights) else _find(str(name), str(weights), given.get("width", 1.0))
    if checkpoint and reduced_tail:
        raise UsageError("reduced_tail: no published weights have one; use a file of your own, or weights=None")
    path = Path(weights) if checkpoint is None else locate(checkpoint)
    state = read_state(path)
    if path.suffix == ".safetensors" and has_card(path):
        return _from_run(path, state, name, num_classes, given)
    layout = _layout_of(state, path)
    given.setdefault("flavor", checkpoint.flavor if checkpoint else _flavor_of(layout))
    given["num_classes"] = num_classes if num_classes is not None else num_classes_of(state)
    model = _loaded(build(name, **given) if name else _fitting(path, state, given), state, path)
    model.preprocess = checkpoint.preprocess if checkpoint else _KERAS if layout == "keras" else Preprocess()
    model.provenance |= _provenance(checkpoint, path)
    return model


def _or_imagenet(num_classes: int | None) -> int:
    return IMAGENET_CLASSES if num_classes is None else num_classes


def _find(name: str, tag: str, width: float) -> Checkpoint:
    published = checkpoints(name, width)
    if not published:
        raise UsageError(
            f"weights: {tag!r} is no file, and none are published for {name} at width {width:g}; "
            "use none, or a width that 'mobilenets models' lists"
        )
    if tag == "default":
        return published[0]
    for checkpoint in published:
        if checkpoint.tag == tag:
            return checkpoint
    tags = ", ".join(c.tag for c in published)
    raise UsageError(f"weights: {tag!r} is neither a file nor a tag of {name} at width {width:g}; there are {tags}")


def name_or_default(name: str | None, weights: str | Path | None) -> str | None:
    """`name`; without one the default network's, or None where a file of weights says which it is."""
    return name or (None if weights is not None and is_file(weights) else DEFAULT_NAME)


def _layout_of(state: dict[str, torch.Tensor], path: Path) -> str:
    try:
        return recognise(state)
    except UserError as error:
        raise ModelFileError(f"{path}: {error}") from error


def _flavor_of(layout: str) -> str | None:
    """The flavor that a layout's own networks have; None for the network's default."""
    return {"torchvision": "torchvision", "timm": "timm", "keras": "tf"}.get(layout)


def _loaded(net: Net, state: dict[str, torch.Tensor], path: Path) -> MobileNet:
    try:
        converted = convert(state, net)
    except UserError as error:
        raise ModelFileError(f"{path}: {error}") from error
    model = MobileNet(net)
    model.load_state_dict(converted.state, strict=False)  # only BatchNorm's counters and a new head are open
    model.provenance["classifier"] = "pretrained" if converted.head_kept else "new"
    if not converted.head_kept and net.num_classes:
        log.info("%s: its classifier is for other classes; the backbone is kept, the classifier is new", path)
    return model


def _from_run(
    path: Path, state: dict[str, torch.Tensor], name: str | None, num_classes: int | None, given: dict[str, Any]
) -> MobileNet:
    """A network as the card of our own file describes it."""
    card = read_card(path)
    net = card.net
    _check_agrees(path, net, name, given)
    if num_classes is not None:
        net = net.with_classes(num_classes)
    if "dropout" in given:
        net = replace(net, head=replace(net.head, dropout=given["dropout"])).checked()
    model = _loaded(net, state, path)
    model.preprocess = card.preprocess
    model.provenance |= {"weights": path.name, **{k: v for k, v in card.provenance.items() if k == "licence"}}
    return model


def _check_agrees(path: Path, net: Net, name: str | None, given: dict[str, Any]) -> None:
    """Refuse what was asked of a file that holds another network."""
    if name not in (None, net.name):
        raise ModelFileError(
            f"{path}: holds a {net.name}, not a {name}; leave the name of the network out, or use its own"
        )
    for key in ("width", "in_channels", "output_stride", "flavor"):
        has = getattr(net, key)
        if given.get(key, has) != has:
            raise ModelFileError(f"{path}: its {net.name} has {key} {has}, not {given[key]}; leave {key} out")
    if "reduced_tail" in given:
        like = {key: getattr(net, key) for key in ("width", "output_stride", "flavor")}
        reduced = net.family == "v3" and build(net.name, reduced_tail=True, **like).blocks == net.blocks
        if given["reduced_tail"] != reduced:
            raise ModelFileError(f"{path}: its {net.name} has reduced_tail {reduced}, not {not reduced}; leave it out")


def _fitting(path: Path, state: dict[str, torch.Tensor], given: dict[str, Any]) -> Net:
    """The network whose names and shapes are those of `state`, of a library whose files do not say."""
    fitting = []
    for name in NAMES:
        with contextlib.suppress(UserError):
            net = build(name, **given)
            convert(state, net)
            fitting.append(net)
    if not fitting:
        width = given.get("width", 1.0)
        raise ModelFileError(
            f"{path}: says not which network it is, and none of width {width:g} fits; give name and width"
        )
    log.info("%s: by its shapes a %s", path, fitting[0].name)
    return fitting[0]


def _provenance(checkpoint: Checkpoint | None, path: Path) -> dict[str, str]:
    if checkpoint is None:
        return {"weights": path.name}
    return {
        "weights": checkpoint.tag,
        "source": url(checkpoint),
        "digest": checkpoint.digest,
        "licence": checkpoint.licence,
    }
