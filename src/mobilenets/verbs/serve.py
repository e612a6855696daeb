"""`mobilenets.serve`: a model as an HTTP service with a page."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Precision
    from mobilenets.runtime.predictor import Predictor
    from mobilenets.serving.among import Among
    from mobilenets.serving.label_list import LabelList
    from mobilenets.serving.overlay import Explain
    from mobilenets.verbs.among import Sources

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
    asks_labels
        Whether it has the page /label.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.serve("runs/photos", ready=lambda service: print(service.url))  # doctest: +SKIP
    http://127.0.0.1:8000
    """

    name: str
    url: str
    asks_labels: bool = False


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
    among: Sources | None = None,
    label: str | Path | None = None,
    label_to: str | Path | None = None,
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
    among
        What `/similar` looks among: a file, a folder, a glob, several of these, or a file that `embed` wrote with the
        same model; None: the training photos, where the model has an index of them.
    label
        A list that `label_next` wrote: the page `/label` asks for a label of each of its photos.
    label_to
        The CSV that the answers go into, with the columns `path` and `label`; None: labels.csv beside the list. What
        it has already stays.
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
    DataError
        No photo to look among, or a list without photos.
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
    from mobilenets.verbs.model_argument import open_model

    origins = check_origins(list(allow_origin or ()))
    limits = Limits(
        body_bytes=round(max_mb * 1e6),
        images=min(Limits.images, max_waiting),  # of more at once there would never be room
        pixels=round(max_megapixels * 1e6),
        waiting=max_waiting,
        read_seconds=timeout,
        answer_seconds=timeout,
    )
    if label_to is not None and label is None:
        raise UsageError("--label-to: is for --label; say which list")
    with server.bind(host, port) as listener:
        classifier = open_model(str(model), engine, threads, precision, accept=accept)
        classifier.prepare()
        if classifier.tile is not None:
            log.info("objects are found in tiles of %d pixels of larger photos", classifier.tile)
        found = _among(classifier, Path(model), among)
        labels = _labels(Path(label), label_to, classifier) if label is not None else None
        explain = _explain(str(model), classifier, limits.pixels)
        app = make_app(classifier, limits, explain, origins, found, labels)
        if ready is not None:
            ready(Service(classifier.card.name, server.url_of(listener), labels is not None))
        if not ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback:
            log.warning("anyone who reaches this machine over the network can use it")
        if ANY in origins:
            log.warning("every web page that somebody here opens can use it")
        server.serve(app, listener, limits)


def _explain(model: str, predictor: Predictor[Any], max_pixels: int) -> Explain | None:
    """What draws where `predictor` looked; None: nothing can."""
    from mobilenets.model_card import ANOMALY, CLASSIFY
    from mobilenets.serving.overlay import can_explain, explainer, inspector
    from mobilenets.verbs.model_argument import has_network, open_network

    if predictor.card.task == ANOMALY:  # its answers say where by themselves
        return inspector(predictor, max_pixels)
    if predictor.card.task == CLASSIFY and has_network(model) and can_explain():
        return explainer(lambda: open_network(model), max_pixels)
    return None


def _among(predictor: Predictor[Any], model: Path, among: Sources | None) -> Among | None:
    """What the service finds photos among; None: nothing."""
    from mobilenets.serving.among import Among
    from mobilenets.verbs.among import look_among

    if among is None:
        index = predictor.index
        return None if index is None else Among.of(index.reference.rows, index.paths)
    return Among.of(*look_among(predictor, model, among, []))


def _labels(wanted: Path, labels: str | Path | None, predictor: Predictor[Any]) -> LabelList:
    from mobilenets.model_card import CLASSIFY
    from mobilenets.serving.label_list import LabelList

    if predictor.card.task != CLASSIFY:
        raise UsageError(
            f"--label: its page gives each photo one class, and {predictor.card.name} answers "
            f"{predictor.card.task!r}; fill the list in by hand"
        )
    classes = predictor.classes
    return LabelList(wanted, wanted.with_name("labels.csv") if labels is None else Path(labels), classes)
