"""Whether a file is still the one it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mobilenets.errors import DataError
from mobilenets.preprocess.decode import UnreadableImage


class FileFingerprint(NamedTuple):
    """Size in bytes and time of the last change in nanoseconds."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileFingerprint:
        """The file's stamp now.

        Raises
        ------
        UserError
            It cannot be looked at.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}; check the path and its permissions") from None
        return cls(status.st_size, status.st_mtime_ns)

    @contextmanager
    def opened(self, path: Path) -> Iterator[BinaryIO]:
        """The file, open for reading.

        Raises
        ------
        UnreadableImage
            It is gone, cannot be read or is no longer the one that has this stamp.
        """
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != self:
                    raise UnreadableImage(f"{path}: was changed while in use; start again to read it anew")
                yield file
        except OSError as error:
            raise UnreadableImage(f"{path}: {error.strerror}; check the path and its permissions") from None
