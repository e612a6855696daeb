"""The latency of a network that no one has measured whole: a line through those that were.

A network is predicted as a · (sum of its subgraphs) + b + c · parameters, fitted to whole networks. A sum knows nothing
of what engines save between blocks, nor that the weights of a block which is timed over and over lie in the cache,
where those of a whole network do not (1807.11626 and 1905.02244 measure on the device; the table is NetAdapt's,
1804.03230, §3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenets.arch.cost import total
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.latency.table import LatencyTable

MIN_FITTED = 10  # whole networks behind a, b and c
NUM_FITTED, NUM_CHECKED = 14, 6  # random networks that a search fits the line to, and others that show its error
MIN_MS = 1e-3  # no line may promise less than a call of an engine takes


def relative_fit(columns: Sequence[NDArray[np.float64]], y: NDArray[np.float64]) -> list[float]:
    """The weights of columns (N,) whose weighted sum has the least mean squared *relative* error of `y` (N,)."""
    weights, *_ = np.linalg.lstsq(np.stack(columns, 1) / y[:, None], np.ones_like(y), rcond=None)
    return [float(weight) for weight in weights]


@dataclass(frozen=True)
class LatencyModel:
    """Milliseconds of any network without measuring it whole.

    scale · (slope · (sum of its subgraphs) + intercept + per_million · (millions of parameters)). `scale` is 1 as
    fitted; one that makes it exact for a network which was measured serves that network's neighbours.
    """

    table: LatencyTable
    slope: float
    intercept: float
    per_million: float
    scale: float = 1.0

    @classmethod
    def fit(cls, table: LatencyTable, candidates: Sequence[Candidate]) -> LatencyModel:
        """What has the least mean squared *relative* error on `candidates`, measured whole.

        Raises
        ------
        ValueError
            Fewer than `MIN_FITTED` of them.
        """
        if len(candidates) < MIN_FITTED:
            raise ValueError(f"{len(candidates)} networks are too few to fit; use {MIN_FITTED} or more")
        sums = np.array(table.subgraphs_ms(candidates))
        measured = np.array(table.networks_ms(candidates))
        ones, parameters = np.ones_like(sums), np.array([_millions(c) for c in candidates])
        slope, intercept, per_million = relative_fit([sums, ones, parameters], measured)
        if per_million < 0:  # noise: no weight is fetched in less than no time
            (slope, intercept), per_million = relative_fit([sums, ones], measured), 0.0
        return cls(table, slope, intercept, per_million)

    def predict(self, candidates: Sequence[Candidate]) -> list[float]:
        """Predicted milliseconds of each; subgraphs that the table lacks are measured."""
        return [
            self.scale * max(self.slope * ms + self.intercept + self.per_million * _millions(candidate), MIN_MS)
            for candidate, ms in zip(candidates, self.table.subgraphs_ms(candidates), strict=True)
        ]


def fit_and_check(table: LatencyTable, candidates: Sequence[Candidate]) -> tuple[LatencyModel, Errors]:
    """The model fitted to the first `NUM_FITTED` of `candidates`, and its errors on the rest, which it has not seen."""
    model = LatencyModel.fit(table, candidates[:NUM_FITTED])
    others = candidates[NUM_FITTED:]
    return model, errors(model.predict(others), table.networks_ms(others))


def _millions(candidate: Candidate) -> float:
    return total(candidate.net, candidate.size)[0] / 1e6


@dataclass(frozen=True)
class Errors:
    """How far predictions are off.

    `mape`: mean absolute percentage error (of 1); `spearman`: rank correlation; `n`: networks.
    """

    mape: float
    spearman: float
    n: int


def errors(predicted: Sequence[float], measured: Sequence[float]) -> Errors:
    """The errors of some predictions."""
    p, m = np.array(predicted), np.array(measured)
    apart = np.argsort(np.argsort(p)) - np.argsort(np.argsort(m))  # of ranks
    rank_correlation = 1 - 6 * float(np.sum(apart**2)) / (len(p) * (len(p) ** 2 - 1))
    return Errors(float(np.mean(np.abs(p - m) / m)), rank_correlation, len(p))
