"""A trained classifier in use: pictures in, names and probabilities out."""

from __future__ import annotations

from mobilenets.runtime.base import Pixels
from mobilenets.runtime.predictor import Predictor
from mobilenets.tasks.classify.answers import Prediction
from mobilenets.tasks.task import Outputs


class Classifier(Predictor[Prediction]):
    """A predictor whose answers are classes.

    Examples
    --------
    >>> import mobilenets as mn
    >>> classifier = mn.load("runs/photos")
    >>> classifier.predict("rose.jpg").label in classifier.classes
    True
    """

    def probabilities(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) from `card.preprocess.pixels` → float32 (N, K), rows summing to 1."""
        return self.outputs(pixels)
