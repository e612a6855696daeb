"""Where the time of a training step goes on this CPU, and what share of the machine's ceilings it uses.

    python benchmarks/profile_training.py [MODEL ...] [--steps 8]

The loop of `mobilenets train` on the demo's photographs: MobileNet V1, V2, V3-Large and V3-Small at 224 pixels,
batch 32, all layers learning. The first table is taken with a clock around the parts of a step; "rest" is
normalising, clipping and bookkeeping. The second is torch's profiler over further steps: the time inside each kind
of operation, forward and backward, as a share of all of it. Medians of the steps.

The ceilings are those of `mobilenets bench`: a matrix product in bfloat16 or float32, and memory copied. Arithmetic:
three multiply-adds for each one of the forward pass, two of them in the backward. Traffic: what convolutions,
BatchNorm and activations must move if each reads its input and writes its output once in the forward pass, and in
the backward reads the input and the gradient of its output and writes the gradient of its input.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import table, write_result
from contestants import BATCH, our_trainer
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from mobilenets.arch import build
from mobilenets.arch.cost import total
from mobilenets.benchmarking.ceilings import Ceilings, measure_ceilings
from mobilenets.cli.demo import VAL_SHARE, write_csv
from mobilenets.data.sources.read import read_splits
from mobilenets.nn.model import MobileNet
from mobilenets.training.loop import Trainer

MODELS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")
SIZE, WARM_UP = 224, 3
PARTS = ("input", "forward", "backward", "optimiser", "averaged weights", "rest")
# An operation's kind by what its name contains, the first that fits.
KINDS = {
    "BatchNorm": ("batch_norm",),
    "activations": ("hardswish", "hardtanh", "threshold", "relu", "clamp"),
    "squeeze-and-excite": ("adaptive_avg_pool", "hardsigmoid", "mul", "sum", "excite"),
    "residuals": ("aten::add",),
    "casts and copies": ("copy_", "clone", "contiguous"),
}


class Clock:
    """Seconds of the parts of each step of a trainer."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.mark = 0.0
        trainer.model.register_forward_pre_hook(lambda *_: self._start())
        trainer.model.register_forward_hook(lambda *_: self._stop("forward"))
        trainer.optimizer.register_step_pre_hook(lambda *_: self._start())
        trainer.optimizer.register_step_post_hook(lambda *_: self._stop("optimiser"))
        self._around(trainer.average, "update", "averaged weights")
        self._around(torch.autograd, "backward", "backward")
        self._waiting(trainer.train)

    def _start(self) -> None:
        self.mark = time.perf_counter()

    def _stop(self, part: str) -> None:
        self.seconds[part].append(time.perf_counter() - self.mark)

    def _around(self, holder: Any, name: str, part: str) -> None:
        inner = getattr(holder, name)

        def timed(*args: Any) -> Any:
            self._start()
            result = inner(*args)
            self._stop(part)
            return result

        setattr(holder, name, timed)

    def _waiting(self, loader: Any) -> None:
        inner = loader.epoch

        def epoch(*args: Any, **options: Any) -> Iterator[Any]:
            batches = iter(inner(*args, **options))
            while True:
                self._start()
                batch = next(batches, None)
                if batch is None:
                    return
                self._stop("input")
                yield batch

        loader.epoch = epoch

    def medians(self) -> dict[str, float]:
        """Milliseconds of each part, the warm-up left out."""
        found = {part: 1000 * statistics.median(self.seconds[part][WARM_UP:]) for part in PARTS[:-1]}
        return found


def endless(trainer: Trainer) -> Iterator[object]:
    while True:
        trainer.state.batch = 0
        yield from trainer.steps()


def parts_of_steps(trainer: Trainer, count: int) -> dict[str, float]:
    """Milliseconds of a step and its parts."""
    backward = torch.autograd.backward
    clock, whole = Clock(trainer), []
    steps = endless(trainer)
    for _ in range(WARM_UP + count):
        start = time.perf_counter()
        next(steps)
        whole.append(1000 * (time.perf_counter() - start))
    torch.autograd.backward = backward
    found = {"step": statistics.median(whole[WARM_UP:]), **clock.medians()}
    found["rest"] = found["step"] - sum(found[part] for part in PARTS[:-1])
    return found


def kind(name: str, shapes: list[Any]) -> str:
    """What an operation belongs to."""
    if "convolution" in name or "conv2d" in name:
        weight = shapes[2] if "backward" in name else shapes[1]
        return "depthwise convolutions" if weight and len(weight) == 4 and weight[1] == 1 else "other convolutions"
    return next((k for k, parts in KINDS.items() if any(part in name for part in parts)), "everything else")


