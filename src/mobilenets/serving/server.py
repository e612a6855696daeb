"""Binding, serving and stopping: what lies between the application and the network."""

from __future__ import annotations

import asyncio
import signal
import socket

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mobilenets.errors import UsageError
from mobilenets.serving.limits import Limits, busy

_BACKLOG = 1024


def bind(host: str, port: int) -> socket.socket:
    """A listening socket's address taken, before anything slow is done.

    Raises
    ------
    UserError
        No such host, or the port is taken or not allowed.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port: {port} is no port; use 1 to 65535, or 0 for any that is free")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise UsageError(f"--host: {host!r} is no address of this machine; use 127.0.0.1 or 0.0.0.0") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"--host {host} --port {port}: {reason}; choose another --port, or check --host") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"


def serve(app: ASGIApp, listener: socket.socket, limits: Limits) -> None:
    """Serve until SIGTERM (returns) or Ctrl-C (raises KeyboardInterrupt); requests in progress are answered first."""
    made: list[uvicorn.Server] = []
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        for server in made:
            server.should_exit = True

    # uvicorn stops at either signal and then raises it again, for the handler from before: this one, which also takes
    # those that come before uvicorn listens to them, as in the midst of making its event loop or of setting up logging,
    # where an exception would be another one at its end.
    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server = uvicorn.Server(_config(app, limits))
        made.append(server)
        server.should_exit = bool(received)
        server.run([listener])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def _config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(limits),
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(limits.read_seconds + limits.answer_seconds),
    )


def _protocol(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's HTTP/1.1, with bounds it does not have: on connections, and on the time headers may take."""

    class Bounded(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(_no_room())
                transport.close()
            else:
                self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self._late is not None:
                self._late.cancel()

        def _watch(self) -> None:
            """Give headers that have not all arrived a time to do so."""
            incomplete = self.conn.their_state is h11.IDLE
            if incomplete and self._late is None:
                self._late = self.loop.call_later(limits.read_seconds, self.transport.close)
            elif not incomplete and self._late is not None:
                self._late.cancel()
                self._late = None

    return Bounded


def _no_room() -> bytes:
    body = busy().content()["error"].encode()
    head = f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: text/plain\r\nConnection: close\r\n\r\n".encode() + body
