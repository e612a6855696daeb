"""What every answer has in common: headers that protect its reader, and a place in the metrics."""

from __future__ import annotations

import time
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobilenets.serving.metrics import Metrics

_ROUTES = {"/predict", "/similar", "/label", "/model", "/health", "/metrics", "/openapi.json", "/"}


class Envelope:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics, policy: str) -> None:
        self._app, self._metrics = app, metrics
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; count its answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start = time.perf_counter()
        route = scope["path"] if scope["path"] in _ROUTES else "other"  # strangers must not name metrics

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
                self._count(route, message, time.perf_counter() - start)
            await send(message)

        await self._app(scope, receive, sending)

    def _count(self, route: str, message: Any, seconds: float) -> None:
        self._metrics.requests.labels(route, message["status"]).inc()
        self._metrics.seconds.labels(route).observe(seconds)
