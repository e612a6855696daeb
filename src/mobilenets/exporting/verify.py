"""Run an exported file in its own runtime, on real pictures, beside the network it came from."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mobilenets.errors import DataError
from mobilenets.exporting.images import SampleImage
from mobilenets.runtime.base import FLOAT, Engine, Pixels
from mobilenets.runtime.registry import KINDS
from mobilenets.system import terminal
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs, Task

# Float arithmetic in another order moves a probability in the sixth digit; more than this is another network.
MIN_AGREEMENT = 0.999
LARGEST_DIFFERENCE = {"cropped": 1e-3, "full": 1e-2}  # a resize of another make rounds some pixels the other way
BATCH = 8  # pictures computed at a time
WARM_UP, TIMED = 3, 30  # pictures that are run by themselves for the latency
MAX_LOST = 0.01  # of the accuracy, before that is told
ACCURACY = "accuracy"  # the quality of the task whose answers are classes
INT8, FLOAT16 = "int8", "float16"  # beside FLOAT
Verdict = Literal["passed", "loss", "wrong", "unknown"]


@dataclass(frozen=True)
class Verification:
    """How far an exported file is from its network; the content of `verify.json`.

    Attributes
    ----------
    target
        As "onnx".
    precision
        "float32", "int8", or "float16", of the weights only.
    input
        "cropped" or "full", a file that resizes and crops itself.
    ran
        False where the format's runtime does not exist on this system, and every figure but `bytes` is None.
    n
        Photos.
    top1_agreement
        Fraction of them that get the same answer, as a class; of boxes with a score from 0.05 on (where all are
        lower: from the middle of them on) the fraction that both have, of the same class with an IoU of 0.99 or more.
    max_probability_difference
        Over all photos and outputs; of boxes that both have, of their scores.
    accuracy_before
        Of the network, or the task's own figure (`Task.quality`); None for photos without a label.
    accuracy_after
        Likewise of the file.
    latency_ms
        Median for one photo on one thread (ExecuTorch: on those it chooses), pixels to probabilities, in milliseconds.
    bytes
        Of the file.
    runtime
        What ran the file.
    half
        The same of this file computed in half precision, which `precision` names; None where it was not.
    quality
        What `accuracy_before` and `accuracy_after` are: "accuracy", or "mAP".

    Examples
    --------
    >>> figures = Verification("onnx", "int8", "cropped", True, 100, 0.98, 0.03, 0.9, 0.88, 2.5, 1_900_000)
    >>> figures.lost, figures.agrees, figures.verdict
    (0.02, True, 'loss')
    """

    target: str
    precision: str
    input: str
    ran: bool
    n: int
    top1_agreement: float | None
    max_probability_difference: float | None
    accuracy_before: float | None
    accuracy_after: float | None
    latency_ms: float | None
    bytes: int
    runtime: str | None = None
    half: Verification | None = None
    quality: str = ACCURACY

    @property
    def lost(self) -> float:
        """By how much the accuracy fell; 0 where it is not known."""
        if self.accuracy_before is None or self.accuracy_after is None:
            return 0.0
        return round(self.accuracy_before - self.accuracy_after, 9)  # 0.80 - 0.79 is a point, not more

    @property
    def agrees(self) -> bool:
        """Whether a float32 file is the network; others may differ, and what could not run here has shown nothing."""
        if self.precision != FLOAT or self.top1_agreement is None or self.max_probability_difference is None:
            return True
        return (
            self.top1_agreement >= MIN_AGREEMENT and self.max_probability_difference <= LARGEST_DIFFERENCE[self.input]
        )

    @property
    def verdict(self) -> Verdict:
        """What the figures come to, in a word.

        "passed": a float32 file gives the network's answers, another one loses at most a point of accuracy. "loss": it
        loses more, as it is or computed in half precision. "wrong": a float32 file gives other answers. "unknown": the
        file was not run, or its weights are rounded and no label is known.
        """
        if self.top1_agreement is None:
            return "unknown"
        if self.precision == FLOAT:
            return "passed" if self.agrees else "wrong"
        if self.accuracy_before is None:
            return "unknown"
        return "loss" if max(self.lost, self.half.lost if self.half else 0.0) > MAX_LOST else "passed"

    def to_dict(self) -> dict[str, Any]:
        """The content of `verify.json`: every figure, and the verdict."""
        half = self.half.to_dict() if self.half else None
        return {"verdict": self.verdict, **asdict(self), "half": half}


def verify(
    engine: Engine | None,
    network: Engine,
    images: Iterable[SampleImage],
    target: str,
    precision: str,
    size: int,
    runtime: str | None = None,
    texts: Sequence[str] = (),
) -> Verification:
    """Compare `engine`, opened on one thread, with `network`, which is in torch, on images.

    Each computes batches on one thread, the two beside each other: several threads for one image wait for each other
    at every layer, for a whole time slice where another process has the core of one of them. Without an `engine` the
    runtime does not exist here and nothing is run. `texts`: what the labels of the images number.

    Raises
    ------
    UserError
        No images.
    """
    if engine is None:
        return Verification(target, precision, "cropped", False, 0, None, None, None, None, None, size)
    labels: list[int | None] = []
    seconds: list[float] = []

    def run_alone() -> Iterator[tuple[Pixels, Outputs | None]]:
        """Pixels of each image, and the row (W,) of those that the engine runs by themselves."""
        for image in images:
            labels.append(image.label)
            if engine.accepts_full_image or len(labels) <= WARM_UP + TIMED:
                start = time.perf_counter()
                row = engine((image.full_image if engine.accepts_full_image else image.pixels)[None])[0]
                seconds.append(time.perf_counter() - start)
                yield image.pixels, row
            else:
                yield image.pixels, None

    before: list[Outputs] = []
    after: list[Outputs] = []
    remaining = run_alone()
    expected: deque[Future[Outputs]] = deque()  # the last group's too, while the next one is read
    with _one_thread() as beside:
        while group := list(islice(remaining, BATCH)):
            pixels = np.stack([row for row, _ in group])
            expected.append(beside.submit(network, pixels))
            after.extend([row for _, row in group if row is not None] if engine.accepts_full_image else engine(pixels))
            if len(expected) > 1:
                before.extend(expected.popleft().result())
        for rows in expected:
            before.extend(rows.result())
    if not labels:
        raise DataError("none of the photos to compare on can be read; give others by --data")
    task = task_of(network.card)
    theirs, ours = np.stack(before), np.stack(after)
    agreement, difference = task.compare(theirs, ours)
    return Verification(
        target=target,
        precision=precision,
        input="full" if engine.accepts_full_image else "cropped",
        ran=True,
        n=len(labels),
        top1_agreement=agreement,
        # A probability that is not a number is as far off as can be, and JSON has no word for it.
        max_probability_difference=difference if np.isfinite(difference) else 1.0,
        accuracy_before=_quality(task, theirs, labels, texts),
        accuracy_after=_quality(task, ours, labels, texts),
        latency_ms=1000 * statistics.median(seconds[WARM_UP:] or seconds),
        bytes=size,
        runtime=runtime,
        quality=task.quality,
    )


@contextmanager
def _one_thread() -> Iterator[ThreadPoolExecutor]:
    """One of torch's threads here, and another thread that also computes on one of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as beside:
            yield beside
    finally:
        torch.set_num_threads(before)


