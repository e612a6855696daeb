"""How a photograph becomes an input: one description, and every implementation of it side by side."""

from mobilenets.preprocess.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Preprocess"]
