"""The ways to search, a row each: the networks a method reaches, and the steps by which it gets to one that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import EVOLVE, NETADAPT
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evolution import blocks
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.netadapt import proposals
from mobilenets.searching.netadapt.netadapt import NetAdapt
from mobilenets.searching.state import SearchState
from mobilenets.training.interrupt import Interrupt


class Steps(Protocol):
    """A search under way."""

    def run(self, interrupt: Interrupt, deadline: float) -> bool:
        """Go on until a network fits, which is left as the state's last step; False when interrupted before that.

        `deadline`: of `time.monotonic()`, for the search and the training after it.
        """


@dataclass(frozen=True)
class Method:
    """A way to search.

    `smallest`: the fastest network that it reaches from a candidate. `random_candidates`: so many from everywhere it
    goes, given a candidate, their number and a seed. `start`: its steps.
    """

    smallest: Callable[[Candidate], Candidate]
    random_candidates: Callable[[Candidate, int, int], list[Candidate]]
    start: Callable[[SearchContext, LatencyModel, SearchState], Steps]


METHODS = {
    NETADAPT: Method(proposals.smallest, proposals.random_candidates, NetAdapt),
    EVOLVE: Method(blocks.smallest, blocks.random_candidates, blocks.BlockSearch),
}
