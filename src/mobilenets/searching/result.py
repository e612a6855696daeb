"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SearchResult:
    """What a search came to: its run folder, None where the run was fast enough already.

    `summary`: the content of `search.json`. `interrupted`: there is more to do, by `resume`.
    """

    path: Path | None
    summary: dict[str, Any]
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The content of `search.json`."""
        return self.summary
