"""The container `.safetensors`: a JSON header and raw bytes, read and written here, as the base install has no library.

Only what this package writes for itself is read so; weights from elsewhere are read by the format's own library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenets.errors import ModelFileError

# The dtypes written, little-endian, under the names that the format has for them.
_CODES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
DTYPES = {name: np.dtype(code) for name, code in _CODES.items()}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_MAX_HEADER = 16 * 2**20  # a header names a few tensors: a claim beyond this is no such file

Array = NDArray[Any]


def pack(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a `.safetensors` file: the same ones for the same tensors and metadata."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format asks that tensors start at a multiple of 8
    body = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in tensors.values())
    return struct.pack("<Q", len(text)) + text + body


def unpack(path: Path, max_bytes: int) -> tuple[dict[str, Array], dict[str, str]]:
    """Tensors and metadata of a file that `pack` made, which may be damaged; tensors cannot be written to.

    Raises
    ------
    UserError
        Not there, longer than `max_bytes`, cut off, or with tensors that do not lie end to end in it.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    if path.stat().st_size > max_bytes:
        raise ModelFileError(f"{path}: has more than the {max_bytes:,} bytes that one can have; not a file of a run")
    content = path.read_bytes()
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + min(length, _MAX_HEADER)])
        metadata = {str(key): str(value) for key, value in header.pop("__metadata__", {}).items()}
        tensors, offset = {}, 0
        for name, entry in header.items():
            dtype, shape = DTYPES[entry["dtype"]], [int(n) for n in entry["shape"]]
            count = _product(shape)
            end = offset + count * dtype.itemsize
            if entry["data_offsets"] != [offset, end]:
                raise ValueError(f"{name} does not lie where it should")
            tensors[name] = np.frombuffer(content, dtype, count, 8 + length + offset).reshape(shape)
            offset = end
        if 8 + length + offset != len(content):
            raise ValueError("bytes that belong to no tensor")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelFileError(f"{path}: not a .safetensors file, or a damaged one ({error}); make it again") from error
    return tensors, metadata


def _product(shape: list[int]) -> int:
    count = 1
    for n in shape:
        if n < 0:
            raise ValueError("a negative size")
        count *= n
    return count
