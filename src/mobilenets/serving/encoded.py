"""Pictures in text: JSON with base64, and data URLs, as web pages and low-code tools send them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from mobilenets.serving.limits import Limits, Refusal

HOW = 'send {"image": "BASE64"}, or {"images": ["BASE64", …]} for several'
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(data:|[{\[\"])", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_SPACE = dict.fromkeys(map(ord, " \t\r\n"))
_KEYS = 5  # of the client's JSON, named in an answer


def reader(kind: bytes, body: bytes) -> Callable[[bytes, Limits], list[bytes]] | None:
    """What reads a body of the declared `kind`; None where it is no text of these forms.

    The kind decides nothing by itself: curl calls all a form, and many clients a picture JSON. No picture begins
    as JSON or a data URL do.
    """
    start = _START.match(body)
    if start and start[1].lower() == b"data:":
        return _data_url
    if start or (kind == b"application/json" and _is_text(body)):
        return _json
    return None


def _is_text(body: bytes) -> bool:
    return body.isascii() and b"\0" not in body and bool(body)


def _data_url(body: bytes, limits: Limits) -> list[bytes]:
    return [_decode_text(body.decode("utf-8-sig", errors="replace").strip())]


def _json(body: bytes, limits: Limits) -> list[bytes]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise _malformed(f"The body is no valid JSON: {HOW}, or the bytes of the photo.") from None
    if isinstance(content, str):
        content = {"image": content}
    if not isinstance(content, dict):
        raise _malformed(f"The JSON is no object: {HOW}.")
    given: Any = content.get("images", [content["image"]] if "image" in content else None)
    if given is None:
        keys = ", ".join(repr(key[:30]) for key in list(content)[:_KEYS]) or "nothing"
        raise _malformed(f"The JSON has no 'image', it has {keys}: {HOW}.")
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise _malformed(f"A photo in the JSON is no text: {HOW}.")
    if len(given) > limits.images:  # before any is decoded
        raise limits.too_many(len(given))
    return [_decode_text(text) for text in given]


def _decode_text(text: str) -> bytes:
    """The bytes of base64 or of a data URL with base64: a quarter fewer than characters, which were counted."""
    if re.match(r"(?:https?|file|blob|ftp):", text, re.IGNORECASE):
        raise _malformed("The photo is an address, and this server fetches none: send the photo itself in base64.")
    if text[:5].lower() == "data:":
        head = _DATA_URL.match(text)
        if head is None or not head[0].lower().endswith(";base64,"):
            raise _malformed("The data URL is not in base64: write data:…;base64, and the photo after it.")
        text = text[head.end() :]
    text = text.translate(_SPACE).rstrip("=").replace("-", "+").replace("_", chr(47))
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("The photo is no valid base64: encode the bytes of the file, and send all of it.") from None
    if not data:
        raise Refusal(400, "no-file", "The photo is empty: send the bytes of the file in base64.")
    return data


def _malformed(sentence: str) -> Refusal:
    return Refusal(400, "malformed", sentence)