def losses(result: Verification) -> list[str]:
    """What a file of rounded weights costs, in words, where that is more than a point."""
    found = [_loss(result)] if result.precision != FLOAT else []
    if result.half is not None and (loss := _loss(result.half)):
        found.append(f"computed in {result.half.precision}, {loss}")
    return [loss for loss in found if loss]


def _loss(result: Verification) -> str | None:
    if result.lost > MAX_LOST:
        less = "less accurate" if result.quality == ACCURACY else f"of {result.quality} less"
        return f"{100 * result.lost:.1f} points {less} than the network, on {result.n} photos"
    if result.accuracy_before is not None or result.top1_agreement is None:
        return None
    other = 1 - result.top1_agreement  # without labels nothing more is known
    what = "class" if result.quality == ACCURACY else "answer"
    return f"another {what} than the network's for {other:.1%} of the photos" if other > MAX_LOST else None


def _quality(task: Task[Any], outputs: Outputs, labels: list[int | None], texts: Sequence[str]) -> float | None:
    known = np.array([label is not None for label in labels])
    if not known.any():
        return None
    truth = np.array([label for label in labels if label is not None])
    return task.validate(outputs[known], truth, texts)[1]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)


def table(result: Verification) -> list[str]:
    """The result in lines to print."""
    lines = _table(result, f"{result.target} {result.precision}")
    if result.half is not None:
        lines += _table(result.half, f"{result.target} {result.precision}, computed in {result.half.precision}")
    elif result.precision == FLOAT16 and result.runtime in KINDS and KINDS[result.runtime].open_half:
        lines.append(
            f"{result.target} {result.precision}: not computed in half precision here (this processor has none)"
        )
    return lines


def _table(result: Verification, title: str) -> list[str]:
    megabytes = result.bytes / 1e6
    if not result.ran:
        return [
            f"{result.target} {result.precision}: not run here (no such runtime on this system); {megabytes:.1f} MB"
        ]
    what = "probability" if result.quality == ACCURACY else "score"
    rows = [
        ("photos", str(result.n)),
        ("same class" if result.quality == ACCURACY else "same answer", f"{result.top1_agreement:.4f}"),
        ("largest difference", f"{result.max_probability_difference:.2g} of a {what}"),
    ]
    if result.accuracy_before is not None:
        rows.append((result.quality, f"{result.accuracy_before:.4f} before, {result.accuracy_after:.4f} after"))
    threads = "" if result.runtime == "executorch" else " on one thread"
    rows += [("latency", f"{result.latency_ms:.1f} ms a photo{threads}"), ("size", f"{megabytes:.1f} MB")]
    return [title, *(f"  {line}" for line in terminal.table(rows, "l", gap=1))]
