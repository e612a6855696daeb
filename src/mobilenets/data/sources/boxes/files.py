"""Annotation files, read within bounds: JSON, XML that declares nothing, and plain text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mobilenets.data.sources.encoding import CHINESE, KOREAN, find_encoding, not_utf8
from mobilenets.data.sources.once import warn_once
from mobilenets.errors import DataError

MAX_JSON = 2_000_000_000  # bytes; COCO's largest has half a gigabyte, LVIS' one more
MAX_TEXT = 64_000_000  # of YOLO's and labelme's, which may have its photo in it
MAX_XML = 16_000_000
MAX_DEPTH = 32  # elements of XML in one another
SNIFFED = 65_536
# Encodings of more than a byte for a sign, which expat does not read.
_WIDE_XML = re.compile(
    rb"\s*<\?xml[^>]*encoding\s*=\s*[\"'](?:(?P<chinese>gb)|euc-kr|ks_c_5601|cp949|ms949)[^>]*\?>", re.IGNORECASE
)
TRIED = 20  # files of a folder that are looked into


def read_json(path: Path, max_bytes: int = MAX_JSON) -> Any:
    """The content of a JSON file.

    Raises
    ------
    DataError
        It cannot be read, is too large, or is no JSON.
    """
    try:
        try:
            return json.loads(_content(path, max_bytes), parse_constant=_refuse_constant)
        except UnicodeDecodeError:  # labelme on Windows wrote what the system does
            return json.loads(read_text(path, max_bytes), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())[:120]
        raise DataError(f"{path}: not a readable JSON file ({reason}); export it again") from None


def read_xml(path: Path) -> Element:
    """The root element of an XML file.

    A document type is refused: it may declare entities, which grow to any size or read other files.

    Raises
    ------
    DataError
        It cannot be read, is too large, is no XML, or has a document type.
    """
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DataError(f"{path}: its elements are nested too deeply; export it again")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> NoReturn:
        raise DataError(f"{path}: has a document type (<!DOCTYPE …>), which is not read for safety; take it out")

    content = _content(path, MAX_XML)
    wide = _WIDE_XML.match(content)
    parser = expat.ParserCreate("utf-8" if wide else None)
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        if wide:
            content = content.decode(CHINESE if wide["chinese"] else KOREAN).encode()
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # LookupError: an encoding that does not exist
        raise DataError(f"{path}: not a readable XML file ({error}); export it again") from None
    return builder.close()


def read_text(path: Path, max_bytes: int = MAX_TEXT) -> str:
    """The text of a file in UTF-8, or in another encoding of `find_encoding`, which is told.

    Raises
    ------
    DataError
        It cannot be read, is too large, or is no such text.
    """
    content = _content(path, max_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding, note = find_encoding(path)
        if note is not None:
            warn_once(f"{path}: {note}", about=path.parent)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None


def beginning(path: Path) -> bytes:
    """The first 64 KB of a file; nothing of one that cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(SNIFFED)
    except OSError:
        return b""


def files_with(folders: Sequence[Path], suffix: str, *marks: bytes) -> list[Path]:
    """The files with this suffix of some folders, of each where one of the first begins with text that has a mark."""
    found = []
    for folder in folders:
        own = sorted(folder.glob(f"*{suffix}"))
        starts = map(beginning, own[:TRIED])
        if any(mark in start for start in starts for mark in marks):
            found += own
    return found


def number(value: object, where: str, what: str) -> float:
    """A finite number.

    Raises
    ------
    DataError
        It is none; `where`: file and item, `what`: the name of the value.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _no_number(value, where, what) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _no_number(value, where, what)
    try:
        result = float(value)
    except OverflowError:
        raise _no_number("too large", where, what) from None
    if not math.isfinite(result):
        raise _no_number(value, where, what)
    return result


def _no_number(value: object, where: str, what: str) -> DataError:
    return DataError(f"{where}: {what} is {ascii(value)[:60]}; give a finite number")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _content(path: Path, max_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DataError(f"{path}: {size:,} bytes; at most {max_bytes:,} are read; divide it")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
