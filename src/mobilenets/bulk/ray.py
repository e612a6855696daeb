"""Bulk prediction on Ray Data: parts of a list of pictures, on every core of a machine or of a cluster.

Each worker has the model once, on one thread, predicts a part and writes its file. Ray gives the part of a worker
that died to another one; a part's file appears at once when it is complete, under a name that depends on nothing but
its number. So whatever dies and whenever: every picture has one row in the end.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.data

from mobilenets.bulk.shards import Manifest, ModelFiles, chunks, write_part
from mobilenets.errors import DataError, UserError
from mobilenets.preprocess.opening import max_pixels, pixel_limit
from mobilenets.runtime.base import available_cores
from mobilenets.runtime.opening import load
from mobilenets.runtime.predictor import Failure
from mobilenets.system.progress import Progress

Row = dict[str, Any]


class Worker:
    """Predicts one part after another with a model of its own; `files`: the reference to its `ModelFiles`."""

    def __init__(self, files: Any, manifest: Manifest, folder: str, here: str, pixel_limit: int) -> None:
        with tempfile.TemporaryDirectory() as name:
            model: ModelFiles = ray.get(files)
            self._predictor = load(model.write(Path(name)), "onnxruntime", threads=1, accept=model.accept)
        self._predictor.tile = manifest.tile
        self._manifest, self._folder, self._here = manifest, Path(folder), here
        self._pixel_limit = pixel_limit

    def __call__(self, row: Row) -> Row:
        """Predict the paths of one part and write its file; how many could not be read."""
        paths = row["paths"].split("\0")
        with max_pixels(self._pixel_limit):
            results = [self._result(os.fsdecode(path.encode("latin-1"))) for path in paths]
        write_part(
            self._manifest.path(self._folder, row["part"]), results, self._manifest.top, self._predictor.task.fields
        )
        failed = sum(isinstance(result, Failure) for result in results)
        return {"part": row["part"], "pictures": len(results), "failed": failed}

    def _result(self, path: str) -> Any:
        try:
            return replace(self._predictor.predict(Path(self._here, path)), path=path)
        except UserError as error:
            return Failure(path, str(error))


def predict_parts(files: ModelFiles, paths: Iterable[str], manifest: Manifest, folder: Path) -> tuple[int, int]:
    """Predict the parts that `folder` lacks; how many pictures that were, and how many could not be read.

    Joins the cluster that RAY_ADDRESS names or that runs on this machine, else starts one here that ends with it.
    All its machines must see the pictures and `folder` under the same paths.

    Raises
    ------
    UserError
        No cluster, or work that failed for another reason than an unreadable picture.
    """
    missing = set(manifest.missing(folder))
    if not missing:
        return 0, 0
    work = [
        {"part": part, "paths": "\0".join(os.fsencode(path).decode("latin-1") for path in some)}
        for part, some in enumerate(chunks(paths, manifest.size))
        if part in missing
    ]
    started = _join()
    try:
        return _run(work, ray.put(files), manifest, folder)
    except ray.exceptions.RayError as error:
        raise DataError(
            f"Ray: {_last_line(error)}; what was finished is kept, the same command does the rest"
        ) from error
    finally:
        if started:
            ray.shutdown()


def _join() -> bool:
    """Connect to Ray unless the program has; whether this did."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked for a report to Ray's makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of Ray Data's own doings it warns on every start
    quiet: Row = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if "RAY_ADDRESS" in os.environ:
            ray.init(**quiet)
        else:
            ray.init(num_cpus=available_cores(), include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise DataError(f"Ray: {_last_line(error)}; check RAY_ADDRESS, or leave it out for this machine") from error
    return True


def _run(work: list[Row], files: Any, manifest: Manifest, folder: Path) -> tuple[int, int]:
    context = ray.data.DataContext.get_current()
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # what matters is told here
    context.enable_progress_bars = context.print_on_execution_start = False
    workers = max(1, min(int(ray.cluster_resources().get("CPU", 1)), len(work)))
    data = ray.data.from_items(work, override_num_blocks=len(work)).map(
        Worker,
        fn_constructor_args=(files, manifest, str(folder.absolute()), str(Path.cwd()), pixel_limit()),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    done = failed = 0
    total = min(manifest.pictures, len(work) * manifest.size)
    with Progress(f"predicting on {workers} workers", total, "photo") as progress:
        for row in data.iter_rows():
            done, failed = done + row["pictures"], failed + row["failed"]
            progress.advance(row["pictures"])
    return done, failed


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
