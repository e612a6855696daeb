"""The page of `mobilenets serve` in a real browser."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import write_photos
from mobilenets import load
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import write_safetensors
from serving.service import Service, picture, serving
from small import card_of, network

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title='taken'>"
CLASSES = ("雏菊", "rose", HOSTILE)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("served")
    model = network()
    export_onnx(model, replace(card_of(model), classes=CLASSES), folder / "model.onnx")
    with serving(folder / "model.onnx") as service:
        yield service


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", ("rose",), 1) / "rose" / "000.jpg"


def _expected(service: Service, source: bytes | Path) -> str:
    return load(service.folder / "model.onnx", "onnxruntime").predict(source).label


def _answer(page: Any, photos: int = 1) -> str:
    page.wait_for_selector(f"#history li:nth-child({photos})")
    page.wait_for_selector("body:not(.busy)")
    return page.inner_text("#best")


def test_a_chosen_file_is_answered_with_bars(service: Service, open_page: Any, photo: Path) -> None:
    page = open_page(service.url)
    page.set_input_files("#file", photo)
    assert _answer(page) == _expected(service, photo)
    shares = [float(text.rstrip("%")) for text in page.locator("#bars .share").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    page.wait_for_timeout(600)  # until the bars have grown
    measure = "b => parseFloat(getComputedStyle(b, '::before').width) / b.clientWidth"
    widths = [bar.evaluate(measure) for bar in page.locator("#bars .track").all()]
    assert widths == pytest.approx([share / 100 for share in shares], abs=0.01)
    assert page.evaluate("document.querySelector('#photo').naturalWidth") == 48
    assert page.inner_text("#live").startswith(_answer(page))


def test_several_files_are_answered_in_turn_and_stay_in_the_history(
    service: Service, open_page: Any, tmp_path: Path
) -> None:
    photos = sorted(write_photos(tmp_path / "photos", ("rose",), 4).rglob("*.jpg"))
    page = open_page(service.url)
    page.set_input_files("#file", photos)
    _answer(page, 4)
    labels = page.locator("#history .label").all_inner_texts()
    assert labels == [_expected(service, photo) for photo in reversed(photos)]
    page.click("#history li:nth-child(4) button")
    assert page.inner_text("#best") == labels[3]
    assert page.get_attribute("#history li:nth-child(4) button", "aria-current") == "true"
    page.click("#forget")
    assert page.is_hidden("#past")
    assert page.is_visible("#known")


def test_names_of_classes_are_text_whatever_they_contain(service: Service, open_page: Any, photo: Path) -> None:
    page = open_page(service.url)
    page.set_input_files("#file", photo)
    _answer(page)
    assert HOSTILE in page.locator("#bars .label").all_inner_texts()
    assert page.locator("#bars img, #classes img").count() == 0
    assert page.title() == "test · mobilenets"


def test_a_pasted_picture_is_answered(service: Service, open_page: Any) -> None:
    page = open_page(service.url)
    data = base64.b64encode(picture("PNG")).decode()
    page.evaluate(
        """async (data) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const blob = new Blob([bytes], {type: "image/png"});
          await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }""",
        data,
    )
    page.keyboard.press("Control+V")
    assert _answer(page) == _expected(service, picture("PNG"))
    page.click("#paste")
    assert _answer(page, 2) == _expected(service, picture("PNG"))


def test_pasted_words_are_refused_in_one_sentence(service: Service, open_page: Any) -> None:
    page = open_page(service.url)
    page.evaluate("navigator.clipboard.writeText('words')")
    page.keyboard.press("Control+V")
    page.wait_for_selector("#problem:visible")
    assert "no photo" in page.inner_text("#problem")


def test_a_dropped_picture_is_answered(service: Service, open_page: Any) -> None:
    page = open_page(service.url)
    drop = """(data) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], "a.png", {type: "image/png"}));
      return transfer;
    }"""
    transfer = page.evaluate_handle(drop, base64.b64encode(picture("PNG")).decode())
    page.dispatch_event("#stage", "dragenter", {"dataTransfer": transfer})
    assert page.locator("body.dropping").count() == 1
    page.dispatch_event("#stage", "drop", {"dataTransfer": transfer})
    assert _answer(page) == _expected(service, picture("PNG"))
    assert page.locator("body.dropping").count() == 0


def test_the_camera_takes_a_photo_and_is_switched_off(service: Service, open_page: Any) -> None:
    page = open_page(service.url)
    page.click("#camera")
    page.wait_for_selector("#camera-take:enabled")
    page.click("#camera-take")
    assert _answer(page) in CLASSES
    assert page.evaluate("document.querySelector('#video').srcObject") is None
    pixels = page.evaluate(
        """() => { const photo = document.querySelector("#photo"), canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [photo.naturalWidth, photo.naturalHeight];
          const context = canvas.getContext("2d"); context.drawImage(photo, 0, 0);
          return [...context.getImageData(5, canvas.height - 5, 1, 1).data]; }"""
    )
    assert pixels[1] > 90 > pixels[0]  # Chromium's fake camera is green


def test_escape_leaves_the_camera(service: Service, open_page: Any) -> None:
    page = open_page(service.url)
    page.click("#camera")
    page.wait_for_selector("#camera-take:enabled")
    page.keyboard.press("Escape")
    assert page.get_attribute("#stage", "data-show") == "invite"


def test_a_refused_camera_is_told_in_one_sentence(service: Service, launch: Any) -> None:
    page = launch("--use-fake-device-for-media-stream").new_context(locale="en-GB").new_page()
    page.goto(service.url)
    page.wait_for_selector("#classes li")
    page.click("#camera")
    page.wait_for_selector("#problem:visible")
    assert page.inner_text("#problem").startswith("The camera may not be used")
    assert page.get_attribute("#stage", "data-show") == "invite"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [("notes.txt", b"not a photo", "no photo"), ("cut.jpg", picture()[:900], "damaged"),
     ("film.mp4", bytes(25_000_000), "too large")],
)  # fmt: skip
def test_a_wrong_file_is_told_in_one_sentence_and_the_next_is_answered(
    service: Service, open_page: Any, photo: Path, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    page = open_page(service.url)
    (tmp_path / name).write_bytes(data)
    page.set_input_files("#file", tmp_path / name)
    page.wait_for_selector("#problem:visible")
    assert words in page.inner_text("#problem")
    assert page.is_hidden("#past")
    page.set_input_files("#file", photo)
    assert _answer(page) == _expected(service, photo)
    assert page.is_hidden("#problem")


def test_a_wrong_file_among_several_is_named(service: Service, open_page: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    page = open_page(service.url)
    page.set_input_files("#file", [photo, tmp_path / "notes.txt", photo])
    _answer(page, 2)
    assert page.inner_text("#problem").startswith("notes.txt: ")


def test_a_picture_the_browser_cannot_show_is_answered_all_the_same(
    service: Service, open_page: Any, tmp_path: Path
) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "a.tiff")
    page = open_page(service.url)
    page.set_input_files("#file", tmp_path / "a.tiff")
    assert _answer(page) == _expected(service, tmp_path / "a.tiff")
    assert page.is_visible("#no-preview")


@pytest.fixture(scope="module")
def explaining(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose network is at hand, so that it can say where it looked."""
    folder, model = tmp_path_factory.mktemp("explaining"), network()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_safetensors(folder / "model.safetensors", tensors, card_of(model, 64))
    with serving(folder, engine="torch") as service:
        yield service


