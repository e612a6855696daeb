"""TFLite metadata, as Android's and MediaPipe's readers expect it: what goes in, what comes out, which labels.

Written by hand, field by field of tensorflow/lite/support/metadata/metadata_schema.fbs (version 1.5): the package
that writes it, tflite-support, ended in 2023 with Python 3.11.
"""

from __future__ import annotations

from collections.abc import Callable

import flatbuffers

from mobilenets.model_card import ModelCard
from mobilenets.runtime.base import FEATURES, LENGTH, MEANS, vector_ends

LABELS = "labels.txt"

_IDENTIFIER = b"M001"
_IMAGE_PROPERTIES = 2  # of union ContentProperties; 1 is FeatureProperties
_FEATURE_PROPERTIES = 1
_COLOR_SPACE = {"RGB": 1, "L": 2}
_TENSOR_AXIS_LABELS = 2  # of enum AssociatedFileType
_BESIDE = {
    FEATURES: "what the classifier sees, at length 1: no classes of its own",
    LENGTH: "the length that the features had",
    MEANS: "of each channel of an earlier map: no classes of its own",
}
_Value = Callable[[flatbuffers.Builder, int], None]


def model_metadata(card: ModelCard) -> bytes:
    """The content of the model's metadata buffer."""
    b = flatbuffers.Builder(1024)
    size = _table(b, {0: _number("Uint32", card.preprocess.size), 1: _number("Uint32", card.preprocess.size)})
    color = _number("Int8", _COLOR_SPACE[card.preprocess.mode])
    image = _table(b, {0: color, 1: _offset(size)})
    pixels = _table(b, {0: _number("Uint8", _IMAGE_PROPERTIES), 1: _offset(image)})
    lowest, highest = _floats(b, [0.0]), _floats(b, [255.0])
    range_of_pixels = _table(b, {0: _offset(highest), 1: _offset(lowest)})
    fit = card.preprocess.fit
    text = f"uint8 pixels, resized to a square (fit {fit}) as card.json says; normalisation is inside the graph"
    taken = _tensor(b, "image", text, {3: pixels, 5: range_of_pixels})

    feature = _table(b, {})
    vector = _table(b, {0: _number("Uint8", _FEATURE_PROPERTIES), 1: _offset(feature)})
    zero, one = _floats(b, [0.0]), _floats(b, [1.0])
    range_of_probabilities = _table(b, {0: _offset(one), 1: _offset(zero)})
    name, about = b.CreateString(LABELS), b.CreateString("class names in the order of the outputs")
    labels = _table(b, {0: _offset(name), 1: _offset(about), 2: _number("Int8", _TENSOR_AXIS_LABELS)})
    files = _vector(b, [labels])
    given = _tensor(b, "probabilities", "of each class", {3: vector, 5: range_of_probabilities, 6: files})
    beside = [_tensor(b, end.name, _BESIDE[end.name], {3: vector}) for end in vector_ends(card)]

    inputs, outputs = _vector(b, [taken]), _vector(b, [given, *beside])
    subgraphs = _vector(b, [_table(b, {2: _offset(inputs), 3: _offset(outputs)})])
    title, licence = b.CreateString(card.name), b.CreateString(card.provenance.get("licence", ""))
    version = b.CreateString("1.0.0")  # the oldest reader that understands the fields used here
    b.Finish(
        _table(b, {0: _offset(title), 3: _offset(subgraphs), 5: _offset(licence), 7: _offset(version)}), _IDENTIFIER
    )
    return bytes(b.Output())


def _tensor(b: flatbuffers.Builder, name: str, description: str, offsets: dict[int, int]) -> int:
    """TensorMetadata: name, description, and by field number content (3), stats (5), associated_files (6)."""
    texts = {0: b.CreateString(name), 1: b.CreateString(description)}
    return _table(b, {field: _offset(at) for field, at in {**texts, **offsets}.items()})


def _table(b: flatbuffers.Builder, values: dict[int, _Value]) -> int:
    b.StartObject(max(values, default=-1) + 1)
    for field, put in values.items():
        put(b, field)
    return int(b.EndObject())


def _offset(at: int) -> _Value:
    return lambda b, field: b.PrependUOffsetTRelativeSlot(field, at, 0)


def _number(kind: str, value: int) -> _Value:
    return lambda b, field: getattr(b, f"Prepend{kind}Slot")(field, value, 0)


def _vector(b: flatbuffers.Builder, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for at in reversed(offsets):
        b.PrependUOffsetTRelative(at)
    return int(b.EndVector())


def _floats(b: flatbuffers.Builder, values: list[float]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependFloat32(value)
    return int(b.EndVector())
