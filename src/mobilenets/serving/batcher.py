"""Micro-batching: pictures of all requests are decoded in threads and go through the one engine together."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mobilenets.runtime.base import available_cores
from mobilenets.runtime.predictor import Predictor, Row
from mobilenets.runtime.tiled import Input
from mobilenets.serving.limits import Limits, busy
from mobilenets.serving.metrics import Metrics

# A batch leaves as soon as the engine is free; only while further pictures are being decoded does it wait for them,
# and no longer than this: a picture that comes alone is never held back.
LINGER = 0.003  # seconds
BATCH = 8
READY = 2  # decoded photos that wait to be cut into tiles; up to 150 MB each by `Limits.pixels`


@dataclass(eq=False)
class _Job:
    data: bytes
    answer: asyncio.Future[Row]
    input: Input | None = None


class Batcher:
    """Answers pictures from the event loop it is started in; `close` when no answer is awaited any more."""

    def __init__(self, predictor: Predictor[Any], limits: Limits, metrics: Metrics, batch: int = BATCH) -> None:
        self._predictor, self._limits, self._metrics = predictor, limits, metrics
        self._batch = batch if predictor.tile is None else 1  # tiles are a batch of their own
        self._loop = asyncio.get_running_loop()
        self._waiting = 0  # changed in the loop's thread only
        self._decoding = 0  # pictures on their way to `_ready`
        self._lock = threading.Lock()
        # A photo in tiles keeps all its pixels until they are run: decoding waits for that.
        self._ready: queue.Queue[_Job | None] = queue.Queue(0 if predictor.tile is None else READY)
        self._pool = ThreadPoolExecutor(available_cores(), "decode")
        self._engine = threading.Thread(target=self._run, name="engine", daemon=True)
        self._engine.start()

    def submit(self, images: list[bytes]) -> list[asyncio.Future[Row]]:
        """A future for each picture's row or `UnreadableImage`; a cancelled one costs no more work.

        Raises
        ------
        Refusal
            There is no room for them.
        """
        if self._waiting + len(images) > self._limits.waiting:
            raise busy()
        jobs = [_Job(data, self._loop.create_future()) for data in images]
        self._waiting += len(jobs)
        self._metrics.waiting.set(self._waiting)
        with self._lock:
            self._decoding += len(jobs)
        for job in jobs:
            self._pool.submit(self._decode, job)
        return [job.answer for job in jobs]

    def close(self) -> None:
        """End the threads, after what they have begun."""
        self._pool.shutdown()
        self._ready.put(None)
        self._engine.join()

    def _decode(self, job: _Job) -> None:
        failure: Exception | None = None
        if not job.answer.cancelled():
            start = time.perf_counter()
            try:
                job.input = self._predictor.input(job.data, self._limits.pixels)
            except Exception as error:  # whoever awaits it tells what the client may know
                failure = error
            self._metrics.decoding.observe(time.perf_counter() - start)
        with self._lock:
            self._decoding -= 1
        if job.input is None:
            self._resolve([job], failure)
        else:
            self._ready.put(job)

    def _run(self) -> None:
        while (job := self._ready.get()) is not None:
            jobs = self._gather(job)
            if all(job.answer.cancelled() for job in jobs):  # nobody waits any more, and tiles may be many
                self._resolve(jobs, None)
                continue
            start = time.perf_counter()
            try:
                inputs = [job.input for job in jobs if job.input is not None]
                rows = list(self._predictor.rows_of(inputs))
            except Exception as error:  # this batch has no answer; the next may
                self._resolve(jobs, error)
                continue
            self._metrics.engine.observe(time.perf_counter() - start)
            self._metrics.batches.observe(len(jobs))
            self._resolve(jobs, rows)

    def _gather(self, first: _Job) -> list[_Job]:
        jobs = [first]
        deadline = time.perf_counter() + LINGER
        while len(jobs) < self._batch:
            patience = deadline - time.perf_counter() if self._decoding else 0.0
            try:
                job = self._ready.get(patience > 0, max(patience, 0.0))
            except queue.Empty:
                break
            if job is None:  # closing: after these
                self._ready.put(None)
                break
            jobs.append(job)
        return jobs

    def _resolve(self, jobs: list[_Job], outcome: list[Row] | Exception | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, jobs, outcome)

    def _deliver(self, jobs: list[_Job], outcome: list[Row] | Exception | None) -> None:
        self._waiting -= len(jobs)
        self._metrics.waiting.set(self._waiting)
        for i, job in enumerate(jobs):
            if job.answer.done():
                continue
            if isinstance(outcome, list):
                job.answer.set_result(outcome[i])
            else:
                job.answer.set_exception(outcome or asyncio.CancelledError())
