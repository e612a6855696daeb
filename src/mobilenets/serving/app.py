"""The routes: `/predict`, `/model`, `/health`, `/metrics`, `/openapi.json` and the page."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mobilenets._version import __version__
from mobilenets.model_card import ANOMALY, CLASSIFY, DETECT, MULTILABEL, ModelCard
from mobilenets.preprocess import decode
from mobilenets.runtime.predictor import Predictor, Row
from mobilenets.serving.among import Among, without_server_folders
from mobilenets.serving.batcher import Batcher
from mobilenets.serving.body import Bodies, RefusalResponse, Upload
from mobilenets.serving.envelope import Envelope
from mobilenets.serving.label_list import LabelList
from mobilenets.serving.label_page import add_label_page
from mobilenets.serving.limits import Limits, Refusal
from mobilenets.serving.metrics import CONTENT_TYPE, Metrics
from mobilenets.serving.origins import NOT_ALLOWED, Origins
from mobilenets.serving.overlay import Explain
from mobilenets.serving.schema import IMAGES, REFUSALS, Alike, Health, Model, answers_of
from mobilenets.webui import MEDIA_TYPES, assets, policy

log = logging.getLogger("mobilenets.serving")

Say = Callable[[bytes, Row], dict[str, Any]]  # what a client is told of a picture: its file, what was computed
_ON_THE_PAGE = (CLASSIFY, DETECT, MULTILABEL, ANOMALY)  # tasks; the answers of others are for programs
MAX_SIMILAR = 100  # photos that one request may ask for
_FAILED = "The server failed on this request: its log says why."


def make_app(
    predictor: Predictor[Any],
    limits: Limits | None = None,
    explain: Explain | None = None,
    origins: Sequence[str] = (),
    among: Among | None = None,
    labels: LabelList | None = None,
) -> FastAPI:
    """The application that answers with `predictor`, and with overlays where there is an `explain`.

    `origins`: of other web pages that may ask it; "*" for all. `among`: what `/similar` looks among, if anything.
    `labels`: the photos that the page `/label` asks about, if any.
    """
    limits = limits or Limits()
    card = predictor.card
    predictor.keeps_features = among is not None
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
    _add_about(app, card, limits, metrics, explain is not None, among is not None)
    if card.task in _ON_THE_PAGE:
        _add_page(app)
    if labels is not None:
        add_label_page(app, labels, predictor.decoded, limits)

    async def answered(request: Request, say: Say, overlay: Explain | None = None) -> Response:
        """What `say` makes of the row of each picture of a request, and where the network looked, by `overlay`."""
        try:
            async with bodies.uploads(request) as uploads:
                start = time.perf_counter()
                outcomes = await _outcomes(app.state.batcher, uploads, limits)
                results = [_result(*pair, say) for pair in zip(uploads, outcomes, strict=True)]
                if overlay is not None:
                    await _add_overlays(overlay, uploads, results, limits, explaining)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        for result in results:
            metrics.images.labels("refused" if "error" in result else "answered").inc()
        if all("error" in result for result in results):
            raise _refusal(next(outcome for outcome in outcomes if isinstance(outcome, BaseException)))
        took = round(1000 * (time.perf_counter() - start), 2)
        return JSONResponse({"model": card.name, "results": results, "milliseconds": took})

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
        overlay = explain if explained else None
        return await answered(request, lambda data, row: _described(predictor, data, row, top), overlay)

    if among is not None:

        @app.post("/similar", response_model=Alike, responses=REFUSALS, openapi_extra={"requestBody": IMAGES})
        async def similar(request: Request, top: Annotated[int, Query(ge=1, le=MAX_SIMILAR)] = 12) -> Response:
            """The photos most like each picture, among those that the server was given or the model learned from."""
            return await answered(request, lambda _, row: among.alike(row, top))

    return app


async def _outcomes(batcher: Batcher, uploads: list[Upload], limits: Limits) -> list[Row | BaseException]:
    futures = batcher.submit([upload.data for upload in uploads])
    try:
        with anyio.fail_after(limits.answer_seconds):
            return await asyncio.gather(*futures, return_exceptions=True)
    except TimeoutError:
        raise _late(limits) from None


def _late(limits: Limits) -> Refusal:
    return Refusal(504, "timeout", f"There was no answer within {limits.answer_seconds:g} seconds: try again later.")


def _result(upload: Upload, outcome: Row | BaseException, say: Say) -> dict[str, Any]:
    content = _refusal(outcome).content() if isinstance(outcome, BaseException) else say(upload.data, outcome)
    return {"name": upload.name, **content}


def _described(predictor: Predictor[Any], data: bytes, row: Row, top: int) -> dict[str, Any]:
    answer: dict[str, Any] = predictor.answer(data, row).cut(top).to_dict()
    if "nearest" in answer:
        answer["nearest"] = [without_server_folders(path) for path in answer["nearest"]]
    return answer


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
    log.error("a photo failed", exc_info=error)
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


def _add_about(app: FastAPI, card: ModelCard, limits: Limits, metrics: Metrics, explains: bool, finds: bool) -> None:
    """What programs ask about the server itself."""

    @app.get("/model", response_model=Model)
    async def model() -> dict[str, Any]:
        """What answers here, and what it takes."""
        bounds = {"bytes": limits.body_bytes, "pictures": limits.images, "pixels": limits.pixels}
        about = {"name": card.name, "task": card.task, "classes": card.classes, "thresholds": card.thresholds}
        return {**about, "size": card.preprocess.size, "explains": explains, "finds_alike": finds, "limits": bounds}

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
