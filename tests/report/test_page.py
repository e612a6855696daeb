"""Pages from templates."""

from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import TemplateNotFound

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.kinds import KINDS, ranked
from mobilenets.report.audit_report import audit_page
from mobilenets.report.page import render


def test_a_value_that_is_missing_is_an_error_and_no_gap_in_the_page() -> None:
    with pytest.raises(UndefinedError, match="name"):
        render("audit.html.j2")


def test_only_templates_of_the_package_can_be_rendered() -> None:
    with pytest.raises(TemplateNotFound):
        render("../page.py")


@pytest.mark.parametrize("note", ["<script>alert(1)</script>", "{{ 7 * 7 }}", "{% raise %}", "\udcff & 'x' \"y\""])
def test_values_are_text_and_never_markup_or_template(note: str, tmp_path) -> None:
    texts: list[str] = []
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)

        def handle_data(self, data: str) -> None:
            texts.append(data)

    audit = Audit(tmp_path, ("daisy", "rose"), 0, ranked([], KINDS), (note,), (), ())
    page = audit_page(audit)
    page.encode()  # is UTF-8, whatever the names are
    Reader().feed(page)
    assert note.encode(errors="backslashreplace").decode() in texts
    assert "script" not in tags
