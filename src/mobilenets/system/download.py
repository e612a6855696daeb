"""Fetching a file: resumed where it broke off, verified, and complete or not there at all."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from typing import IO, Any, BinaryIO

from mobilenets.errors import DownloadError, UserError
from mobilenets.system.progress import Progress

TIMEOUT_S = 20.0  # without a single byte
ATTEMPTS = 4
MAX_BYTES = 2**30  # ten times the largest file of the catalogue: a server may not fill the disk
_CHUNK = 1 << 16


def fetch(url: str, path: Path, digest: str = "", *, timeout: float = TIMEOUT_S, attempts: int = ATTEMPTS) -> Path:
    """Download `url` to `path` unless it is there; returns `path`.

    `digest`: "sha256:HEX" or "md5:HEX", of which the first digits suffice; without it, the one that the server
    announces is used, where it does (the hub's X-Linked-ETag, Google's X-Goog-Hash). A broken download stays as
    `path`.part and is gone on with, in this call and the next. Of two processes the second waits for the first
    (on systems with flock).

    Raises
    ------
    UserError
        No network, a wrong digest, too large, not found; it names file, origin and place.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return path
        try:
            with part.open("a+b") as file:
                announced = _with_retries(url, path, file, timeout, attempts)
            # Closed by now: Windows neither deletes nor renames open files.
            _verify(url, path, part, digest or announced)
            part.replace(path)
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()
    return path


def _with_retries(url: str, path: Path, file: BinaryIO, timeout: float, attempts: int) -> str:
    """Fill `file`; the digest the server announced, if any."""
    for attempt in range(attempts):
        before = file.seek(0, os.SEEK_END)
        try:
            return _receive(url, path, file, before, timeout)
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # what we have is not a part of what is there now
                file.truncate(0)
            elif error.code < 500:
                raise _unavailable(url, path, f"HTTP {error.code} {error.reason}") from error
            problem: Exception = error
        except (OSError, http.client.HTTPException) as error:
            problem = error
        except ValueError as error:  # a mirror's address that is none
            raise _unavailable(url, path, str(error)) from error
        stuck = file.seek(0, os.SEEK_END) == before
        if attempt == attempts - 1 or (stuck and isinstance(problem, urllib.error.URLError) and attempt > 0):
            break
    reason = getattr(problem, "reason", None) or problem or type(problem).__name__
    raise _unavailable(url, path, str(reason)) from problem


def _receive(url: str, path: Path, file: BinaryIO, have: int, timeout: float) -> str:
    """One request: append the rest, or start over where the server sends everything again."""
    redirects = _Redirects()
    request = urllib.request.Request(url, headers={"User-Agent": "mobilenets"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.build_opener(redirects).open(request, timeout=timeout) as response:
        if have and response.status != http.client.PARTIAL_CONTENT:
            file.truncate(0)
            have = 0
        if have and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            file.truncate(0)
            raise ConnectionError("the server sent another part of the file than asked for")
        rest = response.headers.get("Content-Length")
        total = have + int(rest) if rest and rest.isdigit() else None
        _bounded(url, path, file, total or 0)
        file.seek(have)
        _copy(response, file, url, path, total, have)
        return redirects.announced or _announced(response.headers)


def _copy(response: IO[bytes], file: BinaryIO, url: str, path: Path, total: int | None, have: int) -> None:
    with Progress(f"fetching {path.name}", total, "B", initial=have) as progress:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            _bounded(url, path, file, have)
            progress.advance(len(chunk))
    file.flush()
    if total is not None and have < total:
        raise ConnectionError(f"the connection broke off at {have} of {total} bytes")


def _bounded(url: str, path: Path, file: BinaryIO, size: int) -> None:
    if size > MAX_BYTES:
        file.truncate(0)
        raise DownloadError(f"{path.name}: {url} sends more than {MAX_BYTES} bytes; this is not the file looked for")


def matches(path: Path, digest: str) -> bool:
    """Whether the file has the digest "ALGORITHM:HEX", of which the first digits are compared."""
    algorithm, _, wanted = digest.partition(":")
    with path.open("rb") as file:
        state = hashlib.new(algorithm, usedforsecurity=False)
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hexdigest().startswith(wanted)


def _verify(url: str, path: Path, part: Path, digest: str) -> None:
    if digest and not matches(part, digest):
        part.unlink()
        raise DownloadError(
            f"{path.name}: what {url} sent has not the published {digest}; nothing was kept, try another mirror"
        )


def _unavailable(url: str, path: Path, reason: str) -> UserError:
    return DownloadError(
        f"{path.name}: cannot be fetched from {url} ({reason}); get it by other means and put it at {path}"
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the hub tells a file's sha256 on the first answer only."""

    announced = ""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.announced = self.announced or _announced(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _announced(headers: Message) -> str:
    """The whole file's digest as its server states it; "" where it does not."""
    tag = headers.get("X-Linked-ETag", "").strip('"')
    if len(tag) == 64:
        return f"sha256:{tag}"
    # What Google stores compressed arrives unpacked, and its hash is of what is stored.
    if headers.get("X-Goog-Stored-Content-Encoding", "identity") == "identity":
        for entry in ",".join(headers.get_all("X-Goog-Hash", [])).split(","):
            name, _, value = entry.strip().partition("=")
            if name == "md5":
                return f"md5:{base64.b64decode(value, validate=True).hex()}"
    return ""


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Held against other threads and processes where the system can.

    Windows has no flock and some network drives refuse it: two downloads at once then end in a digest error.
    """
    with lock.open("ab") as file:
        with suppress(ModuleNotFoundError, OSError):
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield
