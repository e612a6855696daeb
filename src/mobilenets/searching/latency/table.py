"""The table of what was measured on this machine: subgraphs of networks and whole networks, each once.

A search asks for the latency of thousands of networks that share most of their blocks. So each block is exported and
timed once in the real engine, and kept in a file for later searches (the table of NetAdapt, 1804.03230, §3.4).
`model.py` makes latencies of whole networks from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np

from mobilenets.arch import build
from mobilenets.runtime.base import check_threads
from mobilenets.runtime.registry import KINDS
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.latency.subgraphs import WholeNetwork, subgraphs
from mobilenets.searching.latency.timer import EngineTimer, Part, Timer, check_engine
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.files import write_atomic
from mobilenets.system.progress import Progress
from mobilenets.system.timing import Effort, Estimate

CHUNK = 24  # graphs that are open at once and take turns; after each chunk the table is written
SHOWN = 100  # graphs that take long enough to show progress; a search asks for fewer, hundreds of times
NETWORK_TIMES = 3  # that a whole network is measured, each in a chunk of its own: what a search accepts hangs on it
SETTLED = 0.95  # of what the reference took: a warm processor makes less of a difference
FORMAT = 3
# Errors of subgraphs average out in the sum of a network; on whole networks hangs what a search accepts.
SUBGRAPH_EFFORT, NETWORK_EFFORT = Effort(spread=0.05, max_s=2.0), Effort(spread=0.02, max_s=3.0)


@dataclass(frozen=True)
class Conditions:
    """Where a network is to be fast. Everything here is float32 and one image at a time."""

    engine: str = "onnxruntime"
    threads: int = 1

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_threads("--threads", self.threads)

    def name(self) -> str:
        """Also the machine and the engine's version: what is measured under one name belongs together."""
        machine = f"{platform.node()} {platform.processor() or platform.machine()}"
        return f"{machine} {self.engine}-{version(KINDS[self.engine].module)} {self.threads} threads float32"


# The reference beside which everything is timed. Other work on the machine, or a warmer processor, slows all alike:
# what is measured is divided by how much slower this one is than when the table was begun. It is small: a call that is
# shorter than a time slice of the system has its own time also on a busy machine.
ANCHOR = Candidate(build("mobilenet_v2", width=0.35, num_classes=2), 64)


