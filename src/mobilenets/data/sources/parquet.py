"""Hugging Face data sets: parquet files with a column of images and one of classes.

A photograph is reached through its row group, which is read and unpacked as a whole. Hugging Face writes 100
photographs to a group; files with thousands in one are slow to shuffle until their pixels are cached.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mobilenets.data.cache.fingerprint import FileFingerprint
from mobilenets.data.sample import Member
from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.split_names import split_of_shard
from mobilenets.data.sources.survey import Survey
from mobilenets.errors import DataError, MissingExtraError
from mobilenets.preprocess.decode import UnreadableImage
from mobilenets.system.progress import Progress

_RECENT = 2  # row groups kept unpacked: what reading in order needs, with threads at both sides of a boundary


@dataclass(frozen=True)
class ParquetFile:
    """A parquet file, as it was when it was indexed; coordinates are a row group and a row in it.

    `column` holds the files' bytes, as `image.bytes`.
    """

    path: Path
    fingerprint: FileFingerprint
    column: str

    def read(self, offset: int, extent: int) -> bytes:
        """The file's bytes in row `extent` of row group `offset`.

        Raises
        ------
        UnreadableImage
            The parquet file is gone, damaged or was changed since, or the row is empty.
        """
        content = _row_group(self, offset)[extent].as_py()
        if content is None:
            raise UnreadableImage(f"{self.path}: row {extent} of group {offset} holds no image; store the bytes in it")
        return bytes(content)


@lru_cache(maxsize=_RECENT)
def _row_group(file: ParquetFile, group: int) -> Any:
    """The column of one row group, as an arrow array of binary values."""
    arrow = _arrow()
    with file.fingerprint.opened(file.path) as source:
        try:
            column = arrow.parquet.ParquetFile(source).read_row_group(group, columns=[file.column]).column(0)
        except arrow.ArrowException as error:
            raise UnreadableImage(f"{file.path}: damaged ({_line(error)}); copy it again from where it came") from None
    array = column.combine_chunks()
    return array.field("bytes") if arrow.types.is_struct(array.type) else array


def read_parquet(files: Sequence[Path]) -> tuple[Samples, Survey]:
    """The photographs of all files, each called FILE/ROW, followed by the name it had where that is known.

    Raises
    ------
    UserError
        A file that is no parquet, or without a column of images or of classes.
    """
    arrow = _arrow()
    found = SamplesBuilder()
    with Progress("reading parquet files", len(files), "file") as progress:
        for path in files:
            try:
                _read_file(path, found)
            except (arrow.ArrowException, OSError) as error:
                raise DataError(f"{path}: not a readable parquet file ({_line(error)})") from error
            progress.advance()
    return found.samples(), found.survey


def _read_file(path: Path, found: SamplesBuilder) -> None:
    fingerprint, split = FileFingerprint.of(path), split_of_shard(path.stem)
    with _arrow().parquet.ParquetFile(path) as content:
        schema = content.schema_arrow
        features = _features(schema)
        image, column = _image_column(path, schema, features)
        label, names = _label_column(path, schema, features)
        file = ParquetFile(path, fingerprint, column)
        has_names = f"{image}.path" in {content.schema.column(k).path for k in range(len(content.schema.names))}
        row = 0
        for group in range(content.num_row_groups):
            labels = content.read_row_group(group, columns=[label]).column(0).to_pylist()
            paths: list[Any] = [None] * len(labels)
            if has_names:
                values = content.read_row_group(group, columns=[f"{image}.path"]).column(0).to_pylist()
                paths = [value and value["path"] for value in values]
            for k, (value, original) in enumerate(zip(labels, paths, strict=True)):
                if value is None:
                    raise DataError(f"{path}: row {row} has no {label}; fill it in, or leave the row out")
                called = f"{path}/{row}" + (f"/{Path(original).name}" if original else "")
                name = names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)
                found.add(called, name, split, member=Member(file, group, k))
                row += 1


def _features(schema: Any) -> dict[str, Any]:
    """What the `datasets` library noted about the columns, by name."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {k: v for k, v in noted.items() if isinstance(v, dict)} if isinstance(noted, dict) else {}


def _image_column(path: Path, schema: Any, features: dict[str, Any]) -> tuple[str, str]:
    """The column of images, and the one inside it that holds the bytes."""
    arrow = _arrow()

    def has_bytes(kind: Any) -> bool:
        return bool(arrow.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)

    def binary(kind: Any) -> bool:
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    kinds = {field.name: field.type for field in schema}
    candidates = [n for n in kinds if features.get(n, {}).get("_type") == "Image"] or list(kinds)
    for name in candidates:
        if has_bytes(kinds[name]):
            return name, f"{name}.bytes"
    for name in candidates:
        if binary(kinds[name]):
            return name, name
    raise DataError(f"{path}: no column of images; it has {', '.join(kinds)}")


def _label_column(path: Path, schema: Any, features: dict[str, Any]) -> tuple[str, Sequence[str]]:
    """The column of classes (the first ClassLabel, else `label`), and the names of its numbers if they have some."""
    classes = [n for n, f in features.items() if f.get("_type") == "ClassLabel" and n in schema.names]
    name = classes[0] if classes else "label"
    if name not in schema.names:
        raise DataError(f"{path}: no column `label`; it has {', '.join(schema.names)}")
    return name, [str(n) for n in features.get(name, {}).get("names") or ()]


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtraError("pyarrow is not installed; run: pip install 'mobilenets[shards]'") from None
    return pyarrow


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
