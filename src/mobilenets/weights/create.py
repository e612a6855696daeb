"""`create`: a network by name, with published weights or weights from a file."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

import torch

from mobilenets.arch import DEFAULT_NAME, DETECTORS, NAMES, build
from mobilenets.arch.build import DETECTOR, as_detector
from mobilenets.arch.net import FLAVORS, Net
from mobilenets.arch.patches import PatchHead
from mobilenets.errors import ModelFileError, UsageError, UserError
from mobilenets.model_card import has_card, read_card
from mobilenets.nn.model import MobileNet
from mobilenets.nn.network import make_network
from mobilenets.nn.ssd import as_detectors
from mobilenets.preprocess import Preprocess
from mobilenets.weights.catalog import Checkpoint, checkpoints
from mobilenets.weights.convert import convert, convert_backbone, recognise
from mobilenets.weights.locate import locate, url
from mobilenets.weights.state import has_boxes, is_file, num_classes_of, read_state

log = logging.getLogger(__name__)

# Of files that say nothing. All of Keras' MobileNets take inputs in [-1, 1], as torchvision's detector does.
_HALF = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_PREPROCESS = {"keras": _HALF, "torchvision-ssdlite": as_detectors(_HALF)}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the networks there are.

    Parameters
    ----------
    pattern
        A shell pattern that the names match.

    Returns
    -------
    list of str
        Classifiers, then detectors, in the order of their papers; none where the pattern matches none.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.list_models("*v3_small*")
    ['mobilenet_v3_small', 'mobilenet_v3_small_minimal', 'ssdlite_mobilenet_v3_small']
    """
    return [name for name in NAMES + DETECTORS if fnmatch(name, pattern)]


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
        A detector takes a detector's, or those of its backbone as a classifier: what comes behind the maps is then new.
    num_classes
        Outputs, 0 for none (default: those of the weights, else 1000). Where it differs from the weights', the backbone
        is kept and the classifier new: `model.provenance["classifier"]` says which. Of a detector one more than
        classes, as number 0 is the background (default 91).
    width
        The width multiplier, above 0 (default 1).
    in_channels
        Of the image, 1 or more (default 3): a stem for three colours is made to fit any number.
    reduced_tail
        V3 only: half the channels in the last stage (default: as the weights, else False).
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
        says, to logits (N, num_classes); a detector's outputs are (N, A, num_classes + 8)
        (`mobilenets.nn.ssd.Detector`). `preprocess` is that of the weights, `provenance` says where they are from.

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
    >>> mn.create("ssdlite_mobilenet_v2", num_classes=4).net.head_maps[0].name
    'blocks.13.expand'
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
        raise UsageError(f"name: say which network; there are {', '.join(NAMES + DETECTORS)}")
    if weights is None:
        return make_network(build(str(name), num_classes=num_classes, **given))
    # What is wrong with the name or options is said before a download.
    build(name or NAMES[0], **{k: v for k, v in given.items() if name or k not in ("flavor", "reduced_tail")})
    checkpoint = None if is_file(weights) else _find(str(name), str(weights), given.get("width", 1.0))
    if checkpoint and given.setdefault("reduced_tail", checkpoint.reduced_tail) != checkpoint.reduced_tail:
        raise UsageError(
            f"reduced_tail: {checkpoint.tag} is of {checkpoint.model} with reduced_tail {checkpoint.reduced_tail}; "
            "use a file of your own, or weights=None"
        )
    path = Path(weights) if checkpoint is None else locate(checkpoint)
    state = read_state(path)
    if path.suffix == ".safetensors" and has_card(path):
        return _from_run(path, state, name, num_classes, given)
    layout = _layout_of(state, path)
    given.setdefault("flavor", checkpoint.flavor if checkpoint else _flavor_of(layout))
    is_backbone = name in DETECTORS and not has_boxes(state)
    given["num_classes"] = num_classes if num_classes is not None or is_backbone else num_classes_of(state)
    is_named = name is not None and not has_boxes(state)  # a detector's file may have a reduced tail or not
    model = _loaded(build(str(name), **given) if is_named else _fitting(path, state, given, name), state, path)
    published = checkpoint.preprocess if checkpoint else _PREPROCESS.get(layout, Preprocess())
    model.preprocess = as_detectors(published) if is_backbone else published
    model.provenance |= _provenance(checkpoint, path)
    return model


def _find(name: str, tag: str, width: float) -> Checkpoint:
    published = checkpoints(name, width)
    if name in DETECTORS:
        published += checkpoints(name.removeprefix(DETECTOR), width)
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
    return {"torchvision-ssdlite": "torchvision", "keras": "tf"}.get(layout, layout if layout in FLAVORS else None)


def _loaded(net: Net, state: dict[str, torch.Tensor], path: Path) -> MobileNet:
    try:
        is_backbone = net.name in DETECTORS and not has_boxes(state)
        converted = (convert_backbone if is_backbone else convert)(state, net)
    except UserError as error:
        raise ModelFileError(f"{path}: {error}") from error
    model = make_network(net)
    model.load_state_dict(converted.state, strict=False)  # only BatchNorm's counters and a new head are open
    model.provenance["classifier"] = "pretrained" if converted.head_kept else "new"
    if not converted.head_kept and net.num_classes and not is_backbone:
        log.info("%s: its classifier is for other classes; the backbone is kept, the classifier is new", path)
    return model


def _from_run(
    path: Path, state: dict[str, torch.Tensor], name: str | None, num_classes: int | None, given: dict[str, Any]
) -> MobileNet:
    """A network as the card of our own file describes it."""
    card = read_card(path)
    if isinstance(card.net.head, PatchHead):
        raise ModelFileError(
            f"{path}: keeps patches of good ones, and has no layers behind them; use the weights that it started from"
        )
    is_backbone = name == DETECTOR + card.net.name
    net = as_detector(card.net, num_classes) if is_backbone else card.net
    _check_agrees(path, net, name, given)
    if num_classes is not None:
        net = net.with_classes(num_classes)
    if "dropout" in given:
        net = replace(net, head=replace(net.classifier, dropout=given["dropout"])).checked()
    model = _loaded(net, state, path)
    model.preprocess = as_detectors(card.preprocess) if is_backbone else card.preprocess
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


def _fitting(path: Path, state: dict[str, torch.Tensor], given: dict[str, Any], name: str | None) -> Net:
    """The network, or which of those of this `name`, whose names and shapes `state` has: its file does not say."""
    fitting = []
    tails = (False, True) if has_boxes(state) else (False,)  # of detectors, torchvision's file has the reduced one
    for each, reduced_tail in product((name,) if name else NAMES + DETECTORS, tails):
        with contextlib.suppress(UserError):
            net = build(each, **{"reduced_tail": reduced_tail, **given})
            convert(state, net)
            fitting.append(net)
    if not fitting:
        width = given.get("width", 1.0)
        if name:
            raise ModelFileError(f"{path}: a detector, but no {name} of width {width:g}; give its name and width")
        raise ModelFileError(
            f"{path}: says not which network it is, and none of width {width:g} fits; give name and width"
        )
    if not name:
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
