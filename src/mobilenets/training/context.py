"""Where, in which precision and by how many threads the arithmetic happens."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from mobilenets.errors import UsageError
from mobilenets.system import torchrun_env
from mobilenets.training.distributed.group import ALONE, Group

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class ComputeContext:
    """Device and precision of the arithmetic, seed of every random number, and the processes that take part."""

    device: torch.device
    precision: str
    seed: int
    group: Group = ALONE


def pick_device(name: str) -> torch.device:
    """`auto`: CUDA, else MPS, else CPU. Of several processes on a machine each has a GPU of its own.

    Raises
    ------
    UserError
        A device this machine (or this build of torch) does not have, or not for every process.
    """
    if name not in DEVICES:
        raise UsageError(f"device: {name!r} is not one of {', '.join(DEVICES)}")
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(d for d in ("cuda", "mps", "cpu") if has[d])
    if not has[name]:
        here = ", ".join(d for d, there in has.items() if there)
        raise UsageError(f"device: {name} is not available here; available: {here}")
    if torchrun_env.world() > 1:
        if name == "mps":
            raise UsageError("device: mps serves one process; start several with --device cpu")
        if name == "cuda":
            if torchrun_env.local_world() > torch.cuda.device_count():
                counts = f"{torchrun_env.local_world()} processes and {torch.cuda.device_count()} GPUs"
                raise UsageError(f"device: this machine has {counts}; start one process a GPU, or use --device cpu")
            return torch.device("cuda", torchrun_env.local_rank())
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """bf16 autocast, or nothing."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
