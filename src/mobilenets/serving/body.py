"""The pictures of a request: read under the limits, raw, as multipart/form-data or in text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from mobilenets.serving import encoded
from mobilenets.serving.limits import Limits, Refusal, busy

_MAX_NAME = 255  # characters of a file name that is repeated in the answer

# A client that is still sending when the connection closes may never read the answer: what comes is thrown away for
# a moment first.
_DRAIN_BYTES, _DRAIN_SECONDS = 64_000_000, 2.0


@dataclass(frozen=True)
class Upload:
    """A picture as it arrived; `name` is the client's, None for a raw body."""

    name: str | None
    data: bytes


class Bodies:
    """Reads requests; knows how many bytes of all of them are in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held = 0

    @asynccontextmanager
    async def uploads(self, request: Request) -> AsyncIterator[list[Upload]]:
        """The pictures of a request, whose bytes count as held until the end.

        Raises
        ------
        Refusal
            Too large, too slow, malformed or without a picture.
        ClientDisconnect
            The client is gone.
        """
        body = bytearray()
        try:
            try:
                with anyio.fail_after(self._limits.read_seconds):
                    await self._read(request, body)
            except TimeoutError:
                sentence = f"The request did not arrive within {self._limits.read_seconds:g} seconds."
                raise _unread(Refusal(408, "timeout", sentence)) from None
            except Refusal as refusal:
                raise _unread(refusal) from None
            yield self._split(request, bytes(body))
        finally:
            self.held -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        too_large = Refusal(
            413, "too-large", f"The request is larger than {self._limits.body_bytes / 1e6:g} MB: send less at a time."
        )
        if _declared_length(request) > self._limits.body_bytes:
            raise too_large
        async for chunk in request.stream():
            if len(body) + len(chunk) > self._limits.body_bytes:
                raise too_large
            if self.held + len(chunk) > self._limits.held_bytes:
                raise busy()
            self.held += len(chunk)
            body += chunk

    def _split(self, request: Request, body: bytes) -> list[Upload]:
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind == b"multipart/form-data":
            uploads = list(_files(body, options.get(b"boundary", b"")))
        elif decode := encoded.reader(kind, body):
            uploads = [Upload(None, image) for image in decode(body, self._limits)]
        else:  # whatever its type: what is a picture is found out by decoding it
            uploads = [Upload(None, body)] if body else []
        if not uploads:
            raise Refusal(
                400,
                "no-file",
                f"There is no photo in it: send its bytes, multipart/form-data with files, or JSON: {encoded.HOW}.",
            )
        if len(uploads) > self._limits.images:
            raise self._limits.too_many(len(uploads))
        return uploads


def _unread(refusal: Refusal) -> Refusal:
    refusal.unread = True
    return refusal


def _declared_length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)


def _files(body: bytes, boundary: bytes) -> Iterator[Upload]:
    """The parts of a form that carry a file name."""
    malformed = Refusal(400, "malformed", "The form is cut off or malformed: send multipart/form-data with files.")
    parts: list[_Part] = []
    name, value = bytearray(), bytearray()
    ended = False

    def header() -> None:
        parts[-1].headers[bytes(name).lower()] = bytes(value)
        name.clear()
        value.clear()

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": lambda: parts.append(_Part()),
                "on_header_field": lambda data, start, stop: name.extend(data[start:stop]),
                "on_header_value": lambda data, start, stop: value.extend(data[start:stop]),
                "on_header_end": header,
                "on_part_data": lambda data, start, stop: parts[-1].spans.append((start, stop)),
                "on_end": end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise malformed from None
    if not ended:
        raise malformed
    for part in parts:
        _, options = parse_options_header(part.headers.get(b"content-disposition"))
        if b"filename" in options:
            data = b"".join(body[start:stop] for start, stop in part.spans)
            yield Upload(options[b"filename"].decode(errors="replace")[:_MAX_NAME], data)


class RefusalResponse(JSONResponse):
    """A refusal that the client gets to read, also one that came before its body was read."""

    def __init__(self, refusal: Refusal) -> None:
        self._unread = refusal.unread
        close = {"Connection": "close"} if self._unread else {}
        super().__init__(refusal.content(), refusal.status, headers={**refusal.headers, **close})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send; throw away what still comes."""
        if not self._unread:
            return await super().__call__(scope, receive, send)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        drained = 0
        with anyio.move_on_after(_DRAIN_SECONDS):
            while drained < _DRAIN_BYTES:
                message = await receive()
                drained += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
        await send({"type": "http.response.body", "body": b"", "more_body": False})
