"""`mobilenets.models`: which weights are published for which network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mobilenets.errors import UsageError, did_you_mean
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.weights.catalog import Checkpoint


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that can be fetched by their network's name and their tag.

    Attributes
    ----------
    model
        Name of the network.
    width
        Its width multiplier.
    tag
        What `weights=` takes.
    default
        Whether `weights="default"` takes them.
    parameters
        Numbers that are learned.
    macs
        Multiply-accumulates for one photo of `size` pixels.
    top1
        Published accuracy on ImageNet, in percent; None of a detector.
    map
        Published mAP on COCO, in percent; None of a classifier.
    size
        Side of the input in pixels.
    licence
        Of the weights, as its SPDX name.

    Examples
    --------
    >>> import mobilenets as mn
    >>> best = max(mn.models("mobilenet*"), key=lambda weights: weights.top1)
    >>> best.model.startswith("mobilenet_v4")
    True
    """

    model: str
    width: float
    tag: str
    default: bool
    parameters: int
    macs: int
    top1: float | None
    map: float | None
    size: int
    licence: str

    def to_dict(self) -> dict[str, Any]:
        """An object of `mobilenets models --json`."""
        return asdict(self)


@verb
def models(pattern: str = "*") -> list[PublishedWeights]:
    """List the published weights, the default of a network first.

    Parameters
    ----------
    pattern
        A shell pattern of models or MODEL/TAG, as "*v3*".

    Returns
    -------
    list of PublishedWeights
        By network, the widest first.

    Raises
    ------
    UsageError
        Nothing matches.

    Examples
    --------
    >>> import mobilenets as mn
    >>> [(w.tag, w.top1) for w in mn.models("mobilenet_v2/torchvision*")]
    [('torchvision-v2', 72.154), ('torchvision-v1', 71.878)]
    """
    from mobilenets.arch import DETECTORS, NAMES
    from mobilenets.weights.catalog import checkpoints, matching

    found, names = matching(pattern), NAMES + DETECTORS
    if not found:
        like = did_you_mean(pattern, names)
        raise UsageError(f"{pattern}: no published weights match; the models are {', '.join(names)}{like}")
    groups = sorted({(names.index(c.model), -c.width) for c in found})
    return [_row(c) for i, width in groups for c in checkpoints(names[i], -width) if c in found]


def _row(checkpoint: Checkpoint) -> PublishedWeights:
    from mobilenets.arch import build
    from mobilenets.arch.cost import total
    from mobilenets.weights.catalog import checkpoints

    net = build(
        checkpoint.model, width=checkpoint.width, flavor=checkpoint.flavor, reduced_tail=checkpoint.reduced_tail
    )
    size = checkpoint.preprocess.size
    params, macs = total(net, size)
    return PublishedWeights(
        model=checkpoint.model,
        width=checkpoint.width,
        tag=checkpoint.tag,
        default=checkpoint == checkpoints(checkpoint.model, checkpoint.width)[0],
        parameters=params,
        macs=macs,
        top1=None if checkpoint.is_detector else checkpoint.top1,
        map=checkpoint.top1 if checkpoint.is_detector else None,
        size=size,
        licence=checkpoint.licence,
    )
