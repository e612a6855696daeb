"""What a trained model is on disk: tensors and the card that explains them.

safetensors is a JSON header and raw bytes. Tensors are read by its own library; the header here, as the base install
has no use for tensors and a card can be read without them, and it is written here, tensors in the network's order.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.net import Net
from mobilenets.errors import MissingExtraError, ModelFileError, UserError
from mobilenets.preprocess import Preprocess
from mobilenets.system.files import write_atomic

METADATA_KEY = "mobilenets.card"  # in safetensors' __metadata__ and ONNX' metadata_props
FORMAT = 1
MULTILABEL = "multilabel"  # the task of several labels a photograph
DETECT = "detect"  # the task of objects, each with a box
ANOMALY = "anomaly"  # the task of good photographs only
CLASSIFY = "classify"  # the task of a card that names none, as those written before there was another
TRAINED_FROM = "trained_from"  # in the provenance of what --from trained further: the name of the run it began with
INSIDE, OUTSIDE = "inside", "outside"  # where a file leaves overlapping boxes out: in its graph, or what runs it does
EXTENDED_FROM = "extended_from"  # likewise of what add-class gave a class: the name of the run that had it not
TILE = "tile"  # likewise: the side of the tiles that large photos were cut into, in pixels
SEARCHED_FROM = "searched_from"  # in the provenance of what a search found: the name of the run it began with

_MAX_HEADER = 16 * 2**20  # a header names a few hundred tensors: a claim beyond this is no such file
# The dtypes written, little-endian, under the names that the format has for them.
_CODES = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "|u1": "U8", "|b1": "BOOL"}
_DTYPES = {np.dtype(code): name for code, name in _CODES.items()}

Array = NDArray[Any]


@dataclass(frozen=True)
class ModelCard:
    """Everything needed to use a model besides its weights, and where it came from.

    Parameters
    ----------
    name
        Of the network, as `list_models` has it.
    net
        Its table.
    classes
        Names in the order of the outputs; none where answers are no names.
    preprocess
        How a photo becomes its input.
    metrics
        As in metrics.json.
    provenance
        Of the weights it started from: tag, source, digest, licence.
    task
        What photos are asked, by its name in `mobilenets.tasks`.
    thresholds
        From which output on each class is there, 0 to 1, where a photo may show several; none: the task knows.
    nms
        Of an exported detector, where it chooses among overlapping boxes: "inside" its graph, or "outside", by what
        runs it; "" for all other files.

    Examples
    --------
    >>> card = read_card(Path("runs/photos"))
    >>> card.classes, card.preprocess.size, card.task
    (('daisy', 'rose', 'tulip'), 32, 'classify')
    >>> ModelCard.from_json(card.to_json()) == card
    True
    """

    name: str
    net: Net
    classes: tuple[str, ...]
    preprocess: Preprocess
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    task: str = CLASSIFY
    thresholds: tuple[float, ...] = ()
    nms: str = ""

    def to_json(self) -> str:
        """One JSON object, readable by people too."""
        content = {
            "format": FORMAT,
            "name": self.name,
            **({} if self.task == CLASSIFY else {"task": self.task}),
            "classes": list(self.classes),
            **({"thresholds": list(self.thresholds)} if self.thresholds else {}),
            **({"nms": self.nms} if self.nms else {}),
            "preprocess": self.preprocess.to_dict(),
            "provenance": self.provenance,
            "metrics": self.metrics,
            "net": self.net.to_dict(),
        }
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """The card whose `to_json` gave this `text`.

        Raises
        ------
        ModelFileError
            Not a card, or one of a later format.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ModelFileError(f"model card of format {content['format']}: this version reads format {FORMAT}")
            card = cls(
                name=str(content["name"]),
                net=Net.from_dict(content["net"]),
                classes=tuple(map(str, content["classes"])),
                preprocess=Preprocess.from_dict(content["preprocess"]),
                metrics=_object(content, "metrics"),
                provenance=_object(content, "provenance"),
                task=str(content.get("task", CLASSIFY)),
                thresholds=tuple(map(float, content.get("thresholds", ()))),
                nms=str(content.get("nms", "")),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(f"model card: not one this version reads ({type(error).__name__}: {error})") from error
        if card.task == CLASSIFY and len(card.classes) != card.net.num_classes:
            raise ModelFileError(f"model card: {len(card.classes)} class names for {card.net.num_classes} outputs")
        if card.nms not in ("", INSIDE, OUTSIDE):
            raise ModelFileError(f"model card: nms is {card.nms!r}, not {INSIDE!r} or {OUTSIDE!r}; export it again")
        if card.thresholds and len(card.thresholds) != len(card.classes):
            raise ModelFileError(f"model card: {len(card.thresholds)} thresholds for {len(card.classes)} classes")
        if not all(0 <= threshold <= 1 for threshold in card.thresholds):
            raise ModelFileError("model card: a threshold that is not from 0 to 1; put back the run's own")
        return card


def _object(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content[key]
    if not isinstance(value, dict):  # a list of pairs would make a dict too, with keys that JSON does not have
        raise TypeError(f"{key} is no object")
    return value


def write_safetensors(path: Path, tensors: Mapping[str, Array], card: ModelCard) -> None:
    """Write tensors and card as one self-describing `.safetensors` file, atomically.

    Parameters
    ----------
    path
        The file.
    tensors
        Arrays by name: float64, float32, float16, int64, int32, uint8 or bool, of any shape.
    card
        Its description.

    Raises
    ------
    ModelFileError
        Another dtype.
    """
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: card.to_json()}}
    offset = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise ModelFileError(f"{path}: {name} has dtype {tensor.dtype}; store one of {', '.join(_DTYPES.values())}")
        end = offset + tensor.nbytes
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format asks that tensors start at a multiple of 8
    body = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in tensors.values())
    write_atomic(path, struct.pack("<Q", len(text)) + text + body)


