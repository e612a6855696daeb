"""What `/metrics` tells Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self, model: str) -> None:
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry}
        timed: dict[str, Any] = {**own, "buckets": _SECONDS}
        self.requests = Counter("mobilenets_requests", "Requests answered", ["route", "status"], **own)
        self.seconds = Histogram("mobilenets_request_seconds", "From headers to answer", ["route"], **timed)
        self.images = Counter("mobilenets_pictures", "Photos by outcome", ["outcome"], **own)
        self.batches = Histogram("mobilenets_batch_pictures", "Photos run together", **own, buckets=_BATCHES)
        self.decoding = Histogram("mobilenets_decode_seconds", "Decoding a photo", **timed)
        self.engine = Histogram("mobilenets_engine_seconds", "A batch in the network", **timed)
        self.waiting = Gauge("mobilenets_waiting_pictures", "Photos accepted and not answered yet", **own)
        Info("mobilenets_model", "The model that answers", **own).info({"name": model})

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
