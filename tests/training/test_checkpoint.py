"""Checkpoints on a disk that is full: the one before stays, and the error is one of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mobilenets.training.checkpoint import State, load, save


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # of Unix
    path = tmp_path / "checkpoint" / "last.pt"
    save(path, State(step=1), {"model": {"weight": torch.ones(2)}})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as refused:
            save(path, State(step=2), {"model": {"weight": torch.ones(1_000_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.filename == str(path)
    assert load(path)[0].step == 1
    assert list(path.parent.iterdir()) == [path]
