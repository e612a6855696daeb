"""A latency that needs no clock."""

from collections.abc import Iterable

import pytest

from mobilenets.arch.cost import total
from mobilenets.searching.latency.table import Candidate


class Counted:
    """A latency model by multiply-adds, for tests of what is done with latencies: a million are a millisecond."""

    def predict(self, candidates: Iterable[Candidate]) -> list[float]:
        return [total(c.net, c.size)[1] / 1e6 for c in candidates]


@pytest.fixture
def counted() -> Counted:
    return Counted()
