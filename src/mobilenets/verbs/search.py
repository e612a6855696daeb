"""`mobilenets.search`: the network that fits a latency, found from a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.searching.result import SearchResult
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import Method, SearchEngine
    from mobilenets.system.progress import Report


@verb
def search(
    data: str | Path | None = None,
    *,
    run: str | Path | None = None,
    latency_ms: float | str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    moved_to: str | Path | None = None,
    engine: SearchEngine | None = None,
    threads: int | None = None,
    method: Method | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    tune: int | None = None,
    epochs: int | None = None,
    evaluations: int | None = None,
    exponent: float | None = None,
    max_pixels: int | None = None,
    progress: Report | None = None,
) -> SearchResult:
    """Find the most accurate network within a latency that is measured here, from a trained run.

    Parameters
    ----------
    data
        The data that the run was trained on.
    run
        Run folder of the network to start from (`--from`).
    latency_ms
        What one photo may take on this machine: milliseconds, or a text as "2.0ms", "1500us", "0.002s" (`--latency`).
    out
        New run folder; None: runs/RUN-LATENCY.
    resume
        Go on with the interrupted search in `out`.
    moved_to
        With `resume`: where the photos are now (`--data`).
    engine
        Measure in "onnxruntime" (None) or "openvino".
    threads
        Of the engine, 1 or more; None: 1.
    method
        "netadapt" (None): narrow the run's network step by step; "evolve": search other blocks too.
    minutes
        Time for the search and the training after it, above 0; None: 20.
    seed
        Of every random number, 0 or more; None: 0.
    tune
        Batches that each proposal (evolve: the supernet) is trained for, 0 or more; None: planned.
    epochs
        Of the training at the end, 1 or more; None: planned.
    evaluations
        evolve: networks that are evaluated, 1 or more; None: planned.
    exponent
        evolve: a soft budget: the best accuracy * (ms / budget)^exponent, from -10 to 0.
    max_pixels
        Decode at most so many pixels of a photo; None: 120 million.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    SearchResult
        The folder of the run that was found, and its figures; `to_dict()` is the content of `search.json`.

    Raises
    ------
    DataError
        No such data, or other photos than the run was trained on.
    ModelFileError
        No such run, or one that holds no network.
    UsageError
        A budget out of reach, options out of range or that do not go together, an `out` that exists.
    MissingExtraError
        What trains, or the engine, is not installed.

    Examples
    --------
    >>> import mobilenets as mn
    >>> found = mn.search("photos", run="runs/photos", latency_ms=2.0)  # doctest: +SKIP
    >>> found.summary["accuracy"], found.summary["latency_ms"]  # doctest: +SKIP
    (0.94, 1.93)
    >>> mn.search("photos", run="runs/photos")
    Traceback (most recent call last):
    mobilenets.errors.UsageError: --latency MS: is missing; for example: mobilenets search ...
    """
    asked: dict[str, Any] = {
        "engine": engine, "threads": threads, "method": method, "minutes": minutes, "seed": seed, "tune": tune,
        "epochs": epochs, "evaluations": evaluations, "exponent": exponent,
    }  # fmt: skip
    asked = {name: value for name, value in asked.items() if value is not None}
    try:
        if resume:
            return _resume(data, run, latency_ms, out, moved_to, asked)
        return _search(data, run, latency_ms, out, moved_to, asked)
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[train]'") from None


def _search(
    data: str | Path | None,
    run: str | Path | None,
    latency: float | str | None,
    out: str | Path | None,
    moved_to: str | Path | None,
    asked: dict[str, Any],
) -> SearchResult:
    if data is None or run is None or latency is None:
        missing = next(
            name for value, name in ((data, "DATA"), (run, "--from RUN"), (latency, "--latency MS")) if value is None
        )
        raise UsageError(
            f"{missing}: is missing; for example: mobilenets search photos --from runs/photos --latency 2ms"
        )
    if moved_to is not None:
        raise UsageError("--data: is for --resume; name the photos of a new search without it")
    from mobilenets.searching.config import SearchConfig, parse_latency

    wanted = SearchConfig(data=str(data), run=str(run), latency_ms=parse_latency(str(latency)), **asked)
    from mobilenets.searching.job import search

    return search(wanted, None if out is None else Path(out))


def _resume(
    data: str | Path | None,
    run: str | Path | None,
    latency: float | str | None,
    out: str | Path | None,
    moved_to: str | Path | None,
    asked: dict[str, Any],
) -> SearchResult:
    if out is None:
        raise UsageError("--resume: say which folder with --out")
    from mobilenets.searching.config import parse_latency
    from mobilenets.searching.job import resume
    from mobilenets.searching.state import SearchState

    was = SearchState.read(Path(out)).config
    given = dict(asked)
    if latency is not None:
        given["latency_ms"] = parse_latency(str(latency))
    for name, value in (("data", data), ("run", run)):
        if value is not None and Path(value).resolve() != Path(getattr(was, name)).resolve():
            given[name] = value
    for name, value in given.items():
        kept = getattr(was, name)
        if value != kept:
            option = {"data": "DATA", "run": "--from", "latency_ms": "--latency"}.get(name, f"--{name}")
            moved = "say where the same photos are now with --data, " if name == "data" else "leave it out, "
            raise UsageError(
                f"{option}: {value} now, but {kept} when the search in {out} began: {moved}or search into a new --out"
            )
    return resume(Path(out), None if moved_to is None else Path(moved_to))
