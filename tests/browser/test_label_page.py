"""The labelling page of `mobilenets serve` in a real browser."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import write_photos
from serving.service import Service, serving, write_model
from small import CLASSES

pytestmark = pytest.mark.browser


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    paths = sorted(write_photos(tmp_path / "photos", ("rose", "tulip"), 2).rglob("*.jpg"))
    with (tmp_path / "next.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "why"), *((path, "", "typical") for path in paths)])
    with serving(write_model(tmp_path / "model.onnx"), "--label", str(tmp_path / "next.csv")) as service:
        yield service


def given(service: Service) -> list[str]:
    text = (service.folder / "labels.csv").read_text(encoding="utf-8")
    return [row["label"] for row in csv.DictReader(io.StringIO(text))]


def test_one_key_gives_a_class_and_shows_the_next_photo(service: Service, open_page: Any) -> None:
    page = open_page(f"{service.url}/label")
    buttons = [text.split() for text in page.locator("#classes button").all_inner_texts()]
    assert buttons == [[str(key), name] for key, name in enumerate(CLASSES, 1)]
    shown = "document.querySelector('#photo').complete && document.querySelector('#photo').naturalWidth > 0"
    page.wait_for_function(shown)
    page.keyboard.press("2")
    page.wait_for_function("document.querySelector('#progress').textContent.startsWith('Photo 2 of 4, 1 ')")
    page.keyboard.press("3")
    page.keyboard.press("ArrowLeft")  # back to what was just answered
    page.keyboard.press("1")
    page.wait_for_function("document.querySelector('#progress').textContent.startsWith('Photo 3 of 4, 2 ')")
    page.keyboard.press("Backspace")  # nothing to take back
    page.wait_for_load_state("networkidle")
    assert given(service) == [CLASSES[1], CLASSES[0]]


def test_a_new_class_is_typed_and_has_a_key_from_then_on(service: Service, open_page: Any) -> None:
    page = open_page(f"{service.url}/label", locale="zh-CN")
    assert page.inner_text("h1") == "这是什么？"
    page.fill("#new", "thistle 123")  # digits in the field are no answers
    page.keyboard.press("Enter")
    page.wait_for_selector("#classes li:nth-child(4)")
    page.keyboard.press("4")
    for key in ("1", "1"):
        page.keyboard.press(key)
    page.wait_for_function("document.querySelector('#progress').textContent.startsWith('4 张全部')")
    page.wait_for_load_state("networkidle")
    assert given(service) == ["thistle 123", "thistle 123", CLASSES[0], CLASSES[0]]
