"""What a MobileNet is, as data: tables, scaling rules and cost. Imports nothing but the standard library."""

from mobilenets.spec.build import NAMES, build
from mobilenets.spec.rows import Net

__all__ = ["NAMES", "Net", "build"]
