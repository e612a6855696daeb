"""`mobilenets.fetch`: public photographs to learn with, verified and split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import UsageError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.choices import DataSet
    from mobilenets.system.progress import Report


@dataclass(frozen=True)
class FetchedData:
    """A data set that was fetched.

    Attributes
    ----------
    folder
        Where it is, in train/ and val/.
    counts
        For each class how many train and how many validate.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.fetch("flowers").counts["roses"]  # doctest: +SKIP
    (577, 64)
    """

    folder: Path
    counts: dict[str, tuple[int, int]]


@verb
def fetch(
    what: DataSet,
    *,
    out: str | Path = Path("flowers"),
    val: float = 0.1,
    seed: int = 0,
    progress: Report | None = None,
) -> FetchedData:
    """Fetch a public data set; its archive is kept in the cache folder.

    Parameters
    ----------
    what
        "flowers": five classes, 3,670 photos, 229 MB.
    out
        New folder.
    val
        Fraction held out of every class, between 0 and 1.
    seed
        Of the split, 0 or more.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    FetchedData
        The folder, and how many train and validate.

    Raises
    ------
    UsageError
        `out` exists, no such data set, a fraction or seed out of range.
    DownloadError
        It cannot be fetched, or is not the published archive.

    Examples
    --------
    >>> import mobilenets as mn
    >>> data = mn.fetch("flowers", out="flowers")  # doctest: +SKIP
    >>> run = mn.train(data.folder)  # doctest: +SKIP
    """
    if what != "flowers":
        raise UsageError(f"fetch: no data set is called {what!r}; there is flowers")
    if seed < 0:
        raise UsageError(f"--seed: {seed} is negative; use 0 or more")
    from mobilenets.data.flowers import fetch_flowers

    return FetchedData(Path(out), fetch_flowers(Path(out), val, seed))
