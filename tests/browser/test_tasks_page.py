"""The page of `mobilenets serve` where the model answers with labels, or learned from good ones only."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mobilenets as mn
from four import SIDE, good_run, labels_run, part
from serving.service import Service, serving

pytestmark = pytest.mark.browser


def _asked(page: Any, photo: Path, photos: int = 1) -> str:
    page.set_input_files("#file", photo)
    page.wait_for_selector(f"#history li:nth-child({photos})")
    page.wait_for_selector("body:not(.busy)")
    return page.inner_text("#best")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(labels_run(tmp_path_factory.mktemp("labels")).run) as service:
        yield service


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(good_run(tmp_path_factory.mktemp("inspected")).run) as service:
        yield service


def test_each_label_has_its_probability_and_its_threshold(labels: Service, open_page: Any) -> None:
    model, photos = mn.load(labels.folder / "run", "onnxruntime"), labels.folder / "photos"
    page = open_page(labels.url)
    assert "several to a photo or none" in page.inner_text("#known-lead")
    for i, name in enumerate(("06.png", "01.png"), 1):
        expected = model.predict(photos / name)
        assert _asked(page, photos / name, i) == (", ".join(expected.labels) or "no label")
        limits = dict(zip(model.card.classes, model.card.thresholds, strict=True))
        shown = page.locator("#bars li").all()
        for bar, (label, probability) in zip(shown, expected.top, strict=True):
            figures = [float(x) for x in re.findall(r"[\d.]+(?= ?%)", bar.inner_text())]
            assert bar.locator(".label").inner_text() == label
            assert figures == pytest.approx([100 * probability, 100 * limits[label]], abs=0.1)
            assert ("there" in bar.get_attribute("class")) == (label in expected.labels)
        assert page.is_hidden("#unsure")
    assert page.locator("#history .share").all_inner_texts() == ["", ""]


def test_a_defect_is_told_by_its_score_and_shown_where_it_is(inspected: Service, open_page: Any) -> None:
    page = open_page(inspected.url)
    assert page.locator("#classes li").all_inner_texts() == ["part"]
    assert _asked(page, inspected.folder / "blot.png") == "Not good"
    answer = mn.load(inspected.folder / "run").predict(inspected.folder / "blot.png")
    assert page.inner_text("#bars .share") == f"{answer.score:.3f}, not good from {answer.threshold:.3f}"
    assert page.is_visible("#overlay")  # without asking
    assert page.inner_text("#explain") == "Show where it is unlike the good ones"
    centre = page.evaluate(
        """() => { const layer = document.querySelector("#overlay"), canvas = document.createElement("canvas");
          const [w, h] = [canvas.width, canvas.height] = [layer.naturalWidth, layer.naturalHeight];
          const context = canvas.getContext("2d"); context.drawImage(layer, 0, 0);
          const { data } = context.getImageData(0, 0, w, h); let sum = 0, x = 0, y = 0;
          for (let i = 0; i < w * h; i++) {
            const heat = data[4 * i + 3]; sum += heat; x += heat * (i % w); y += heat * (i / w);
          }
          return [x / sum / w, y / sum / h]; }"""
    )
    assert centre == pytest.approx([24 / SIDE, 70 / SIDE], abs=0.15)
    part(401).save(inspected.folder / "even.png")
    assert _asked(page, inspected.folder / "even.png", 2) == "Good"
    scores = page.locator("#history .share").all_inner_texts()
    assert float(scores[0]) < answer.threshold <= float(scores[1])
    page.click("#language")
    assert page.inner_text("#best") == "合格"


def test_the_name_of_a_box_is_read_on_a_phone_in_chinese_and_of_any_length(labels: Service, open_page: Any) -> None:
    page = open_page(labels.url, viewport={"width": 390, "height": 844})
    names = ["雏菊", "生长在高山草甸上的一种野花" * 4]
    flower, long = page.evaluate(
        """async (names) => {
          const { drawBoxes } = await import("./boxes.js"), svg = document.querySelector("#boxes");
          document.querySelector("#stage").dataset.show = "photo";
          const objects = names.map((label, i) => ({ label, score: 0.9, box: [9, 100 * i + 50, 99, 100 * i + 90] }));
          drawBoxes(svg, objects, 400, 300, names);
          const part = ({ left, right, width, height }) => ({ left, right, width, height });
          return [...svg.querySelectorAll("text")].map((text) => ({ ...part(text.getBoundingClientRect()),
            size: text.getAttribute("font-size") * svg.clientWidth / 400, text: text.textContent })); }""",
        names,
    )
    assert flower["size"] >= 11
    assert flower["width"] > 2 * flower["size"] + 5 * 0.5 * flower["size"]  # two square characters and " 90.0%"
    assert "…" in long["text"]
    assert 0 <= long["left"] < long["right"] <= 390
