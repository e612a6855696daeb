"""Files of features, as `embed` writes and `similar` reads them: `.npy` with a `.json` beside it, or `.parquet`.

Features are float32 (N, D), each of length 1. The `.json` has the paths of the rows and what tells the model; a parquet
file has the columns `path` and `features`, and the model in its metadata.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mobilenets.errors import MissingExtraError, ModelFileError, UsageError
from mobilenets.features.neighbours import Features
from mobilenets.system.files import replacing, write_atomic

SUFFIXES = (".npy", ".parquet")
_MODEL = "mobilenets.model"
_CHUNK = 1024  # rows of a parquet row group
_NPY_HEADER = 128  # bytes that are left for it, as the number of rows is known in the end only

Row = tuple[str, Features]  # the path of an image and its features (D,)


class StoredFeatures(NamedTuple):
    """Features float32 (N, D), the paths of their images, and the model they are of."""

    features: Features
    paths: tuple[str, ...]
    model: str


def write_features(path: Path, rows: Iterable[Row], width: int, model: str) -> int:
    """Write features as they come, in constant memory, all or none; how many.

    Parameters
    ----------
    path
        A new file that ends in one of `SUFFIXES`.
    rows
        Paths and features.
    width
        Features of each.
    model
        `model_id` of the network's card.

    Raises
    ------
    UserError
        Another suffix, or pyarrow is not installed.
    """
    if path.suffix == ".npy":
        return _write_npy(path, rows, width, model)
    if path.suffix == ".parquet":
        return _write_parquet(path, rows, width, model)
    raise UsageError(f"{path}: name a file that ends in {' or '.join(SUFFIXES)}")


def read_features(path: Path) -> StoredFeatures:
    """What `write_features` wrote.

    Raises
    ------
    UserError
        No such file, or a damaged one.
    """
    try:
        found = _read_npy(path) if path.suffix == ".npy" else _read_parquet(path)
    except (OSError, ValueError, KeyError, TypeError, EOFError, struct.error) as error:
        raise ModelFileError(f"{path}: not what 'mobilenets embed' wrote, or damaged ({error}); embed again") from error
    if found.features.ndim != 2 or len(found.features) != len(found.paths) or not np.isfinite(found.features).all():
        raise ModelFileError(f"{path}: not what 'mobilenets embed' wrote, or damaged; embed again")
    return found


def _write_npy(path: Path, rows: Iterable[Row], width: int, model: str) -> int:
    paths: list[str] = []
    with replacing(path) as part:
        with part.open("wb") as file:
            file.write(bytes(_NPY_HEADER))
            for name, features in rows:
                paths.append(name)
                file.write(np.ascontiguousarray(features, "<f4").tobytes())
            file.seek(0)
            file.write(_npy_header(len(paths), width))
        text = json.dumps({"model": model, "paths": paths}, ensure_ascii=False)
        write_atomic(path.with_suffix(".json"), text.encode(errors="surrogateescape"))
    return len(paths)


def _npy_header(count: int, width: int) -> bytes:
    """Version 1.0 of the format, filled with spaces to `_NPY_HEADER`."""
    described = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {width}), }}".encode()
    text = described.ljust(_NPY_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _read_npy(path: Path) -> StoredFeatures:
    content = json.loads(path.with_suffix(".json").read_bytes().decode(errors="surrogateescape"))
    features = np.load(path, allow_pickle=False)
    if features.dtype != np.float32:
        raise ValueError(f"its numbers are {features.dtype}")
    return StoredFeatures(features, tuple(map(str, content["paths"])), str(content["model"]))


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: parquet needs pyarrow; run: pip install 'mobilenets[shards]', or name a .npy"
        ) from None
    return pyarrow


def _write_parquet(path: Path, rows: Iterable[Row], width: int, model: str) -> int:
    pyarrow = _pyarrow(path)
    kind = pyarrow.list_(pyarrow.float32(), width)
    schema = pyarrow.schema([("path", pyarrow.string()), ("features", kind)], metadata={_MODEL: model})
    count = 0
    with replacing(path) as part, pyarrow.parquet.ParquetWriter(part, schema) as writer:
        for chunk in _chunks(rows):
            names = [name.encode(errors="backslashreplace").decode() for name, _ in chunk]
            flat = pyarrow.array(np.concatenate([features for _, features in chunk]).astype(np.float32))
            columns = [pyarrow.array(names), pyarrow.FixedSizeListArray.from_arrays(flat, width)]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            count += len(chunk)
    return count


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _read_parquet(path: Path) -> StoredFeatures:
    pyarrow = _pyarrow(path)
    table = pyarrow.parquet.read_table(path)
    width = table.schema.field("features").type.list_size
    features = table.column("features").combine_chunks().flatten().to_numpy().reshape(-1, width)
    model = (table.schema.metadata or {})[_MODEL.encode()].decode()
    return StoredFeatures(features, tuple(table.column("path").to_pylist()), model)
