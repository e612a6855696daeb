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
        Published accuracy on ImageNet, in percent.
    size
        Side of the input in pixels.
    licence
        Of the weights, as its SPDX name.

    Examples
    --------
    >>> import mobilenets as mn
    >>> best = max(mn.models(), key=lambda weights: weights.top1)
    >>> best.model.startswith("mobilenet_v4")
    True
    """

    model: str
    width: float
    tag: str
    default: bool
    parameters: int
    macs: int
    top1: float
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
    from mobilenets.arch import NAMES
    from mobilenets.weights.catalog import checkpoints, matching

    found = matching(pattern)
    if not found:
        like = did_you_mean(pattern, NAMES)
        raise UsageError(f"{pattern}: no published weights match; the models are {', '.join(NAMES)}{like}")
    groups = sorted({(NAMES.index(c.model), -c.width) for c in found})
    return [_row(c) for i, width in groups for c in checkpoints(NAMES[i], -width) if c in found]


def _row(checkpoint: Checkpoint) -> PublishedWeights:
    from mobilenets.arch import build
    from mobilenets.arch.cost import total
    from mobilenets.weights.catalog import checkpoints

    net = build(checkpoint.model, width=checkpoint.width, flavor=checkpoint.flavor)
    size = checkpoint.preprocess.size
    params, macs = total(net, size)
    return PublishedWeights(
        model=checkpoint.model,
        width=checkpoint.width,
        tag=checkpoint.tag,
        default=checkpoint == checkpoints(checkpoint.model, checkpoint.width)[0],
        parameters=params,
        macs=macs,
        top1=checkpoint.top1,
        size=size,
        licence=checkpoint.licence,
    )
