"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Attributes
    ----------
    path
        The run folder of the network that was found; None where the run was fast enough already.
    summary
        The content of `search.json`: latencies in milliseconds and accuracies, before and after.
    interrupted
        There is more to do, by `resume`.

    Examples
    --------
    >>> import mobilenets as mn
    >>> result = mn.search("photos", run="runs/photos", latency_ms="2ms")  # doctest: +SKIP
    >>> mn.load(result.path).predict("rose.jpg").label  # doctest: +SKIP
    'rose'
    """

    path: Path | None
    summary: dict[str, Any]
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The content of `search.json`."""
        return self.summary