def read_tensors(path: Path) -> dict[str, Array]:
    """All tensors of a `.safetensors` file by name, in its order; needs safetensors, as installs with torch have.

    Raises
    ------
    ModelFileError
        Truncated, damaged, not such a file, or one with a dtype that numpy has not.
    MissingExtraError
        safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: reading its tensors needs safetensors; run: pip install 'mobilenets[train]'"
        ) from None
    try:
        tensors: dict[str, Array] = load(path.read_bytes())
    except SafetensorError as error:
        raise ModelFileError(f"{path}: not a .safetensors file, or a damaged one ({error}); export it again") from error
    except KeyError as error:
        raise ModelFileError(f"{path}: a tensor has dtype {error}, which numpy has not; store it as float32") from error
    with path.open("rb") as file:  # the library gives another order each time
        return {name: tensors[name] for name in _read_header(path, file) if name in tensors}


def _read_header(path: Path, file: BinaryIO) -> dict[str, Any]:
    start = file.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER + 1
    text = file.read(length) if length <= _MAX_HEADER else b""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if len(text) != length or not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ModelFileError(f"{path}: not a .safetensors file, or a damaged one; export or download it again")
    return header


def _metadata(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return dict(_read_header(path, file).get("__metadata__", {}))


def has_card(path: Path) -> bool:
    """Whether a `.safetensors` file carries a card: one of a run does, published weights do not."""
    return METADATA_KEY in _metadata(path)


def read_card(path: Path) -> ModelCard:
    """The card of a model on disk; never imports torch.

    Parameters
    ----------
    path
        A run folder, a `.safetensors` or an `.onnx` file.

    Returns
    -------
    ModelCard
        As it was written.

    Raises
    ------
    ModelFileError
        None there, or not readable.

    Examples
    --------
    >>> sorted(read_card(Path("runs/photos/model.onnx")).metrics)[:2]
    ['accuracy', 'accuracy_ci95']
    """
    if path.is_dir():
        for name in ("model.safetensors", "model.onnx"):
            if (path / name).exists():
                return read_card(path / name)
        raise ModelFileError(f"{path}: no model in this folder; a run folder has model.safetensors and model.onnx")
    if path.suffix == ".onnx":
        return card_of(path, _onnx_metadata(path))
    return card_of(path, _metadata(path))


def _onnx_metadata(path: Path) -> Mapping[str, str]:
    """Read by onnxruntime, of which every install has one, rather than by the onnx package."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is told below
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it will not be run
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
        metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise ModelFileError(f"{path}: not an ONNX file, or a damaged one; export it again") from error
    return metadata


def card_of(path: Path, metadata: Mapping[str, str]) -> ModelCard:
    """The card among the `metadata` of the file at `path`.

    Raises
    ------
    ModelFileError
        There is none: the file was not written by this package.
    """
    if METADATA_KEY not in metadata:
        raise ModelFileError(
            f"{path}: carries no model card, so its classes and preprocess are unknown; "
            "use a file that 'mobilenets train' wrote"
        )
    try:
        return ModelCard.from_json(str(metadata[METADATA_KEY]))
    except UserError as error:
        raise ModelFileError(f"{path}: {error}") from error
