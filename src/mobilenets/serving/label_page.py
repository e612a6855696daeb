"""The page that asks for labels, one key for each class, and what it needs of the server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from importlib.resources import files

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from mobilenets.errors import UserError
from mobilenets.preprocess.decode import Decoded
from mobilenets.report.thumbnails import contained
from mobilenets.runtime.predictor import Source
from mobilenets.serving.label_list import LabelList
from mobilenets.serving.limits import Limits, Refusal
from mobilenets.webui import MEDIA_TYPES, policy

SIDE, QUALITY = 1024, 85  # of the copy that the page shows: whatever the file is, a browser can draw it
MAX_BODY = 4096  # bytes of an answer


def add_label_page(app: FastAPI, labels: LabelList, decoded: Callable[[Source, int], Decoded], limits: Limits) -> None:
    """Add `/label` to `app`: the photos of `labels`, decoded as the model sees them.

    Labels are given by PUT. A browser asks the server first before it sends that from another page, and `Origins`
    allows GET and POST only: no other page can write.
    """
    decoding = anyio.CapacityLimiter(2)

    @app.get("/label", include_in_schema=False)
    async def page() -> Response:
        return _file("label.html")

    @app.get("/label.js", include_in_schema=False)
    async def script() -> Response:
        return _file("label.js")

    @app.get("/label.css", include_in_schema=False)
    async def style() -> Response:
        return _file("label.css")

    @app.get("/label/list", include_in_schema=False)
    async def listed() -> Response:
        return JSONResponse(labels.to_dict(), headers={"Cache-Control": "no-store"})

    @app.get("/label/photo/{number}", include_in_schema=False)
    async def photo(number: int) -> Response:
        path = labels.wanted[_checked(labels, number)].path

        def copied() -> bytes:
            content = io.BytesIO()
            image = decoded(path, limits.pixels).image.convert("RGB")
            contained(image, SIDE).save(content, "JPEG", quality=QUALITY)
            return content.getvalue()

        try:
            content = await anyio.to_thread.run_sync(copied, limiter=decoding)
        except (UserError, OSError):
            raise Refusal(422, "damaged", f"{path.name} cannot be read.") from None
        return Response(content, media_type="image/jpeg")

    @app.put("/label/photo/{number}", include_in_schema=False)
    async def give(number: int, request: Request) -> Response:
        _checked(labels, number)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise Refusal(413, "too-large", "That is no label.")
        try:
            label = json.loads(body)["label"]
            if not isinstance(label, str | None):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Refusal(400, "malformed", 'Send JSON: {"label": "NAME"}, or null to take it back.') from None
        try:
            await anyio.to_thread.run_sync(labels.give, number, label)
        except ValueError as error:
            raise Refusal(422, "parameter", str(error)) from None
        except OSError as error:
            raise Refusal(500, "failed", f"{labels.path.name} cannot be written: {error.strerror}.") from error
        return JSONResponse(labels.to_dict())


def _checked(labels: LabelList, number: int) -> int:
    if not 0 <= number < len(labels.wanted):
        raise Refusal(404, "no-route", "There is no photo of this number.")
    return number


def _file(name: str) -> Response:
    content = files(__package__).joinpath("label").joinpath(name).read_text(encoding="utf-8")
    media_type = MEDIA_TYPES[f".{name.rpartition('.')[2]}"]
    return Response(
        content.replace("CONTENT-SECURITY-POLICY", policy()),
        media_type=media_type,
        headers={"Cache-Control": "no-cache"},
    )
