"""Whether a budget leaves something to search for: measured, since a guess would refuse what can be had."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from mobilenets.errors import UsageError
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.latency.table import NETWORK_EFFORT, LatencyTable
from mobilenets.system.timing import Estimate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reach:
    """What the run's own network takes, and the smallest one that a search gets to from it."""

    base: Estimate
    smallest: Estimate

    def decides(self, budget_s: float) -> bool:
        """Whether it is clear on which sides of the budget they lie, and which is the faster."""
        clear = self.base.decides(budget_s) and self.smallest.decides(budget_s)
        return clear and self.smallest.seconds < self.base.seconds


def measure_reach(table: LatencyTable, base: Candidate, smallest: Candidate, budget_s: float) -> Reach:
    """Both latencies; measured once more, in turns, where that does not decide."""
    reach = Reach(*table.networks([base, smallest]))
    return reach if reach.decides(budget_s) else Reach(*table.networks([base, smallest], again=True))


def needs_search(config: SearchConfig, reach: Reach) -> bool:
    """Whether the run is slower than the budget. What could not be measured well enough to be sure is warned of.

    Raises
    ------
    UserError
        The budget is out of reach beyond doubt. A smallest network that seems slower than the one it was cut
        from is no ground for that.
    """
    budget_s, base, smallest = config.latency_ms / 1000, reach.base, reach.smallest
    if budget_s >= base.seconds:
        if not base.decides(budget_s):
            warn_unsure(base, budget_s, "the run takes", "taken to be within it")
        return False
    if not base.decides(budget_s):
        warn_unsure(base, budget_s, "the run takes", "searching all the same")
    elif budget_s < smallest.seconds:
        if reach.decides(budget_s):
            raise UsageError(
                f"--latency {config.latency_ms:g}ms: out of reach of {config.run}, which takes {base.ms:.3g} ms; "
                f"the smallest possible is {smallest.ms:.3g} ms"
            )
        warn_unsure(smallest, budget_s, "the smallest network takes", "searching all the same")
    return True


def warn_unsure(estimate: Estimate, budget_s: float, what: str, chosen: str) -> None:
    """Say that a measurement does not show on which side of the budget it lies, and what was made of it."""
    log.warning("search: %s: %s %s; %s", estimate.doubt(budget_s, NETWORK_EFFORT), what, estimate.describe(), chosen)