def kinds_of_operations(trainer: Trainer, count: int) -> dict[tuple[str, str], float]:
    """Milliseconds of a step inside each kind of operation of the forward and the backward pass."""
    inside = {"forward": trainer.model.forward, "backward": torch.autograd.backward}
    trainer.model.forward = _named("forward", trainer.model.forward)
    torch.autograd.backward = _named("backward", torch.autograd.backward)
    found: list[dict[tuple[str, str], float]] = []
    steps = endless(trainer)
    for _ in range(WARM_UP + count):
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            next(steps)
        found.append(defaultdict(float))
        for event in profiler.events():
            if direction := _pass(event):
                found[-1][kind(event.name, event.input_shapes), direction] += event.self_cpu_time_total / 1000
    trainer.model.forward, torch.autograd.backward = inside["forward"], inside["backward"]
    keys = {key for step in found for key in step}
    return {key: statistics.median(step[key] for step in found[WARM_UP:]) for key in keys}


def _named(name: str, function: Any) -> Any:
    def named(*args: Any) -> Any:
        with record_function(name):
            return function(*args)

    return named


def _pass(event: Any) -> str:
    """ "forward", "backward" or neither, by the operations around this one."""
    around = event.cpu_parent
    while around is not None:
        if around.name == "forward":
            return "forward"
        if around.name.startswith("autograd::engine"):
            return "backward"
        around = around.cpu_parent
    return ""


def traffic(name: str) -> float:
    """Activations that a step must move at least, in values per image."""
    model, moved = MobileNet(build(name, num_classes=2)), [0]

    def count(module: nn.Module, args: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        moved[0] += 3 * args[0].numel() + 2 * out.numel()

    for module in model.modules():
        if not list(module.children()) and not isinstance(module, (nn.Identity, nn.Dropout)):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, SIZE, SIZE))
    return float(moved[0])


def shares(name: str, trainer: Trainer, step_ms: float, ceilings: Ceilings) -> list[object]:
    """Rates of a step against the ceilings."""
    bf16 = trainer.place.precision == "bf16"
    ceiling = ceilings.gmacs["bfloat16" if bf16 else "float32"]
    assert ceiling is not None
    images_per_s = 1000 * BATCH / step_ms
    gmacs = 3 * total(build(name, num_classes=2), SIZE)[1] * images_per_s / 1e9
    gigabytes = traffic(name) * (2 if bf16 else 4) * images_per_s / 1e9
    return [
        f"{images_per_s:.1f}",
        f"{gmacs:.0f} of {ceiling:.0f} = {gmacs / ceiling:.0%}",
        f"{gigabytes:.1f} of {ceilings.gigabytes:.1f} = {gigabytes / ceilings.gigabytes:.0%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    ceilings = measure_ceilings(torch.get_num_threads())
    steps: list[list[object]] = []
    operations: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        splits = read_splits(write_csv(Path(folder) / "cells.csv"), val=VAL_SHARE, seed=0)
        few = splits.train.spread(BATCH * args.steps)
        for name in args.models:
            trainer = our_trainer(name, few)
            parts = parts_of_steps(trainer, args.steps)
            sums = kinds_of_operations(trainer, args.steps)
            figures = shares(name, trainer, parts["step"], ceilings)
            step_ms = parts.pop("step")
            steps.append(
                [name, trainer.place.precision, f"{step_ms:.0f}", *(f"{parts[p]:.0f}" for p in PARTS), *figures]
            )
            whole = sum(sums.values())
            names = ["depthwise convolutions", "other convolutions", *KINDS, "everything else"]
            for direction in ("forward", "backward"):
                found = [sums.get((k, direction), 0.0) for k in names]
                cells = [f"{ms:.0f} ({ms / whole:.0%})" for ms in found]
                operations.append([name, direction, *cells])
            print(steps[-1], *operations[-2:], sep="\n", flush=True)
    header = ["model", "precision", "step ms", *PARTS, "images/s", "Gmac/s", "GB/s"]
    body = table(header, steps) + "\n\nMilliseconds inside operations (share of all of them):\n\n"
    body += table(["model", "pass", *names], operations) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    command = f"python benchmarks/profile_training.py --steps {args.steps}"
    write_result("profile_training", "Where a training step's time goes", command, body, "torch")


if __name__ == "__main__":
    main()
