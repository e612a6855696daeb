"""What torchrun tells the processes it starts (torch's `env://` convention), read without torch."""

from __future__ import annotations

import os


def world() -> int:
    """How many processes work together; 1 when nothing launched several."""
    return _number("WORLD_SIZE", 1) if "RANK" in os.environ and "MASTER_ADDR" in os.environ else 1


def rank() -> int:
    """Which of them this is; 0 is the one that speaks and writes."""
    return _number("RANK", 0) if world() > 1 else 0


def local_world() -> int:
    """How many of them share this machine."""
    return _number("LOCAL_WORLD_SIZE", 1) if world() > 1 else 1


def local_rank() -> int:
    """Which of those this is, and which GPU it has."""
    return _number("LOCAL_RANK", 0) if world() > 1 else 0


def may_restart() -> bool:
    """Whether the launcher will start the same command again when a process dies."""
    return world() > 1 and _number("TORCHELASTIC_MAX_RESTARTS", 0) > 0


def restarts() -> int:
    """How often it has done so: 0 in a first start."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) if world() > 1 else 0


def job() -> str:
    """A name that all starts of one launcher share, and no other launcher has."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    if name != "none":
        return name
    from socket import gethostname

    # Without a rendezvous every job is called "none"; all processes of the main machine have one parent.
    return f"{gethostname()}-{os.getppid()}"


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else otherwise
