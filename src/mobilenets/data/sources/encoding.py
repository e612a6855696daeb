"""Which encoding a text file is in: UTF-8, UTF-16 or 32, or the GB18030 that Excel writes in China."""

from __future__ import annotations

import codecs
from collections import Counter
from pathlib import Path

from mobilenets.errors import DataError

_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8, _CHINESE = "utf-8-sig", "gb18030"
_CHUNK = 1 << 20  # bytes
# Text of other languages decodes as GB18030 too, into signs that nobody writes: "Grün" ends in one. Of Chinese text
# nearly all are of the national standard of 1980, and most of its first level, the 3,755 that are used every day.
_STANDARD, _EVERYDAY = 0.8, 0.5
_LEVEL_2 = 0xD8  # the first byte of rarer signs
_MAX_CHINESE = 1 << 28  # bytes of a file that is looked at as a whole
_SHOWN = 40  # characters of the line that is shown


def find_encoding(path: Path) -> tuple[str, str | None]:
    """The name of a file's encoding, and what is to be told of it where that is not plain.

    Raises
    ------
    DataError
        It is no text, or in an encoding that cannot be known.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, None
    if b"\0" in start:
        for encoding in ("utf-16-le", "utf-16-be"):
            if _is_utf16(start, encoding):
                return encoding, "read as UTF-16 without its mark"
        raise DataError(f"{path}: not text; of a spreadsheet, save the sheet as CSV in UTF-8")
    try:
        _check(path, _UTF8)
    except UnicodeDecodeError as error:
        note = _describe_chinese(path)
        if note is None:
            raise not_utf8(path, error) from None
        return _CHINESE, note
    return _UTF8, None


def not_utf8(path: Path, error: UnicodeError) -> DataError:
    """The refusal of a file whose text cannot be decoded."""
    where = f" ({error.reason} at byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
    return DataError(f'{path}: not UTF-8 text{where}; save it as UTF-8, which Excel calls "CSV UTF-8"')


def _check(path: Path, encoding: str) -> None:
    """Decode a file, part by part; an error says the byte counted from the file's beginning."""
    decoder, position = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") as file:
        while True:
            chunk, waiting = file.read(_CHUNK), len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                error.start += position - waiting
                raise
            if not chunk:
                return
            position += len(chunk)


def _is_utf16(start: bytes, encoding: str) -> bool:
    """Whether the beginning of a file is text in this order of bytes: the zero ones of Latin letters show it."""
    if 0 in (start[::2] if encoding == "utf-16-le" else start[1::2]):
        return False
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return False
    return "\n" in text or "\r" in text


def _describe_chinese(path: Path) -> str | None:
    """What is told of a file in GB18030; None of one in another encoding."""
    if path.stat().st_size > _MAX_CHINESE:
        return None
    try:
        text = path.read_bytes().decode(_CHINESE)
    except UnicodeDecodeError:
        return None
    signs = Counter(sign for sign in text if not sign.isascii())
    codes = {sign: sign.encode("gb2312", "ignore") for sign in signs}
    standard = sum(count for sign, count in signs.items() if codes[sign])
    everyday = sum(count for sign, count in signs.items() if codes[sign] and codes[sign][0] < _LEVEL_2)
    if standard < _STANDARD * signs.total() or everyday < _EVERYDAY * signs.total():
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    example = next(line for line in lines if not line.isascii())
    first = max(0, next(k for k, sign in enumerate(example) if not sign.isascii()) - _SHOWN // 2)
    count = "1 line that is" if len(lines) == 1 else f"{len(lines):,} lines that are"
    return f"{count} no UTF-8, read as GB18030: {example[first : first + _SHOWN]!r}"
