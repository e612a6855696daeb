"""The one exception a user is meant to see, in five kinds that a program can tell apart."""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing`'s, which takes as long to import as Python to start
if TYPE_CHECKING:
    from collections.abc import Iterable


class UserError(Exception):
    """Wrong use or unusable input, told to the person in one line.

    The message names the file or value and the remedy. The command line prints it to
    standard error and exits with code 2; as a library it propagates like any exception.

    Examples
    --------
    >>> import mobilenets as mn
    >>> try:
    ...     mn.load("runs/nowhere")
    ... except mn.UserError as error:
    ...     print(type(error).__name__, str(error).partition(";")[0])
    ModelFileError runs/nowhere: no such file or folder
    """


class UsageError(UserError):
    """An option or argument that does not exist, is out of range, or contradicts another.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.predict("runs/photos", "rose.jpg", top=0)
    Traceback (most recent call last):
    mobilenets.errors.UsageError: --top: 0 is too few; use 1 or more
    """


class DataError(UserError):
    """Photographs, or a description of them (folder, CSV, shards), that cannot be used.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.predict("runs/photos", "tulip.jpg")
    Traceback (most recent call last):
    mobilenets.errors.DataError: tulip.jpg: no such file or folder; check the spelling
    """


class ModelFileError(UserError):
    """A run folder, model file or exported file that is not there, damaged, or not what was asked for.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.load("rose.jpg")
    Traceback (most recent call last):
    mobilenets.errors.ModelFileError: rose.jpg: not a model this runs; give a run folder or a file of ...
    """


class DownloadError(UserError):
    """Something that cannot be fetched, or is not what was published.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.create("mobilenet_v2", weights="default")  # without a network  # doctest: +SKIP
    Traceback (most recent call last):
    mobilenets.errors.DownloadError: ...
    """


class MissingExtraError(UserError):
    """A package that this needs and that is not installed; the message says which extra brings it.

    Examples
    --------
    >>> import mobilenets as mn
    >>> mn.serve("runs/photos")  # where FastAPI is not installed  # doctest: +SKIP
    Traceback (most recent call last):
    mobilenets.errors.MissingExtraError: serving needs fastapi; run: pip install 'mobilenets[serve]'
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to add to an error about `word`: the nearest of `known`, or nothing where none is near."""
    from difflib import get_close_matches

    like = get_close_matches(word, list(known), n=1)
    return f"; did you mean {like[0]}?" if like else ""
