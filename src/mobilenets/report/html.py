"""The pieces of a page: escaped text, tables, pictures inside the page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape


def name(text: str) -> str:
    """Escaped, and kept apart from the direction of the script around it."""
    return f"<bdi>{escape(text)}</bdi>"


def percent(share: float) -> str:
    """A share of 0 to 1 in percent, with one digit."""
    return f"{100 * share:.1f} %"


def picture(content: bytes, kind: str, alt: str, style: str = "") -> str:
    """An image of `kind` (png, jpeg) that is part of the page."""
    data = base64.b64encode(content).decode()
    return f'<img class="{style}" alt="{escape(alt)}" src="data:image/{kind};base64,{data}">'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Cells are HTML already; the last `numbers` columns are set flush right. A wide one scrolls by itself."""

    def line(tag: str, cells: Sequence[str]) -> str:
        first = len(cells) - numbers
        tags = (f'<{tag} class="n">' if i >= first else f"<{tag}>" for i in range(len(cells)))
        return "<tr>" + "".join(f"{t}{cell}</{tag}>" for t, cell in zip(tags, cells, strict=True)) + "</tr>"

    head = f"<thead>{line('th', header)}</thead>\n" if header else ""
    body = "\n".join(line("td", row) for row in rows)
    return f'<div class="wide"><table>\n{head}{body}\n</table></div>'
