"""`.safetensors`, or a network in memory, in torch on the CPU."""

from __future__ import annotations

from pathlib import Path

import torch

from mobilenets.model_card import ModelCard
from mobilenets.nn.io import open_network, read_network
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels, Probabilities


class TorchEngine:
    """Runs a network (`model`, in eval mode) in float32, channels-last."""

    whole = False
    origin: Origin | None = None

    def __init__(self, model: MobileNet, card: ModelCard) -> None:
        self.card = card
        self.model = channels_last(model).eval()

    @classmethod
    def read(cls, path: Path, threads: int | None = None) -> TorchEngine:
        """The engine of a `.safetensors` file with a card.

        Raises:
            UserError: no card, or tensors that are not those of its network.
        """
        if threads:
            torch.set_num_threads(threads)
        network = read_network(path)
        return cls(network.model, network.card)

    @classmethod
    def open(cls, path: Path) -> TorchEngine:
        """The engine of a run folder or a `.safetensors`: what can be exported and explained.

        Raises:
            UserError: nothing there, or a file that holds a graph and no network.
        """
        network = open_network(path)
        return cls(network.model, network.card)

    def concurrent(self) -> Engine:
        """Itself, one thread at a time."""
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """Itself, on one thread: OpenMP's do not survive."""
        torch.set_num_threads(1)
        return self

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, size, size, C) → probabilities float32 (N, K)."""
        images = torch.from_numpy(self.card.preprocess.normalize(pixels)).to(memory_format=torch.channels_last)
        probabilities: Probabilities = self.model(images).softmax(1).numpy()
        return probabilities
