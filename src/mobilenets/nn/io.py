"""A network on disk: `.safetensors` with its tensors and the card that describes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mobilenets.errors import ModelFileError
from mobilenets.model_card import ModelCard, read_card, read_tensors, write_safetensors
from mobilenets.nn.layers import channels_last
from mobilenets.nn.model import MobileNet
from mobilenets.nn.network import make_network


@dataclass(frozen=True)
class Network:
    """A network and its card: what can be exported, explained, searched from and trained on.

    `model` is in eval mode, its weights laid out for fast convolutions.
    """

    model: MobileNet
    card: ModelCard


def write_network(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Keep a network with its card: a `.safetensors` that `read_network` reads, written whole or not at all.

    Parameters
    ----------
    path
        The file; one that exists is replaced.
    model
        The `MobileNet` that the card describes, on any device.
    card
        Its classes, preprocess and figures.
    """
    tensors = {k: v.detach().cpu().contiguous().numpy() for k, v in model.state_dict().items()}
    write_safetensors(path, tensors, card)


def read_network(path: Path) -> Network:
    """The network of a `.safetensors` file with a card, on the CPU.

    Parameters
    ----------
    path
        A file that `write_network` wrote.

    Returns
    -------
    Network
        In eval mode.

    Raises
    ------
    UserError
        No card, or tensors that are not those of its network.
    """
    card = read_card(path)
    state = {name: torch.from_numpy(tensor) for name, tensor in read_tensors(path).items()}
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        model = make_network(card.net)
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ModelFileError(f"{path}: its tensors are not those of the network its card describes") from error
    return Network(channels_last(model).eval(), card)


def open_network(path: Path) -> Network:
    """The network of a run folder or a `.safetensors`.

    Parameters
    ----------
    path
        A folder that `mobilenets train` or `search` wrote, or a file.

    Returns
    -------
    Network
        In eval mode.

    Raises
    ------
    UserError
        Nothing there, or a file that holds a graph and no network.
    """
    if path.is_dir():
        file = path / "model.safetensors"
        if not file.exists():
            raise ModelFileError(
                f"{path}: holds no model.safetensors, so there are no weights; give a complete run folder"
            )
        return read_network(file)
    if not path.exists():
        raise ModelFileError(f"{path}: no such file, folder or published name; 'mobilenets models' lists the names")
    if path.suffix != ".safetensors":
        raise ModelFileError(
            f"{path}: only a network can be exported or explained; give a run folder, a .safetensors or a name"
        )
    return read_network(path)
