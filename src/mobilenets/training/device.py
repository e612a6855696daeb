"""Where and in which precision the arithmetic happens."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from mobilenets.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str) -> torch.device:
    """`auto`: CUDA, else MPS, else CPU.

    Raises:
        UserError: a device this machine (or this build of torch) does not have.
    """
    if name not in DEVICES:
        raise UserError(f"device: {name!r} is not one of {', '.join(DEVICES)}")
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(d for d in ("cuda", "mps", "cpu") if has[d])
    if not has[name]:
        here = ", ".join(d for d, there in has.items() if there)
        raise UserError(f"device: {name} is not available here; available: {here}")
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """bf16 autocast, or nothing."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
