"""`mobilenets.serve`: a model as an HTTP service with a page."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Precision

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What is about to be served.

    Attributes
    ----------
    name
        The model's.
    url
        Where a browser finds it.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.serve("runs/photos", ready=lambda service: print(service.url))  # doctest: +SKIP
    http://127.0.0.1:8000
    """

    name: str
    url: str


@verb
def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    engine: Engine = "auto",
    precision: Precision = "float32",
    threads: int | None = None,
    accept: float | None = None,
    max_mb: float = 20,
    max_megapixels: float = 50,
    max_waiting: int = 256,
    allow_origin: Sequence[str] | None = None,
    timeout: float = 30,
    ready: Callable[[Service], object] | None = None,
) -> None:
    """Answer over HTTP until stopped (Ctrl-C, SIGTERM), with a page to try the model.

    It takes these signals, so it is called in a program's main thread.

    Parameters
    ----------
    model
        Run folder, exported file, `.safetensors` or published name.
    host
        Listen here; 127.0.0.1: only this machine.
    port
        1 to 65535; 0: any that is free.
    engine
        What runs the file; "auto": the fastest that is installed.
    precision
        "float32", "half", or "auto": half where that is faster here.
    threads
        Of the engine, 1 or more; None: one per core.
    accept
        Of known photos the fraction that is taken for known, above 0 and up to 1; others have no label. None: 0.95,
        where the model has an index of its training photos.
    max_mb
        Megabytes of a request, above 0.
    max_megapixels
        Million pixels of a photo, above 0.
    max_waiting
        Photos in work, 1 or more.
    allow_origin
        Web pages from there may ask it (CORS), as http://localhost:3000; "*": all.
    timeout
        Seconds for a request to arrive, and to be answered, above 0.
    ready
        Called once it listens, with its `Service`.

    Raises
    ------
    UsageError
        A port that is taken, options out of range.
    ModelFileError
        No such model, a damaged one, or one without an index for `accept`.
    MissingExtraError
        FastAPI or another package of the extra `serve` is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.serve("runs/photos", port=8080)  # doctest: +SKIP
    >>> mn.serve("runs/photos", timeout=0)
    Traceback (most recent call last):
    mobilenets.errors.UsageError: --timeout: 0 must be above 0
    """
    limited = {
        "threads": threads, "max_mb": max_mb, "max_megapixels": max_megapixels, "max_waiting": max_waiting,
        "timeout": timeout,
    }  # fmt: skip
    for name, value in limited.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')}: {value} must be above 0")
    try:
        from mobilenets.serving import server
        from mobilenets.serving.app import make_app
        from mobilenets.serving.limits import Limits
        from mobilenets.serving.origins import ANY, check_origins
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"serving needs {missing.name}; run: pip install 'mobilenets[serve]'") from None
    from mobilenets.serving.overlay import can_explain, explainer
    from mobilenets.verbs.model_argument import has_network, open_model, open_network

    origins = check_origins(list(allow_origin or ()))
    limits = Limits(
        body_bytes=round(max_mb * 1e6),
        pixels=round(max_megapixels * 1e6),
        waiting=max_waiting,
        read_seconds=timeout,
        answer_seconds=timeout,
    )
    with server.bind(host, port) as listener:
        classifier = open_model(str(model), engine, threads, precision, accept=accept)
        explains = has_network(str(model)) and can_explain()
        explain = explainer(lambda: open_network(str(model)), limits.pixels) if explains else None
        app = make_app(classifier, limits, explain, origins)
        if ready is not None:
            ready(Service(classifier.card.name, server.url_of(listener)))
        if not ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback:
            log.warning("anyone who reaches this machine over the network can use it")
        if ANY in origins:
            log.warning("every web page that somebody here opens can use it")
        server.serve(app, listener, limits)
