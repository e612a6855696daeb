"""report.html in a real Chromium, opened as the file it is: on a phone, by keyboard, in the dark, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mobilenets.auditing.audit import audit_splits
from mobilenets.data.sources.read import read_splits
from mobilenets.explaining.gradcam import Explainer
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.report.run_report import write_report
from mobilenets.runtime.engines.torch import TorchEngine
from report.test_run_report import faulty, photographs, run_folder
from small import network

pytestmark = pytest.mark.browser

CLASSES = ("雏菊", "زهرة", "tulip")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with everything in it: curves, heat maps, an audit."""
    root = tmp_path_factory.mktemp("few")
    folder = run_folder(root / "run", CLASSES, epochs=3, right=1.0)
    photographs(folder, 90)
    model = network("mobilenet_v2", width=0.25)
    data = faulty(root / "data")
    write_report(
        folder,
        Explainer(TorchEngine(model, ModelCard("small", model.net, CLASSES, Preprocess(size=64)))),
        latency_ms=1.5,
        audit=audit_splits(data, read_splits(data)),
    )
    return folder / "report.html"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with a thousand classes."""
    folder = run_folder(tmp_path_factory.mktemp("many") / "run", [f"plant {k}" for k in range(1000)], n=3000, right=4)
    write_report(folder)
    return folder / "report.html"


@pytest.fixture
def open_report(chromium: Any) -> Iterator[Callable[..., Any]]:
    """`open_report(path, **context)`; whatever it asks for beside itself fails the test."""
    asked: list[str] = []
    contexts = []

    def open_(path: Path, **options: Any) -> Any:
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    assert len({url for url in asked if url.startswith("file:")}) == 1


def test_every_picture_is_there_and_has_words(few: Path, open_report: Any) -> None:
    page = open_report(few)
    pictures = page.locator("img")
    assert pictures.count() > 60
    assert pictures.evaluate_all("all => all.every(image => image.naturalWidth > 0 && image.alt)")
    assert page.locator("svg[role=img]").evaluate_all("all => all.every(chart => chart.getAttribute('aria-label'))")


def test_by_keyboard_alone_a_number_of_the_matrix_leads_to_its_photographs_and_back(
    few: Path, open_report: Any
) -> None:
    page = open_report(few)
    number = page.locator(".matrix a").first
    number.focus()
    target = str(number.get_attribute("href"))
    assert page.is_hidden(target)
    page.keyboard.press("Enter")
    assert page.is_visible(target)
    assert page.locator(f"{target} img").first.is_visible()
    page.locator(f"{target} a").focus()
    page.keyboard.press("Enter")
    assert page.is_hidden(target)


def test_by_keyboard_alone_what_the_audit_found_unfolds(few: Path, open_report: Any) -> None:
    page = open_report(few)
    kind = page.locator("details", has_text="exact duplicates")
    assert kind.locator("img").first.is_hidden()
    kind.locator("summary").focus()
    page.keyboard.press("Enter")
    assert kind.locator("img").first.is_visible()
    assert "same pixels" in kind.inner_text()


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("which", ["few", "many"])
def test_it_fits_a_phone(which: str, width: int, open_report: Any, request: pytest.FixtureRequest) -> None:
    page = open_report(
        request.getfixturevalue(which), viewport={"width": width, "height": 700}, is_mobile=True, has_touch=True
    )
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_the_system_is(few: Path, open_report: Any) -> None:
    brightness = "parseInt(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"
    assert open_report(few, color_scheme="light").evaluate(brightness) > 200
    assert open_report(few, color_scheme="dark").evaluate(brightness) < 50
