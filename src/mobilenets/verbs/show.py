"""`mobilenets.show`: the paper's table of a network, with what each row costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UsageError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.arch.cost import RowCost
    from mobilenets.arch.net import Net
    from mobilenets.choices import Flavor

SIZE, DETECTOR_SIZE = 224, 320
MAX_SIZE = 8192


@dataclass(frozen=True)
class NetworkTable:
    """A network as its table.

    Attributes
    ----------
    net
        What it is made of.
    size
        Side of the photo in pixels that the costs are for.
    rows
        What each row costs.
    stored
        Whether it is the network of a run folder or model file.

    Examples
    --------
    >>> import mobilenets as mn
    >>> table = mn.show("mobilenet_v3_large", size=160)
    >>> table.macs, table.peak.name
    (112472000, 'blocks.1')
    """

    net: Net
    size: int
    rows: tuple[RowCost, ...]
    stored: bool

    @property
    def parameters(self) -> int:
        """Numbers that are learned."""
        return sum(row.params for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one picture."""
        return sum(row.macs for row in self.rows)

    @property
    def peak(self) -> RowCost:
        """The row that holds the most activations."""
        return max(self.rows, key=lambda row: row.activation_bytes)


@verb
def show(
    model: str | Path,
    *,
    width: float | None = None,
    size: int | None = None,
    flavor: Flavor | None = None,
    reduced_tail: bool = False,
    output_stride: int | None = None,
    classes: int | None = None,
) -> NetworkTable:
    """Say what a network is made of, row by row.

    Parameters
    ----------
    model
        A network's name, a run folder or a model file.
    width
        Width multiplier, above 0; None: 1.
    size
        Side of the input in pixels, 32 to 8192; None: the run's, or 224, or 320 of a detector.
    flavor
        Whose rounding of channels: "torchvision", "timm" or "tf"; None: as published best.
    reduced_tail
        V3 with half the channels in its last stage.
    output_stride
        32 (None), or 16 or 8 by dilation.
    classes
        Outputs, 0 (no classifier) or more; None: 1000, or COCO's 91 of a detector, the background among them.

    Returns
    -------
    NetworkTable
        Rows with parameters, multiply-accumulates and bytes of activations, and their sums.

    Raises
    ------
    UsageError
        No such network, a value out of range, or an option that a stored network has for itself.
    ModelFileError
        A file that carries no model card.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.show("mobilenet_v1").parameters
    4231976
    >>> [row.channels for row in mn.show("runs/photos").rows][:2]
    [3, 16]
    """
    from mobilenets.arch import DETECTORS, NAMES, build
    from mobilenets.arch.cost import costs

    stored = str(model) not in NAMES + DETECTORS and Path(model).exists()
    if stored:
        own = {
            "width": width, "flavor": flavor, "reduced_tail": reduced_tail, "output_stride": output_stride,
            "classes": classes,
        }  # fmt: skip
        for name, value in own.items():
            if value not in (None, False):
                raise UsageError(f"--{name.replace('_', '-')}: {model} has its own; leave it out")
        from mobilenets.model_card import read_card

        card = read_card(Path(model))
        net, own_size = card.net, card.preprocess.size
    else:
        net, own_size = (
            build(
                str(model),
                width=1.0 if width is None else width,
                num_classes=classes,
                reduced_tail=reduced_tail,
                output_stride=32 if output_stride is None else output_stride,
                flavor=flavor,
            ),
            DETECTOR_SIZE if str(model) in DETECTORS else SIZE,
        )
    size = own_size if size is None else size
    if size > MAX_SIZE:
        raise UsageError(f"--size: {size} pixels are too many; use {MAX_SIZE} or fewer")
    return NetworkTable(net, size, tuple(costs(net, size)), stored)
