"""What tests of searches share: a latency that needs no clock, and a network whose answers can be compared."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from mobilenets.arch.cost import total
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.context import SearchContext


class Counted:
    """A latency model by multiply-adds, for tests of what is done with latencies: a million are a millisecond."""

    def predict(self, candidates: Iterable[Candidate]) -> list[float]:
        return [total(c.net, c.size)[1] / 1e6 for c in candidates]


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def unsure(trained: tuple[Path, Path]) -> SearchContext:
    """The trained run with logits of about 1: what so little training leaves is too sure or too flat to compare."""
    ctx = SearchContext(*trained)
    model, loader = ctx.base.eval(), ctx.loader(ctx.splits.holdout, ctx.base_candidate.size)
    with torch.no_grad():
        torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
        logits = torch.cat([model(ctx.images(b.pixels, ctx.base_candidate.size)) for b in loader.epoch(0)])
        model.classifier.weight /= logits.std(0).mean()
    return ctx
