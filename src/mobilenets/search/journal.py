"""A search under way, as its folder remembers it: nothing that was paid for is lost, whenever it stops."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mobilenets.artifact import write_atomic
from mobilenets.errors import UserError
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.torch import TorchEngine

FOLDER = "checkpoint"  # of a run folder
FILE = "search.json"

NETADAPT, EVOLVE = "netadapt", "evolve"  # the methods


@dataclass(frozen=True)
class Ask:
    """What was asked for.

    `latency_ms`: the budget. `minutes`: what the search and the training after it are planned into; `tune` (batches
    of short training per proposal; for evolve of the supernet's training), `evaluations` (networks that evolve judges)
    and `epochs` (of the training at the end) replace the plan where they are given. `exponent`: of evolve's reward
    (`evolve.Goal`); None keeps the budget hard.
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
            raise UserError(f"--method {self.method}: is not one of {NETADAPT}, {EVOLVE}")
        if not self.minutes > 0:
            raise UserError(f"--minutes: {self.minutes:g} is not a time; use a positive number")
        if self.seed < 0:
            raise UserError(f"--seed: {self.seed} is negative; use 0 or more")
        if self.tune is not None and self.tune < 0:
            raise UserError(f"--tune: {self.tune} is negative; use 0 or more batches")
        if self.epochs is not None and self.epochs < 1:
            raise UserError(f"--epochs: {self.epochs} is too few; use 1 or more")
        if self.evaluations is not None and self.evaluations < 1:
            raise UserError(f"--evaluations: {self.evaluations} is too few; use 1 or more")
        if self.exponent is not None and not -10 <= self.exponent <= 0:
            raise UserError(f"--exponent: {self.exponent:g} is none of -10 to 0; MnasNet's is -0.07")
        for name, value in (("evaluations", self.evaluations), ("exponent", self.exponent)):
            if self.method != EVOLVE and value is not None:
                raise UserError(f"--{name}: is for --method {EVOLVE}")


@dataclass
class Journal:
    """What is known so far; written after every step.

    `seed`: latency_ms, accuracy and log_loss (validation), holdout_accuracy of the seed; `fit`: slope, intercept and
    errors of the latency model; `steps`: one object per accepted step; `judged`: one per network that evolve judged;
    `epochs` of the last training once planned.
    """

    folder: Path
    ask: Ask
    seed: dict[str, float] = field(default_factory=dict)
    fit: dict[str, float] = field(default_factory=dict)
    plan: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    judged: list[dict[str, Any]] = field(default_factory=list)
    searched: bool = False
    epochs: int | None = None

    def save(self) -> None:
        """Write everything but networks."""
        (self.folder / FOLDER).mkdir(parents=True, exist_ok=True)
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("folder", "ask")}
        text = json.dumps({"ask": asdict(self.ask), **content}, indent=1, ensure_ascii=False)
        write_atomic(self.folder / FOLDER / FILE, text + "\n")

    def network_file(self, step: int | None = None) -> Path:
        """Where the network after a step (default: the last one) is kept."""
        return self.folder / FOLDER / f"step-{len(self.steps) if step is None else step}.safetensors"

    def network(self) -> tuple[MobileNet, int] | None:
        """The network after the last step and the side of its input; None before the first."""
        if not self.steps:
            return None
        engine = TorchEngine.read(self.network_file())
        return engine.model, engine.card.preprocess.size

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """The journal of a search that was interrupted.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        path = folder / FOLDER / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(folder, Ask(**content.pop("ask")), **content)
        except FileNotFoundError:
            raise UserError(f"{folder}: holds no search to go on with; leave --resume out") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: is damaged ({type(error).__name__}); search into a new --out") from error
