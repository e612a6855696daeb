"""Pages from templates: what no template made is escaped, and a value that is missing is an error."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class PageImage:
    """An image within a page: what it shows in words, and its `data:` address; None where it cannot be read."""

    alt: str
    uri: str | None


def render(template: str, **values: Any) -> str:
    """The page of a template in `report/templates`, with `values`; bytes of file names that are no text as \\udcXX.

    Raises
    ------
    jinja2.UndefinedError
        The template names a value that is not given.
    """
    return _environment().get_template(template).render(values).encode(errors="backslashreplace").decode()


def data_uri(content: bytes, kind: str) -> str:
    """The address of an image of `kind` (png, jpeg) that is part of the page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def percent(fraction: float) -> str:
    """A fraction of 0 to 1 in percent, with one digit."""
    return f"{100 * fraction:.1f} %"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mobilenets.report"),
        autoescape=True,  # of every file: there is nothing but pages
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "shell": shlex.quote, "thousands": "{:,}".format}
    return environment
