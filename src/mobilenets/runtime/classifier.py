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
    >>> classifier.classes
    ('daisy', 'rose', 'tulip')
    >>> answer = classifier.predict("rose.jpg")
    >>> [label for label, probability in answer.top if probability == answer.probability][0] in classifier.classes
    True
    """

    def probabilities(self, pixels: Pixels) -> Outputs:
        """What the network says of pixels.

        Parameters
        ----------
        pixels
            uint8 (N, size, size, C), 0..255, from `card.preprocess.pixels`.

        Returns
        -------
        ndarray
            float32 (N, K), rows summing to 1, in the order of `classes`.

        Examples
        --------
        >>> import mobilenets as mn
        >>> classifier = mn.load("runs/photos")
        >>> pixels = classifier.pixels("rose.jpg")
        >>> classifier.probabilities(pixels[None]).shape
        (1, 3)
        """
        return self.outputs(pixels)
