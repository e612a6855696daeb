"""What was guessed about pictures: warned of once for each kind of guess, counted for the rest."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger(__name__)

_MAX_NAMES = 100_000  # remembered of a kind, so that a picture read in every epoch counts once


class Notes:
    """Says what was done to a picture that its file does not ask for. Safe with threads."""

    def __init__(self) -> None:
        self._seen: dict[str, set[int]] = {}
        self._lock = threading.Lock()

    def warn(self, kind: str, name: str) -> None:
        """Say `kind` (a clause) of the picture `name`; of later pictures it is only counted."""
        with self._lock:
            seen = self._seen.setdefault(kind, set())
            first = not seen
            if len(seen) < _MAX_NAMES:
                seen.add(hash(name))
        if first:
            log.warning("%s: %s (said once)", name, kind)

    def warn_counts(self) -> None:
        """Say of how many pictures each was true, where there was more than one, and forget them."""
        with self._lock:
            seen, self._seen = self._seen, {}
        for kind, names in seen.items():
            if len(names) > 1:
                more = " or more" if len(names) == _MAX_NAMES else ""
                log.warning("%s%s photos: %s", f"{len(names):,}", more, kind)


NOTES = Notes()  # of this process
