"""What a search is asked for: checked before torch is loaded."""

from __future__ import annotations

import math
import shlex
from dataclasses import MISSING, dataclass, fields

from mobilenets.errors import UsageError

NETADAPT, EVOLVE = "netadapt", "evolve"  # the methods


@dataclass(frozen=True)
class SearchConfig:
    """What was asked for.

    `latency_ms`: the budget. `minutes`: what the search and the training after it are planned into; `tune` (batches
    of short training per proposal; for evolve of the supernet's training), `evaluations` (networks that evolve
    evaluates) and `epochs` (of the training at the end) replace the plan where they are given. `exponent`: of evolve's
    reward (`evolve.Goal`); None keeps the budget hard.
    """

    data: str
    run: str
    latency_ms: float
    engine: str = "onnxruntime"
    threads: int = 1
    method: str = NETADAPT
    minutes: float = 20.0
    seed: int = 0
    tune: int | None = None
    epochs: int | None = None
    evaluations: int | None = None
    exponent: float | None = None

    def __post_init__(self) -> None:
        if self.method not in (NETADAPT, EVOLVE):
            raise UsageError(f"--method {self.method}: is not one of {NETADAPT}, {EVOLVE}")
        if not self.minutes > 0:
            raise UsageError(f"--minutes: {self.minutes:g} is not a time; use a positive number")
        if self.seed < 0:
            raise UsageError(f"--seed: {self.seed} is negative; use 0 or more")
        if self.tune is not None and self.tune < 0:
            raise UsageError(f"--tune: {self.tune} is negative; use 0 or more batches")
        if self.epochs is not None and self.epochs < 1:
            raise UsageError(f"--epochs: {self.epochs} is too few; use 1 or more")
        if self.evaluations is not None and self.evaluations < 1:
            raise UsageError(f"--evaluations: {self.evaluations} is too few; use 1 or more")
        if self.exponent is not None and not -10 <= self.exponent <= 0:
            raise UsageError(f"--exponent: {self.exponent:g} is none of -10 to 0; MnasNet's is -0.07")
        for name, value in (("evaluations", self.evaluations), ("exponent", self.exponent)):
            if self.method != EVOLVE and value is not None:
                raise UsageError(f"--{name}: is for --method {EVOLVE}")

    def command(self) -> str:
        """The command that asks for this."""
        options = [
            text
            for f in fields(self)
            if f.default is not MISSING and getattr(self, f.name) != f.default
            for text in (f"--{f.name}", str(getattr(self, f.name)))
        ]
        words = ["mobilenets", "search", self.data, "--from", self.run, "--latency", f"{self.latency_ms!r}ms", *options]
        return shlex.join(words)


def parse_latency(text: str) -> float:
    """Milliseconds that "2.0ms", "2.0", "1500us" or "0.002s" stand for.

    Raises
    ------
    UserError
        Anything else.
    """
    units: dict[str, float] = {"ms": 1.0, "us": 1e-3, "s": 1e3, "": 1.0}
    number = text.strip().rstrip("musµ ")
    unit = text.strip().removeprefix(number).strip().replace("µ", "u")
    try:
        value = float(number) * units[unit]
    except (ValueError, KeyError):
        raise UsageError(f"--latency {text}: is no time; write it as 2.0ms") from None
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"--latency {text}: is no positive time; write it as 2.0ms")
    return value