class LatencyTable:
    """Milliseconds of subgraphs and of whole networks under some conditions, kept in a file and added to on demand.

    Safe to stop at any time: what was measured before is kept. Use it as a context: it holds a process. `timer`: what
    measures, by default the engine itself.

    Raises
    ------
    UserError
        The engine is not installed or does not measure subgraphs.
    """

    def __init__(self, conditions: Conditions, path: Path | None = None, timer: Timer | None = None) -> None:
        self.conditions = conditions
        digest = hashlib.sha256(conditions.name().encode()).hexdigest()[:8]
        self.path = path or cache_folder("latency") / f"{conditions.engine}-{conditions.threads}-{digest}.json"
        self._known, self._anchor_s = _read(self.path, conditions)
        self._timer = timer

    def __enter__(self) -> LatencyTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def __len__(self) -> int:
        return len(self._known)

    def subgraphs_ms(self, candidates: Iterable[Candidate]) -> list[float]:
        """The sum of its subgraphs for each, in milliseconds; subgraphs the table lacks are measured and kept."""
        parts = [list(subgraphs(c.net, c.size)) for c in candidates]
        new = {subgraph.key: subgraph for row in parts for subgraph in row if subgraph.key not in self._known}
        self._measure(new, "timing blocks", SUBGRAPH_EFFORT)
        return [sum(self._known[subgraph.key].ms for subgraph in row) for row in parts]

    def networks_ms(self, candidates: Sequence[Candidate]) -> list[float]:
        """Milliseconds of whole networks: see `networks`."""
        return [estimate.ms for estimate in self.networks(candidates)]

    def networks(self, candidates: Sequence[Candidate], again: bool = False) -> list[Estimate]:
        """Whole networks measured, exported with random weights; `again`: also known ones, all in turns."""
        keys = [f"network {network_key(c)}" for c in candidates]
        new = {
            k: WholeNetwork(c.net, c.size)
            for k, c in zip(keys, candidates, strict=True)
            if again or k not in self._known
        }
        self._measure(new, "timing networks", NETWORK_EFFORT, NETWORK_TIMES)
        return [self._known[key] for key in keys]

    def _measure(self, files: Mapping[str, Part], title: str, effort: Effort, times: int = 1) -> None:
        """Measure so many times and keep, chunk by chunk."""
        if not files:
            return
        names = list(files)
        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(Progress(title, len(names))) if len(names) > SHOWN else None
            for start in range(0, len(names), CHUNK):
                chunk = names[start : start + CHUNK]
                found = self._timed([files[name] for name in chunk], effort, times)
                self._known.update(zip(chunk, found, strict=True))
                self._write()
                if progress:
                    progress.advance(len(chunk))

    def _timed(self, parts: Sequence[Part], effort: Effort, times: int) -> list[Estimate]:
        """The median of each over so many measurements, by the reference as it was when the table was begun."""
        rows = [self._timing().measure(parts, effort) for _ in range(times)]
        if self._anchor_s is None:
            self._anchor_s = float(np.median([row.reference.seconds for row in rows]))
        factors = [self._anchor_s / row.reference.seconds for row in rows]
        scaled = [[e.scaled(f) for e in row.estimates] for f, row in zip(factors, rows, strict=True)]
        return [_middle(estimates) for estimates in zip(*scaled, strict=True)]

    def settle(self) -> float | None:
        """Time the reference alone; where it takes clearly less than when the table was begun, all of it took less.

        Other work only ever adds time: the table was begun beside some. The factor by which every time in it was
        changed, None where it stands.
        """
        if self._anchor_s is None or not self._known:
            return None
        now = self._timing().measure([], NETWORK_EFFORT).reference
        if now.high > SETTLED * self._anchor_s:
            return None
        factor = now.seconds / self._anchor_s
        self._known = {key: estimate.scaled(factor) for key, estimate in self._known.items()}
        self._anchor_s = now.seconds
        self._write()
        return factor

    def _timing(self) -> Timer:
        if self._timer is None:
            self._timer = EngineTimer(
                self.conditions.engine, self.conditions.threads, WholeNetwork(ANCHOR.net, ANCHOR.size)
            )
        return self._timer

    def _write(self) -> None:
        rows = {key: [1000 * s for s in (e.seconds, e.low, e.high)] for key, e in self._known.items()}
        anchor_ms = 1000 * (self._anchor_s or 0.0)
        content = {"format": FORMAT, "conditions": self.conditions.name(), "anchor_ms": anchor_ms, "ms": rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, json.dumps(content, indent=1) + "\n")


def network_key(candidate: Candidate) -> str:
    """Two candidates of which every subgraph is the same have one key."""
    text = json.dumps([subgraph.key for subgraph in subgraphs(candidate.net, candidate.size)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _middle(estimates: Sequence[Estimate]) -> Estimate:
    """Of several estimates the median, which one that was disturbed does not move, and the median ends."""
    return Estimate(*(float(np.median(column)) for column in zip(*map(astuple, estimates), strict=True)))


def _read(path: Path, conditions: Conditions) -> tuple[dict[str, Estimate], float | None]:
    """What was measured under the same conditions; nothing, where the file is another's or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or content["conditions"] != conditions.name():
            return {}, None
        known = {}
        for key, row in content["ms"].items():
            seconds, low, high = (float(ms) / 1000 for ms in row)
            known[str(key)] = Estimate(seconds, low, high)
        return known, float(content["anchor_ms"]) / 1000
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, None
