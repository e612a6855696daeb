"""The result of a bulk prediction on disk: a folder of parts, each complete or absent, and a manifest.

Part k holds the predictions of paths k·`size` to (k + 1)·`size` - 1, in their order. The manifest says of which
model and which list of paths, so that a second start does what is missing and nothing else is ever mixed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args, get_type_hints

from mobilenets.errors import DataError, UsageError
from mobilenets.features.index import FILE as INDEX
from mobilenets.runtime.predictor import Failure
from mobilenets.system.files import write_atomic
from mobilenets.tasks.task import Answer

# Readers of a folder of parquet or json files pass over names that begin with an underscore.
MANIFEST = "_manifest.json"
SIZE = 500  # pictures a part: seconds of work, which is what a killed worker loses


@dataclass(frozen=True)
class ModelFiles:
    """What a worker opens: the bytes of a model, of the index beside it (None: there is none), and `accept` for it."""

    model: bytes
    index: bytes | None = None
    accept: float | None = None

    @classmethod
    def read(cls, model: Path, accept: float | None) -> ModelFiles:
        """The files at `model` and beside it."""
        index = model.with_name(INDEX)
        return cls(model.read_bytes(), index.read_bytes() if index.is_file() else None, accept)

    def write(self, folder: Path) -> Path:
        """Put them into `folder`; where the model lies there."""
        path = folder / "model.onnx"
        path.write_bytes(self.model)
        if self.index is not None:
            (folder / INDEX).write_bytes(self.index)
        return path


@dataclass(frozen=True)
class Manifest:
    """What the parts of a folder are; folders with equal ones can be completed."""

    model: str
    source: str
    pictures: int
    form: str
    top: int | None
    index: str | None = None
    accept: float | None = None
    tile: int | None = None
    size: int = SIZE
    format: int = 1

    @property
    def parts(self) -> int:
        """How many parts there will be."""
        return -(-self.pictures // self.size)

    def path(self, folder: Path, part: int) -> Path:
        """The file of part number `part`."""
        return folder / f"part-{part:06d}.{self.form}"

    def missing(self, folder: Path) -> list[int]:
        """The parts not there yet."""
        return [part for part in range(self.parts) if not self.path(folder, part).exists()]


def make_manifest(
    files: ModelFiles, paths: Iterable[str], form: str, top: int | None, tile: int | None = None
) -> Manifest:
    """Count and hash the paths, without keeping them."""
    digest, count = hashlib.sha256(), 0
    for path in paths:
        digest.update(json.dumps(path).encode() + b"\n")
        count += 1
    index = None if files.index is None else hashlib.sha256(files.index).hexdigest()
    model = hashlib.sha256(files.model).hexdigest()
    return Manifest(model, digest.hexdigest(), count, form, top, index, files.accept, tile)


def claim(folder: Path, manifest: Manifest) -> None:
    """Make `folder` the place of these parts, or recognise it as such.

    Raises
    ------
    UserError
        It holds something else, or parts of another model, source, form or `top`.
    """
    path = folder / MANIFEST
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            there = None
        if not isinstance(there, dict):
            raise DataError(f"{path}: not a manifest, or a damaged one; choose another --out")
        wanted = asdict(manifest)
        other = [name for name in wanted if there.get(name) != wanted[name]]
        if other:
            named = {"form": "--format", "top": "--top", "accept": "--accept", "tile": "--tile", "pictures": "source"}
            what = named.get(other[0], other[0])
            raise DataError(f"{folder}: holds predictions with another {what}; choose another --out")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: exists already and is no folder of predictions; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(asdict(manifest), indent=1) + "\n")


def chunks(paths: Iterable[str], size: int) -> Iterator[list[str]]:
    """The paths of one part after another."""
    iterator = iter(paths)
    while part := list(islice(iterator, size)):
        yield part


def record(result: Answer | Failure, top: int | None) -> dict[str, Any]:
    """What is told of one picture, by the names of jsonl and parquet."""
    if isinstance(result, Failure):
        return {"path": result.path, "error": result.error}
    return {"path": result.path, **result.cut(top).to_dict()}


def json_line(result: Answer | Failure, top: int | None) -> str:
    """One object, as text; bytes of a file name that are no text as \\udcXX."""
    text = json.dumps(record(result, top), ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def write_part(path: Path, results: Sequence[Answer | Failure], top: int | None, fields: Mapping[str, Any]) -> None:
    """Write one part, complete or not at all. `fields`: what an answer has, as `Task.fields` says."""
    if path.suffix == ".jsonl":
        write_atomic(path, "".join(json_line(result, top) + "\n" for result in results))
        return
    write_atomic(path, _parquet([record(result, top) for result in results], fields))


def _parquet(records: list[dict[str, Any]], fields: Mapping[str, Any]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    # Spelled out, so that a part without errors, or with nothing else, has the columns of the others.
    types = {"path": str, **fields, "error": str}
    schema = pyarrow.schema([(name, _arrow(kind)) for name, kind in types.items()])
    for row in records:
        row["path"] = row["path"].encode(errors="backslashreplace").decode()
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records, schema=schema), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _arrow(kind: Any) -> Any:
    """What a type of `Task.fields` is in a table: text, numbers, lists, and dataclasses of these."""
    import pyarrow

    simple = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64(), bool: pyarrow.bool_()}
    if kind in simple:
        return simple[kind]
    if is_dataclass(kind):
        return pyarrow.struct([(name, _arrow(part)) for name, part in get_type_hints(kind).items()])
    return pyarrow.list_(_arrow(get_args(kind)[0]))
