"""What a MobileNet is, as data: tables, scaling rules and cost. Imports the standard library, and numpy for anchors."""

from mobilenets.arch.build import DEFAULT_NAME, DETECTORS, NAMES, build
from mobilenets.arch.net import Net

__all__ = ["DEFAULT_NAME", "DETECTORS", "NAMES", "Net", "build"]