def test_a_switch_lays_over_the_photograph_where_the_network_looked(
    explaining: Service, open_page: Any, tmp_path: Path
) -> None:
    for i, size in enumerate([(120, 80), (80, 120)]):
        (tmp_path / f"{i}.jpg").write_bytes(picture(size=size, seed=i))
    page = open_page(explaining.url)
    assert page.is_hidden("#explain")  # nothing to switch yet
    page.set_input_files("#file", tmp_path / "0.jpg")
    _answer(page)
    assert page.is_visible("#explain")
    assert page.is_hidden("#overlay")
    page.focus("#explain-switch")
    page.keyboard.press("Space")
    page.wait_for_selector("#overlay:visible")
    assert page.locator("#overlay").bounding_box() == page.locator("#photo").bounding_box()
    proportions = "image => image.naturalWidth / image.naturalHeight"
    assert page.locator("#overlay").evaluate(proportions) == pytest.approx(1.5, rel=0.02)
    first = page.get_attribute("#overlay", "src")
    page.set_input_files("#file", tmp_path / "1.jpg")
    _answer(page, 2)
    assert page.is_visible("#overlay")  # the switch stays as it was set
    assert page.locator("#overlay").evaluate(proportions) == pytest.approx(1 / 1.5, rel=0.02)
    page.click("#history li:nth-child(2) button")
    assert page.get_attribute("#overlay", "src") == first
    page.uncheck("#explain-switch", force=True)
    assert page.is_hidden("#overlay")
    page.click("#forget")
    assert page.is_hidden("#explain")


def test_without_a_network_at_hand_there_is_no_switch(service: Service, open_page: Any, photo: Path) -> None:
    page = open_page(service.url)
    page.set_input_files("#file", photo)
    _answer(page)
    assert page.is_hidden("#explain")


def test_a_server_out_of_reach_is_told_and_forgiven(service: Service, open_page: Any, photo: Path) -> None:
    page = open_page(service.url)
    page.context.set_offline(True)
    page.set_input_files("#file", photo)
    page.wait_for_selector("#problem:visible")
    assert "cannot be reached" in page.inner_text("#problem")
    page.context.set_offline(False)
    page.set_input_files("#file", photo)
    assert _answer(page) == _expected(service, photo)


def test_it_speaks_chinese_to_a_chinese_browser_and_either_on_request(
    service: Service, open_page: Any, photo: Path
) -> None:
    page = open_page(service.url, locale="zh-CN")
    page.set_input_files("#file", photo)
    _answer(page)
    assert page.evaluate("document.documentElement.lang") == "zh"
    assert "选择照片" in page.inner_text(".actions")
    page.click("#language")
    assert "Choose photo" in page.inner_text(".actions")
    assert "This visit" in page.inner_text("#past")
    page.reload()
    page.wait_for_selector("#classes li")
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_small_screen_shows_everything_without_scrolling_sideways(
    service: Service, open_page: Any, photo: Path, width: int
) -> None:
    page = open_page(service.url, viewport={"width": width, "height": 700}, has_touch=True, is_mobile=True)
    page.set_input_files("#file", [photo] * 6)
    _answer(page, 6)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for button in page.locator(".button:visible, button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 24, button  # WCAG 2.2, 2.5.8
    assert page.locator("#stage").bounding_box()["width"] > 0.85 * width


def test_everything_can_be_done_with_the_keyboard(service: Service, open_page: Any, photo: Path) -> None:
    page = open_page(service.url)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert {"language", "file", "camera", "paste"} <= set(reached)
    page.set_input_files("#file", photo)
    _answer(page)
    page.focus("#history button")
    page.keyboard.press("Enter")
    assert page.is_visible("#answer")


def test_nothing_is_asked_of_another_host(service: Service, open_page: Any, photo: Path) -> None:
    page = open_page(service.url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector("#classes li")
    page.set_input_files("#file", photo)
    _answer(page)
    assert asked
    assert all(url.startswith((service.url, "blob:")) for url in asked), asked
