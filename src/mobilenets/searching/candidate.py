"""What a search compares: a network and the size of the images it is shown, since both decide how long one takes."""

from __future__ import annotations

from dataclasses import dataclass

from mobilenets.arch.net import Net


@dataclass(frozen=True)
class Candidate:
    """A network and the side of its input in pixels: what a latency belongs to."""

    net: Net
    size: int
