"""What the server takes, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client, or many, from taking the server away from the others.

    Parameters
    ----------
    body_bytes
        Of one request; 20 MB passes any photograph of a phone.
    images
        In one request.
    pixels
        That a picture's header may claim; 50 million are 150 MB once decoded, in each decoding thread.
    waiting
        Pictures accepted and not answered yet; past it requests are refused at once, not queued.
    held_bytes
        Of all requests together, as they arrive.
    read_seconds
        For a request to arrive; also for its headers.
    answer_seconds
        From then to its answer.
    connections
        Open at a time, also silent ones; systems often allow 1,024 files.
    """

    body_bytes: int = 20_000_000
    images: int = 16
    pixels: int = 50_000_000
    waiting: int = 256
    held_bytes: int = 512_000_000
    read_seconds: float = 30.0
    answer_seconds: float = 30.0
    connections: int = 512

    def too_many(self, images: int) -> Refusal:
        """What a request with too many pictures is told."""
        return Refusal(413, "too-large", f"{images} photos are more than {self.images}: send fewer.")


class Refusal(Exception):
    """An answer other than a prediction: a status, a code for programs and one sentence for people.

    `unread`: it was decided before all of the request had arrived.
    """

    def __init__(self, status: int, code: str, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.unread = False
        self.status, self.code, self.sentence, self.retry_after = status, code, sentence, retry_after

    def content(self) -> dict[str, str]:
        """The JSON object of the answer."""
        return {"error": self.sentence, "code": self.code}

    @property
    def headers(self) -> dict[str, str]:
        """Headers beside the usual."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def busy() -> Refusal:
    """Nothing is wrong with the request: there is no room for it now."""
    return Refusal(503, "busy", "The server has all the work it can hold: try again in a second.", retry_after=1)
