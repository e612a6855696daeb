"""YOLO's `data.yaml`: the few forms of YAML that are in use for it, each read or refused by line.

The whole of YAML takes a library that a small machine need not have; here there are keys with a word, a list or a map
of words behind them, in one line or in the indented ones below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mobilenets.data.sources.boxes.files import read_text
from mobilenets.errors import DataError

MAX_BYTES = 4_000_000
MAX_CLASSES = 100_000
READ = ("path", "train", "val", "test", "names", "nc", "kpt_shape")

_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*))?$")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)$")
_PAIR = re.compile(r"""[ \t]*(\d+|'\d+'|"\d+")[ \t]*:[ \t]+(.*)$""")
_QUOTED = re.compile(r"""'((?:[^']|'')*)'|"((?:[^"\\]|\\.)*)\"""")
_BARE = re.compile(r"[^,\[\]{}#:]+(?::(?=\S)[^,\[\]{}#:]*)*")

Value = str | list[str] | dict[int, str]


@dataclass(frozen=True)
class DataYaml:
    """`parts`: from "train", "val" and "test" to the paths of its folders or lists. `names`: of the classes, in order.

    `has_keypoints`: labels have points behind their box.
    """

    parts: dict[str, list[str]]
    names: list[str]
    has_keypoints: bool


def read_data_yaml(path: Path) -> DataYaml:
    """The content of a `data.yaml`.

    Raises
    ------
    DataError
        It is none, or has a form that is not read: the line is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "data.yaml")
    ...     _ = file.write_text("train: images/train\\nval: images/val  # few\\nnames:\\n  0: cat\\n  1: 'big dog'\\n")
    ...     read_data_yaml(file)
    DataYaml(parts={'train': ['images/train'], 'val': ['images/val']}, names=['cat', 'big dog'], has_keypoints=False)
    """
    blocks = _blocks(path)
    if "names" not in blocks:
        raise DataError(f"{path}: names no classes; write them as names: [cat, dog]")
    names = _names(path, blocks["names"])
    nc = blocks.get("nc")
    if nc is not None and _value(path, nc) != str(len(names)):
        raise DataError(
            f"{path}, line {nc[0]}: nc is {_value(path, nc)!r}, but there are {len(names)} names; make them agree"
        )
    parts = {}
    for split in ("train", "val", "test"):
        value = _value(path, blocks[split]) if split in blocks else ""
        if isinstance(value, dict):
            raise DataError(f"{path}, line {blocks[split][0]}: {split} is a map; give a folder, or a list of them")
        own = [value] if isinstance(value, str) else value
        own = [entry for entry in own if entry not in ("", "~", "null")]
        if own:
            parts[split] = own
    return DataYaml(parts, names, "kpt_shape" in blocks)


def is_data_yaml(path: Path) -> bool:
    """Whether a file in YAML names classes, and the folders of photos or their number."""
    try:
        keys = {match[1] for line in read_text(path, MAX_BYTES).splitlines() if (match := _KEY.match(line.rstrip()))}
    except DataError:
        return False
    return "names" in keys and bool(keys & {"train", "val", "test", "path", "nc"})


_Block = tuple[int, str, list[tuple[int, str]]]  # line, what stands behind the key, and the lines below with theirs


def _blocks(path: Path) -> dict[str, _Block]:
    """What stands behind each key that is read."""
    found: dict[str, _Block] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(read_text(path, MAX_BYTES).splitlines(), 1):
        match = _KEY.match(line.rstrip())
        if match:
            lines = []
            if match[1] in found:
                raise DataError(f"{path}, line {number}: {match[1]} for the second time; keep one of them")
            if match[1] in READ:
                found[match[1]] = (number, match[2] or "", lines)
        else:
            lines.append((number, line))
    return found


