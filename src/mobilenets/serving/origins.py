"""Which other web pages may ask the server from a visitor's browser (CORS)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

from mobilenets.errors import UsageError

ANY = "*"
NOT_ALLOWED = "Pages of other origins may not ask this server: start it with --allow-origin ORIGIN to allow one."


class Origins(CORSMiddleware):
    """starlette's, which refuses in the form that everything here is refused in."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser is told before it sends."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        headers = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        allowed = self.is_allowed_origin(request_headers["origin"])
        sentence = "Only GET and POST may be asked for." if allowed else NOT_ALLOWED
        return JSONResponse({"error": sentence, "code": "origin"}, response.status_code, headers)


def check_origins(origins: Sequence[str]) -> list[str]:
    """Origins as browsers write them, or "*" for all.

    Raises
    ------
    UserError
        Something else, such as an address with a path.
    """
    for origin in origins:
        parts = urlsplit(origin)
        whole = f"{parts.scheme}://{parts.netloc}"
        if origin != ANY and (not parts.scheme or not parts.netloc or origin.lower() != whole.lower()):
            like = f"{whole}" if parts.scheme and parts.netloc else "http://localhost:3000"
            raise UsageError(f"--allow-origin: {origin!r} is no origin; write it as {like}, or '*' for all")
    return [origin.lower() for origin in origins]
