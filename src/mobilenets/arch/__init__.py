"""What a MobileNet is, as data: tables, scaling rules and cost. Imports nothing but the standard library."""

from mobilenets.arch.build import DEFAULT_NAME, NAMES, build
from mobilenets.arch.net import Net

__all__ = ["DEFAULT_NAME", "NAMES", "Net", "build"]
