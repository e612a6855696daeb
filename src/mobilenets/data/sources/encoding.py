"""Which encoding a text file is in: UTF-8, UTF-16 or 32, or what Excel writes in China and Korea."""

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
_UTF8, CHINESE, KOREAN = "utf-8-sig", "gb18030", "cp949"
_CHUNK = 1 << 20  # bytes
# Text of other languages decodes as GB18030 too, into signs that nobody writes: "Grün" ends in one. Of Chinese text
# nearly all are of the national standard of 1980, and most of its first level, the 3,755 that are used every day.
_STANDARD, _EVERYDAY = 0.8, 0.5
_LEVEL_2 = 0xD8  # the first byte of rarer signs
# The syllables of Korean take the places of about half the signs that are used every day in Chinese: of so many
# different signs that all may be syllables, hardly any are Chinese.
_KOREAN, _SURELY_KOREAN = 0.95, 12
_MAX_WIDE = 1 << 28  # bytes of a file that is looked at as a whole
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
        wide = _find_wide(path)
        if wide is None:
            raise not_utf8(path, error) from None
        return wide
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


def _find_wide(path: Path) -> tuple[str, str] | None:
    """Which encoding of more than a byte for a sign a file is in, and what is told of that; None for any other one."""
    if path.stat().st_size > _MAX_WIDE:
        return None
    content = path.read_bytes()
    text = _decode(content, CHINESE)
    signs = Counter(sign for sign in text if not sign.isascii())
    codes = {sign: sign.encode("gb2312", "ignore") for sign in signs}
    standard = sum(count for sign, count in signs.items() if codes[sign])
    everyday = sum(count for sign, count in signs.items() if codes[sign] and codes[sign][0] < _LEVEL_2)
    if not signs or standard < _STANDARD * signs.total() or everyday < _EVERYDAY * signs.total():
        return None
    lines = len([line for line in text.splitlines() if line.strip()])
    count = "1 line that is" if lines == 1 else f"{lines:,} lines that are"
    korean = _decode(content, KOREAN)
    syllables = Counter(sign for sign in korean if not sign.isascii())
    own = {sign for sign in syllables if "\uac00" <= sign <= "\ud7a3"}
    if not own or sum(syllables[sign] for sign in own) < _KOREAN * syllables.total():
        return CHINESE, f"{count} no UTF-8, read as GB18030: {_example(text)!r}"
    read, other = f"Chinese (GB18030): {_example(text)!r}", f"Korean (CP949): {_example(korean)!r}"
    if is_korean := len(own) >= _SURELY_KOREAN:
        read, other = other, read
    note = f"{count} no UTF-8, read as {read}; if it is {other}, save it as UTF-8"
    return KOREAN if is_korean else CHINESE, note


def _decode(content: bytes, encoding: str) -> str:
    """The text, empty where there is none in this encoding."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _example(text: str) -> str:
    """What lies around the first sign that is not ASCII."""
    line = next(line for line in text.splitlines() if not line.isascii())
    first = max(0, next(k for k, sign in enumerate(line) if not sign.isascii()) - _SHOWN // 2)
    return line[first : first + _SHOWN]
