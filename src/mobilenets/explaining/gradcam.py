"""Where a network looks: Grad-CAM at its last map, with a zero that means something.

Selvaraju et al. 2017 (1610.02391) weigh the channels of the map by the mean gradient of the class's logit, sum them
and cut the sum below zero. But a logit alone decides nothing, and where its zero lies is chance: any bias moves it, one
that all classes share too. So what is explained here is how much more probable the class is than the most probable
other one, and what that owes to no place, as a bias, is spread evenly: the mean over all places is the quantity
explained. Where a linear layer follows pooling, a place has the value that the network would give to a picture that
looks like it everywhere. Above zero it speaks for the class, and for the predicted class some place always does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from torch import nn

from mobilenets.errors import UsageError
from mobilenets.model_card import ANOMALY, CLASSIFY, DETECT, ModelCard
from mobilenets.nn.io import Network, open_network
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Pixels
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.predictor import Row, Source
from mobilenets.tasks.classify.answers import Prediction

Heat = NDArray[np.float32]
IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Explanation:
    """Which part of an image speaks for a class.

    Attributes
    ----------
    prediction
        What the network answers.
    label
        The class explained, which need not be the one predicted.
    probability
        Of that class, 0 to 1.
    crop
        What the network saw of the image, uint8 (h, w, C), in the image's proportions and without padding: a square of
        the input's size where the centre is cropped.
    heat
        float32 (h, w), 0 to 1, where 1 is the strongest place of this image; all 0 where nothing speaks for the class.
    """

    prediction: Prediction
    label: str
    probability: float
    crop: Pixels
    heat: Heat


def explains(card: ModelCard) -> bool:
    """Whether answers are classes, which something in a photograph may speak for."""
    return card.task == CLASSIFY


class Explainer:
    """Grad-CAM for any of the networks; may be used by several threads at once.

    Parameters
    ----------
    network
        One of our own: an exported graph has no gradients.

    Raises
    ------
    UsageError
        Its answers are no classes.

    Examples
    --------
    >>> seen = Explainer.open("runs/photos").explain("rose.jpg", "rose")
    >>> seen.label, seen.heat.shape == seen.crop.shape[:2]
    ('rose', True)
    """

    def __init__(self, network: Network) -> None:
        if not explains(network.card):
            card = network.card
            says_where = card.task in (DETECT, ANOMALY)
            remedy = "'mobilenets predict --save' draws where" if says_where else "use a run for classes"
            raise UsageError(f"{card.name}: the answers of {card.task!r} are no classes to explain; {remedy}")
        self._network = network
        self._classifier = Classifier(TorchEngine(network.model, network.card))

    @classmethod
    def open(cls, path: str | Path) -> Explainer:
        """Of a run folder or a `.safetensors`: an exported graph has no gradients.

        Raises
        ------
        UserError
            No such file, or none with a network in it.
        """
        return cls(open_network(Path(path)))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self._network.card.classes

    def explain(self, source: Source, label: str | None = None) -> Explanation:
        """What in one image speaks for the predicted class, or for `label`.

        Parameters
        ----------
        source
            A path, the bytes of a file, a PIL image or a uint8 array (H, W, 3).
        label
            The class to explain; None: the predicted one.

        Returns
        -------
        Explanation
            What the network saw, and the heat over that.

        Raises
        ------
        UserError
            The image cannot be read, or no class is called `label`.
        """
        self.check(label)
        decoded = self._classifier.decoded(source)
        pixels = self._classifier.pixels(decoded)
        features, probabilities = self._forward(pixels[None])
        row = probabilities[0].numpy()
        target = int(row.argmax()) if label is None else self.classes.index(label)
        preprocess, size = self._network.card.preprocess, decoded.image.size
        heat = preprocess.photo_part(self._heat(features, torch.tensor([target]))[0], *size)
        strongest = heat.max()  # padding may have had the strongest place
        return Explanation(
            self._classifier.answer(source, Row(row)),
            self.classes[target],
            float(row[target]),
            preprocess.photo_part(pixels, *size),
            heat / strongest if strongest > 0 else heat,
        )

    def check(self, label: str | None) -> None:
        """Refuse a class the network does not know.

        Raises
        ------
        UserError
            No class is called `label`.
        """
        if label is not None and label not in self.classes:
            known = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
            raise UsageError(f"class: {label!r} is none of this model's; it knows {known}")

    def heat(self, pixels: Pixels, targets: IntArray) -> Heat:
        """Heat maps float32 (N, size, size) of pixels uint8 (N, size, size, C), for class numbers `targets` (N,)."""
        features, _ = self._forward(pixels)
        return self._heat(features, torch.from_numpy(np.asarray(targets, np.int64)))

    @torch.no_grad()
    def _forward(self, pixels: Pixels) -> tuple[torch.Tensor, torch.Tensor]:
        """The last map (N, C, h, w) and the probabilities (N, K). Gradients are needed behind the map only."""
        model = self._network.model
        images = torch.from_numpy(self._network.card.preprocess.normalize(pixels))
        features = model.forward_features(images.to(memory_format=torch.channels_last))
        return features, model.forward_head(features).softmax(1)

    def _heat(self, features: torch.Tensor, targets: torch.Tensor) -> Heat:
        head = _Head(self._network.model)
        with torch.enable_grad():
            maps = LayerGradCam(head, head.map).attribute(features.requires_grad_(), additional_forward_args=targets)
        maps, count = maps.detach(), maps[0].numel()
        with torch.no_grad():
            whole = head(features, targets)[:, None, None, None]
        local = whole + count * (maps - maps.mean((2, 3), keepdim=True))
        size = self._network.card.preprocess.size
        # Bilinear would draw the squares of a 7×7 map.
        large = LayerAttribution.interpolate(local, (size, size), "bicubic")[:, 0].clamp(min=0)
        strongest = large.amax((1, 2), keepdim=True)
        result: Heat = torch.where(strongest > 0, large / strongest, 0).numpy()
        return result


class _Head(nn.Module):
    """The network behind its last map, which passes a module of its own for captum to hook.

    The whole network would be hooked for all threads, and differentiated down to its pixels for nothing.
    """

    def __init__(self, model: MobileNet) -> None:
        super().__init__()
        self.map = nn.Identity()
        self.model = model

    def forward(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The last map (N, C, h, w), classes (N,) → log of the class's probability over the largest other (N,)."""
        logits = self.model.forward_head(self.map(features))
        own = F.one_hot(targets, logits.shape[1]).bool()
        return logits[own] - logits.masked_fill(own, -torch.inf).amax(1)
