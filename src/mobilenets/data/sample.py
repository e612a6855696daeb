"""One photograph of a data set, wherever its bytes are."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


class Container(Protocol):
    """A file that holds many photographs."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self, offset: int, extent: int) -> bytes:
        """The bytes of the photograph with these coordinates (offset and extent), whose meaning is the container's own.

        Raises
        ------
        UnreadableImage
            The container is gone, damaged or no longer the one that was indexed.
        """


@dataclass(frozen=True)
class Member:
    """Where a photograph lies inside a container."""

    container: Container
    offset: int
    extent: int


@dataclass(frozen=True)
class Sample:
    """A photograph and its class (index into the class names).

    `path` names it: its file, or CONTAINER/NAME where it is a `member` of a container. Samples of one `group`
    show the same thing; every `stratum` is split in the same proportion.
    """

    path: Path
    label: int
    group: str | None = None
    stratum: str | None = None
    member: Member | None = None

    @property
    def file(self) -> Path:
        """The file on disk that holds it."""
        return self.path if self.member is None else self.member.container.path

    def open(self) -> Path | BinaryIO:
        """What `decode.read` takes: the path, or the bytes of a member under its name.

        Raises
        ------
        UnreadableImage
            The container cannot be read.
        """
        if self.member is None:
            return self.path
        return _Named(self.member.container.read(self.member.offset, self.member.extent), str(self.path))


class _Named(io.BytesIO):
    """Bytes in memory with the name that errors call them by."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name
