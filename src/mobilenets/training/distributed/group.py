"""Several processes that train one network, as torchrun starts them; one process is the trivial case.

Every process holds the same network and takes its part of each batch, gradients and sums are formed over all of
them, and the main process alone writes. What a step computes is thus what one process would compute with the same
batch, but for BatchNorm's statistics, which are each process's own unless the recipe synchronises them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mobilenets.data.samples import Indices
from mobilenets.errors import UsageError, UserError
from mobilenets.system import torchrun_env

# A dead process is noticed at once, as its connections close; this bounds the wait for one that is busy, as the main
# process is while it writes the run folder.
PATIENCE = timedelta(hours=2)

Value = TypeVar("Value")
Numbers = TypeVar("Numbers", bound="np.ndarray")


@dataclass(frozen=True)
class Group:
    """The processes of one training. Every method is called by all of them, in the same order."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def total(self, numbers: Numbers) -> Numbers:
        """The sum of the processes' arrays of one shape, the same for all of them."""
        if self.size > 1:
            numbers = np.ascontiguousarray(numbers)  # type: ignore[assignment]  # of the same kind
            dist.all_reduce(torch.from_numpy(numbers))
        return numbers

    def any(self, condition: bool) -> bool:
        """Whether it holds for one process at least."""
        return self.flags(condition)[0]

    def flags(self, *conditions: bool) -> list[bool]:
        """Of each condition, whether it holds for one process at least."""
        return [bool(count) for count in self.total(np.array(conditions, np.int64))]

    def gathered(self, rows: list[np.ndarray], numbers: list[Indices], count: int) -> tuple[np.ndarray, Indices]:
        """The float32 rows (…, D) or (…, C, D) that all processes have, each with its number below `count`, and these.

        In their order; a number that no process has is left out.
        """
        mine = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
        sides = (*rows[0].shape[1:], 0)[:2] if rows else (0, 0)  # a process may have none
        have, first, second = self.total(np.array([bool(rows), *sides])).tolist()
        shape = (first // max(have, 1), *([second // have] if second else []))
        whole, seen = np.zeros((count, *shape), np.float32), np.zeros(count, np.int64)
        if rows:
            whole[mine], seen[mine] = np.concatenate(rows), 1
        found = np.flatnonzero(self.total(seen))
        return self.total(whole)[found], found

    def wait(self) -> None:
        """Go on when all have come this far."""
        self.any(False)

    def agreed(self, value: Value) -> Value:
        """The main process's value, for all: anything that JSON can hold."""
        if self.size == 1:
            return value
        content = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
        length = torch.tensor([len(content)])
        dist.broadcast(length, 0)
        content = content if self.is_main else torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(content, 0)
        result: Value = json.loads(content.numpy().tobytes())
        return result

    @contextlib.contextmanager
    def one_per_machine_first(self) -> Iterator[None]:
        """What is fetched into a cache inside is fetched once a machine; the others find it there."""
        first = torchrun_env.local_rank() == 0
        if not first:
            self.wait()
        yield
        if first:
            self.wait()

    def wrap(self, model: nn.Module) -> nn.Module:
        """`model` with its gradients averaged over the processes as the backward pass makes them."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)

    @torch.no_grad()
    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors of one type by their mean over the processes, all in one exchange."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        torch._foreach_copy_(list(tensors), [part.view_as(t) for part, t in zip(parts, tensors, strict=True)])

    @torch.no_grad()
    def same(self, model: nn.Module) -> None:
        """Give all processes the main one's weights and statistics."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)


ALONE = Group()


@contextlib.contextmanager
def processes() -> Iterator[Group]:
    """The group that torchrun started this process in, for as long as the work inside lasts.

    Within it only the main process prints and logs. An error that several of them meet is raised by the first; the
    others end quietly with its exit code.

    Raises
    ------
    UserError
        Another process of the group died.
    """
    if torchrun_env.world() == 1 or dist.is_initialized():
        yield Group(dist.get_rank(), dist.get_world_size()) if torchrun_env.world() > 1 else ALONE
        return
    store, rank, size = next(dist.rendezvous("env://", timeout=PATIENCE))  # type: ignore[attr-defined]  # undeclared
    # The launcher's store outlives a restart, with the addresses of processes that are gone.
    store = dist.PrefixStore(f"start {torchrun_env.restarts()}", store)  # type: ignore[attr-defined]  # undeclared
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(torchrun_env.local_rank())
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        with _quiet() if rank else contextlib.nullcontext():
            yield Group(rank, size)
    except (UserError, OSError, KeyboardInterrupt) as error:
        _only_the_first(store, 130 if isinstance(error, KeyboardInterrupt) else 2)
        raise
    except RuntimeError as error:
        if not _says_that_a_process_is_gone(error):
            store.add("failed", 1)
            raise
        _only_the_first(store, 2)
        raise UsageError(
            "a process of this training died; what was saved is complete: start again with --resume, "
            "or let torchrun do it with --max-restarts"
        ) from None
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("mobilenets")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)  # a program's own handlers keep the outputs they were made with
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        log.setLevel(level)


def _only_the_first(store: Any, code: int) -> None:
    """Return in the first process that calls it; the others end here."""
    if store.add("failed", 1) > 1:
        raise SystemExit(code) from None


def _says_that_a_process_is_gone(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()
