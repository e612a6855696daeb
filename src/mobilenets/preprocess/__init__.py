"""How a photograph becomes an input: one description, and every implementation of it side by side."""

from pathlib import Path

from mobilenets.preprocess.fit import FITS, PADDING
from mobilenets.preprocess.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

BROWSER = Path(__file__).parent / "browser" / "preprocess.js"  # the same for pages

__all__ = ["BROWSER", "FITS", "IMAGENET_MEAN", "IMAGENET_STD", "PADDING", "Preprocess"]
