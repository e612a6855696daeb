"""The routes: `/predict`, `/model`, `/health`, `/metrics`, `/openapi.json` and the page."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mobilenets._version import __version__
from mobilenets.model_card import CLASSIFY, ModelCard
from mobilenets.preprocess import decode
from mobilenets.runtime.predictor import Predictor, Row
from mobilenets.serving.batcher import Batcher
from mobilenets.serving.body import Bodies, RefusalResponse, Upload
from mobilenets.serving.envelope import Envelope
from mobilenets.serving.limits import Limits, Refusal
from mobilenets.serving.metrics import CONTENT_TYPE, Metrics
from mobilenets.serving.origins import NOT_ALLOWED, Origins
from mobilenets.serving.overlay import Explain
from mobilenets.serving.schema import IMAGES, REFUSALS, Health, Model, answers_of
from mobilenets.webui import MEDIA_TYPES, assets, policy

log = logging.getLogger("mobilenets.serving")

_FAILED = "The server failed on this request: its log says why."


def make_app(
    predictor: Predictor[Any],
    limits: Limits | None = None,
    explain: Explain | None = None,
    origins: Sequence[str] = (),
) -> FastAPI:
    """The application that answers with `predictor`, and with overlays where there is an `explain`.

    `origins`: of other web pages that may ask it; "*" for all.
    """
    limits = limits or Limits()
    card = predictor.card
    metrics, bodies = Metrics(card.name), Bodies(limits)
    explaining = anyio.CapacityLimiter(1)  # pictures at a time: a network's gradients take every core

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        app.state.batcher = Batcher(predictor, limits, metrics)
        yield
        await asyncio.to_thread(app.state.batcher.close)

    # No docs_url: that page would load its scripts from another host.
    app = FastAPI(title="mobilenets", version=__version__, docs_url=None, redoc_url=None, lifespan=running)
    if origins:
        app.add_middleware(Origins, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"])
    app.add_middleware(Envelope, metrics=metrics, policy=policy({"frame-ancestors": "'none'"}))
    _add_refusals(app)
    _add_about(app, card, limits, metrics, explain is not None)
    if card.task == CLASSIFY:  # the page draws classes; other answers are for programs
        _add_page(app)

    @app.post(
        "/predict", response_model=answers_of(predictor.task), responses=REFUSALS, openapi_extra={"requestBody": IMAGES}
    )
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1)] = 5,
        explained: Annotated[bool, Query(alias="explain")] = False,
    ) -> Response:
        """What pictures show: one as the raw body, or several as the files of a form or in JSON."""
        if explained and explain is None:
            raise Refusal(400, "no-explanation", "This server cannot explain: it has no network in torch.")
        try:
            async with bodies.uploads(request) as uploads:
                start = time.perf_counter()
                outcomes = await _answered(app.state.batcher, uploads, limits)
                results = [_result(predictor, *pair, top) for pair in zip(uploads, outcomes, strict=True)]
                if explained and explain is not None:
                    await _add_overlays(explain, uploads, results, limits, explaining)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        for result in results:
            metrics.images.labels("refused" if "error" in result else "answered").inc()
        if all("error" in result for result in results):
            raise _refusal(next(outcome for outcome in outcomes if isinstance(outcome, BaseException)))
        took = round(1000 * (time.perf_counter() - start), 2)
        return JSONResponse({"model": card.name, "results": results, "milliseconds": took})

    return app


async def _answered(batcher: Batcher, uploads: list[Upload], limits: Limits) -> list[Row | BaseException]:
    futures = batcher.submit([upload.data for upload in uploads])
    try:
        with anyio.fail_after(limits.answer_seconds):
            return await asyncio.gather(*futures, return_exceptions=True)
    except TimeoutError:
        raise _late(limits) from None


def _late(limits: Limits) -> Refusal:
    return Refusal(504, "timeout", f"There was no answer within {limits.answer_seconds:g} seconds: try again later.")


def _result(predictor: Predictor[Any], upload: Upload, outcome: Row | BaseException, top: int) -> dict[str, Any]:
    if isinstance(outcome, BaseException):
        return {"name": upload.name, **_refusal(outcome).content()}
    answer: dict[str, Any] = predictor.answer(None, outcome).cut(top).to_dict()
    if "nearest" in answer:
        answer["nearest"] = [_without_folders_of_the_server(path) for path in answer["nearest"]]
    return {"name": upload.name, **answer}


def _without_folders_of_the_server(path: str) -> str:
    """A path that a client may know: below the data's folder as it is, of any other the file's name alone."""
    is_absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    return PureWindowsPath(path).name if is_absolute else path


def _refusal(error: BaseException) -> Refusal:
    """What a client is told about an error of a picture: its own message only where that is meant for people."""
    kinds: tuple[tuple[type[decode.UnreadableImage], int, str], ...] = (
        (decode.TooManyPixels, 413, "too-many-pixels"),
        (decode.NotAnImage, 415, "not-an-image"),
        (decode.UnreadableImage, 422, "damaged"),
    )
    for kind, status, code in kinds:
        if isinstance(error, kind):
            return Refusal(status, code, str(error))
    log.error("a picture failed", exc_info=error)
    return Refusal(500, "failed", _FAILED)


async def _add_overlays(
    explain: Explain,
    uploads: list[Upload],
    results: list[dict[str, Any]],
    limits: Limits,
    explaining: anyio.CapacityLimiter,
) -> None:
    """One picture after the other, in a thread."""
    with anyio.move_on_after(limits.answer_seconds) as scope:
        for upload, result in zip(uploads, results, strict=True):
            if "error" not in result:
                overlay = await anyio.to_thread.run_sync(
                    explain, upload.data, abandon_on_cancel=True, limiter=explaining
                )
                result["overlay"] = base64.b64encode(overlay).decode()
    if scope.cancelled_caught:
        raise _late(limits)


def _add_about(app: FastAPI, card: ModelCard, limits: Limits, metrics: Metrics, explains: bool) -> None:
    """What programs ask about the server itself."""

    @app.get("/model", response_model=Model)
    async def model() -> dict[str, Any]:
        """What answers here, and what it takes."""
        bounds = {"bytes": limits.body_bytes, "pictures": limits.images, "pixels": limits.pixels}
        about = {"name": card.name, "classes": card.classes, "size": card.preprocess.size}
        return {**about, "explains": explains, "limits": bounds}

    @app.get("/health", response_model=Health)
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    async def metrics_() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _add_refusals(app: FastAPI) -> None:
    """Every answer that is no success is JSON with one sentence."""
    sentences = {404: "There is nothing at this address.", 405: "This address takes another method."}

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return RefusalResponse(error)

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return JSONResponse({"error": NOT_ALLOWED, "code": "origin"}, error.status_code, headers=error.headers)
        sentence = sentences.get(error.status_code, str(error.detail))
        return JSONResponse({"error": sentence, "code": "no-route"}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def out_of_range(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        sentence = f"The parameter {first['loc'][-1]!r} is not valid: {first['msg']}."
        return JSONResponse({"error": sentence, "code": "parameter"}, 422)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": _FAILED, "code": "failed"}, 500)


def _add_page(app: FastAPI) -> None:
    contents = {**assets(), "predictor.js": files(__package__).joinpath("remote.js").read_bytes()}
    contents[""] = contents.pop("index.html")

    def route(content: bytes, media_type: str) -> Callable[[Request], Response]:
        def send(request: Request) -> Response:
            return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

        return send

    for name, content in contents.items():
        suffix = f".{name.rpartition('.')[2]}" if name else ".html"
        app.add_route(f"/{name}", route(content, MEDIA_TYPES[suffix]), ["GET"], include_in_schema=False)
