"""`.safetensors`, or a network in memory, in torch on the CPU."""

from __future__ import annotations

from pathlib import Path

import torch

from mobilenets.errors import UserError
from mobilenets.model_card import ModelCard, read_card, read_tensors, write_safetensors
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels, Probabilities


def write_network(path: Path, model: torch.nn.Module, card: ModelCard) -> None:
    """Keep a network with its card: a `.safetensors` that `TorchEngine.read` reads."""
    tensors = {k: v.detach().cpu().contiguous().numpy() for k, v in model.state_dict().items()}
    write_safetensors(path, tensors, card)


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
        card = read_card(path)
        state = {name: torch.from_numpy(tensor) for name, tensor in read_tensors(path).items()}
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            model = MobileNet(card.net)
        try:
            model.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise UserError(f"{path}: its tensors are not those of the network its card describes") from error
        return cls(model, card)

    @classmethod
    def open(cls, path: Path) -> TorchEngine:
        """The engine of a run folder or a `.safetensors`: what can be exported and explained.

        Raises:
            UserError: nothing there, or a file that holds a graph and no network.
        """
        if path.is_dir():
            file = path / "model.safetensors"
            if not file.exists():
                raise UserError(
                    f"{path}: holds no model.safetensors, so there are no weights; give a complete run folder"
                )
            return cls.read(file)
        if not path.exists():
            raise UserError(f"{path}: no such file, folder or published name; 'mobilenets models' lists the names")
        if path.suffix != ".safetensors":
            raise UserError(
                f"{path}: only a network can be exported or explained; give a run folder, a .safetensors or a name"
            )
        return cls.read(path)

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