def _names(path: Path, block: _Block) -> list[str]:
    value = _value(path, block)
    if isinstance(value, str):
        raise DataError(f"{path}, line {block[0]}: names is {value[:60]!r}; write a list, as [cat, dog]")
    if isinstance(value, dict):
        if sorted(value) != list(range(len(value))):
            raise DataError(
                f"{path}, line {block[0]}: names are not numbered from 0 to {len(value) - 1}; number them so"
            )
        value = [value[k] for k in range(len(value))]
    if not value:
        raise DataError(f"{path}, line {block[0]}: names is empty; write those of the classes, as [cat, dog]")
    if len(value) > MAX_CLASSES:
        raise DataError(f"{path}, line {block[0]}: {len(value):,} names; at most {MAX_CLASSES:,} are read")
    again = (
        next((name for k, name in enumerate(value) if name in value[:k]), None)
        if len(set(value)) < len(value)
        else None
    )
    if again is not None:
        raise DataError(f"{path}, line {block[0]}: {again!r} is among the names twice; give each class one of its own")
    return value


def _value(path: Path, block: _Block) -> Value:
    """A word, a list or a map."""
    number, first, below = block
    text = _without_comment(first)
    if text[:1] in ("[", "{"):
        return _flow(path, number, " ".join([text, *(_without_comment(line) for _, line in below)]).strip())
    if text:
        return _word(path, number, text)
    items: list[str] = []
    pairs: dict[int, str] = {}
    for line_number, line in below:
        text = _without_comment(line)
        if not text:
            continue
        item, pair = _ITEM.match(text), _PAIR.match(text)
        if item and not pairs:
            items.append(_word(path, line_number, item[1].strip()))
        elif pair and not items:
            key = int(pair[1].strip("'\""))
            if key in pairs:
                raise DataError(f"{path}, line {line_number}: number {key} for the second time; keep one of them")
            pairs[key] = _word(path, line_number, pair[2].strip())
        else:
            raise _not_read(path, line_number, line)
    return pairs or items or ""


def _flow(path: Path, number: int, text: str) -> Value:
    """A list or a map in brackets."""
    is_map, end, at = text[0] == "{", {"[": "]", "{": "}"}[text[0]], 1
    items: list[str] = []
    pairs: dict[int, str] = {}
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        if text[at:] == end:
            return pairs if is_map else items
        key = re.compile(r"""(?:'(\d+)'|"(\d+)"|(\d+))\s*:\s+""").match(text, at) if is_map else None
        if is_map:
            if key is None:
                raise _not_read(path, number, text[at:])
            at = key.end()
        match = _QUOTED.match(text, at) or _BARE.match(text, at)
        if match is None:
            raise _not_read(path, number, text[at:])
        word = _word(path, number, match[0].strip())
        if key is None:
            items.append(word)
        else:
            pairs[int(next(filter(None, key.groups())))] = word
        rest = text[match.end() :].lstrip()
        at = len(text) - len(rest)
        if rest[:1] == ",":
            at += 1
        elif rest != end:
            raise _not_read(path, number, text[match.start() :])


def _word(path: Path, number: int, text: str) -> str:
    """A word, without the quotes around it."""
    match = _QUOTED.fullmatch(text)
    if match:
        if match[1] is not None:
            return match[1].replace("''", "'")
        return re.sub(r'\\(["\\/])', r"\1", match[2])
    if text[:1] in ("'", '"', "&", "*", "!", "|", ">", "%", "@", "`", "[", "{"):
        raise _not_read(path, number, text)
    return text


def _without_comment(line: str) -> str:
    """A line up to a `#` outside of quotes, stripped."""
    quote = ""
    for k, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and (k == 0 or line[k - 1] in " \t[{,:"):
            quote = sign
        elif sign == "#" and (k == 0 or line[k - 1] in " \t"):
            return line[:k].strip()
    return line.strip()


def _not_read(path: Path, number: int, text: str) -> DataError:
    return DataError(
        f"{path}, line {number}: {text.strip()[:60]!a} is not read here; write a word, a list as [a, b], or 0: a, 1: b "
        "in a line each"
    )
