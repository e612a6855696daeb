"""The network of a table, whatever its head: a classifier, a detector, or one that knows good ones only."""

from __future__ import annotations

from mobilenets.arch.net import Net
from mobilenets.nn.model import MobileNet
from mobilenets.nn.patches import PatchMemory
from mobilenets.nn.ssd import Detector

_BY_HEAD: dict[str, type[MobileNet]] = {"classifier": MobileNet, "ssd": Detector, "patches": PatchMemory}


def make_network(net: Net) -> MobileNet:
    """The module that a table describes, with random weights.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> type(make_network(build("ssdlite_mobilenet_v2", width=0.35))).__name__
    'Detector'
    """
    return _BY_HEAD[net.head.kind](net)
