"""`mobilenets.add_class`: a finished run learns one class more, in seconds."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.errors import MissingExtraError, UsageError
from mobilenets.verbs.verb import verb

if TYPE_CHECKING:
    from mobilenets.system.progress import Report
    from mobilenets.verbs.run import Run


@verb
def add_class(
    run: str | Path,
    photos: str | Path,
    *,
    name: str,
    out: str | Path | None = None,
    progress: Report | None = None,
) -> Run:
    """Teach a finished run one class more, in seconds: a new run folder.

    The last layer is fitted again to features that the run keeps of its photos, with those of the new ones; the photos
    that it was trained on are not needed. Of a network that was fine-tuned the old classes keep their rows, and the
    new one gets its own. The figures are of photos held out: those that validated the run, by their kept features, and
    a part of the new ones.

    Parameters
    ----------
    run
        Folder of a finished run with its `index.safetensors`.
    photos
        Folder with the photos of the new class, also in folders below it.
    name
        What the new class is called.
    out
        New run folder; None: beside `run`, with a number behind its name.
    progress
        Called with what is done, what there is in all and what it is.

    Returns
    -------
    Run
        The new run; `run` stays as it is.

    Raises
    ------
    ModelFileError
        `run` is no finished run, or has no index, a damaged one or that of another network.
    UsageError
        It knows a class of this name, or `out` exists.
    DataError
        `photos` has fewer than two photos that can be read.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.add_class("runs/photos", "new/wilted", name="rose")
    Traceback (most recent call last):
    mobilenets.errors.UsageError: --name: runs/photos has the class 'rose' already; choose another name, or ...
    """
    try:
        from mobilenets.report.run_report import write_report
        from mobilenets.training import add_class as adding
        from mobilenets.training.run import new_folder
        from mobilenets.training.run_folder import complete
    except ModuleNotFoundError as missing:
        raise MissingExtraError(f"{missing.name} is not installed; run: pip install 'mobilenets[train]'") from None
    from mobilenets.verbs.run import Run

    name = name.strip()
    if not name:
        raise UsageError("--name: the name of the class is blank; give it one")
    old = Path(run)
    opened = adding.check_run(old, name)
    folder = next(path for i in count(2) if not (path := old.resolve().with_name(f"{old.resolve().name}-{i}")).exists())
    folder = new_folder(folder if out is None else out, old)
    try:
        card = adding.add_class(opened, Path(photos), name, folder)
        write_report(folder)  # without heat: it would take longer than all else
        complete(folder, card)
    except FileExistsError:  # made by another command in the meantime
        raise
    except BaseException:  # nothing goes on with half of it, and it would be in the way
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Run(folder, card)
