"""Images per second, processor time and memory of a training loop under way."""

from __future__ import annotations

import resource
import time
from typing import Any

WARM_UP_STEPS, WARM_UP_S = 2, 4.0


class Meter:
    """Times the steps after a warm-up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.steps, self.images = seconds, 0, 0
        self.born, self.start, self.cpu_before = time.perf_counter(), 0.0, 0.0
        self.figures: dict[str, float] = {}

    def __call__(self, images: int) -> bool:
        """Told of a step; whether that was the last."""
        now = time.perf_counter()
        self.steps += 1
        if not self.start:
            if self.steps >= WARM_UP_STEPS and now - self.born >= WARM_UP_S:
                self.start, self.cpu_before = now, _cpu_seconds()
            return False
        self.images += images
        elapsed = now - self.start
        if elapsed < self.seconds:
            return False
        self.figures = {
            "images_per_s": self.images / elapsed,
            "cpu_s_per_image": (_cpu_seconds() - self.cpu_before) / self.images,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + _children_mb(),
        }
        return True


def _family() -> list[Any]:
    import psutil

    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _cpu_seconds() -> float:
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)  # of loading processes that have ended
    ended = ours.ru_utime + ours.ru_stime
    return ended + sum(sum(process.cpu_times()[:2]) for process in _family())


def _children_mb() -> float:
    return float(sum(child.memory_full_info().uss for child in _family()[1:])) / 2**20
