"""The tensors of a weight file, whoever wrote it: read without running anything that lies in the file."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from mobilenets.arch.build import IMAGENET_CLASSES
from mobilenets.arch.ssd import BOX
from mobilenets.errors import ModelFileError
from mobilenets.weights.convert import read_h5

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".h5")
NESTED = ("state_dict", "model", "model_ema")  # training scripts store the weights under one of these
# Of a detector's finest map, which has as many anchors for the classes as for the boxes.
DETECTOR_BIASES = (
    ("head.classification_head.module_list.0.1.bias", "head.regression_head.module_list.0.1.bias"),
    ("heads.0.classes.predict.bias", "heads.0.boxes.predict.bias"),
)


def is_file(weights: str | Path) -> bool:
    """Whether `weights` is a file by its kind or by being one; else it is a tag."""
    path = Path(weights)
    return isinstance(weights, Path) or path.suffix in SUFFIXES or path.is_file()


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weight file, by their names there; never runs code from it.

    Raises
    ------
    UserError
        No such file, an unknown kind, damaged, or a pickle that holds more than tensors.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; give weights as {', '.join(SUFFIXES)}, or a tag")
    if path.suffix == ".h5":
        return read_h5(path)
    if path.suffix not in SUFFIXES:
        raise ModelFileError(f"{path}: not a kind of weight file; use {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{path}: not plain tensors, or damaged; files with other objects are not opened"
        ) from error
    except Exception as error:  # torch and safetensors raise many kinds for damaged files
        raise ModelFileError(f"{path}: not a readable weight file ({type(error).__name__}); fetch it again") from error
    for key in NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items()
    ):
        raise ModelFileError(f"{path}: holds no state dict (a mapping of names to tensors)")
    return {key.removeprefix("module."): value for key, value in content.items()}


def has_boxes(state: dict[str, torch.Tensor]) -> bool:
    """Whether these are a detector's tensors, and not those of a classifier."""
    return any(boxes in state for _, boxes in DETECTOR_BIASES)


def num_classes_of(state: dict[str, torch.Tensor]) -> int:
    """Number of outputs of the classifier in `state`; ImageNet's where it has none."""
    for key in ("classifier.weight", "classifier.1.weight", "classifier.3.weight"):
        if key in state:
            return int(state[key].shape[0])
    for key in ("conv_preds/kernel", "predictions/kernel", "logits/kernel"):
        if key in state:
            return int(state[key].shape[-1])
    for classes, boxes in DETECTOR_BIASES:
        if classes in state and boxes in state:
            return int(state[classes].shape[0] * BOX // max(state[boxes].shape[0], 1))
    return IMAGENET_CLASSES
