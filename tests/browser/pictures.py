"""Make the pictures of docs/ that show drawn parts: what the commands write, and their pages in a real Chromium.

    PYTHONPATH=tests python tests/browser/pictures.py docs WORK [NAME...]

WORK keeps the photos and runs, so that a second call makes only pictures; NAME: only these, as `similar`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import mobilenets as mn
from browser.chromium import FLAGS, executable
from browser.hardware import inspected, photo, write_photos
from serving.service import serving

KINDS = ("nut", "screw", "washer")  # the classes of the run; a gear is unknown to it
LARGEST = 150_000  # bytes of a picture
PROBE: dict[str, Any] = {"model": "mobilenet_v2", "weights": "torchvision-v1", "recipe": "probe", "device": "cpu"}
WIDE, PHONE = (1100, 830), (390, 800)


class Data:
    """Photos and runs in a folder, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def photos(self, name: str, kind: str, count: int, first: int) -> Path:
        folder = self.folder / name / kind
        return folder if folder.exists() else write_photos(folder, kind, count, first)

    @property
    def album(self) -> Path:
        """What no run was trained on."""
        for k, kind in enumerate((*KINDS, "gear")):
            self.photos("album", kind, 12, 1000 * k + 500)
        return self.folder / "album"

    def run(self, name: str, source: Callable[[], Path], **options: Any) -> Path:
        out = self.folder / "runs" / name
        if not (out / "report.html").exists():
            mn.train(source(), out=out, **options)
        return out

    @property
    def parts(self) -> Path:
        for k, kind in enumerate(KINDS):
            self.photos("parts", kind, 60, 1000 * k)
        return self.run("parts", lambda: self.folder / "parts", **PROBE)

    @property
    def first(self) -> Path:
        """A run of the few photos that have a label so far."""
        for k, kind in enumerate(KINDS[:2]):
            self.photos("first", kind, 6, 1000 * k + 800)
        return self.run("first", lambda: self.folder / "first", **PROBE)

    @property
    def with_gears(self) -> Path:
        out = self.folder / "runs" / "with-gears"
        if not out.exists():
            mn.add_class(self.parts, self.photos("more", "gear", 30, 3000), name="gear", out=out)
        return out

    @property
    def crowd(self) -> Path:
        """Several parts on a photo, or none."""
        return self.run("crowd", self._write_crowd, **PROBE)

    def _write_crowd(self) -> Path:
        folder, rng = self.folder / "crowd", np.random.default_rng(0)
        folder.mkdir(exist_ok=True)
        rows = [("path", "labels")]
        for i in range(200):
            there = [kind for kind in (*KINDS, "gear") if rng.random() < 0.45]
            rng.shuffle(there)
            path = folder / f"{i:03d}.png"
            if not path.exists():
                photo(there, 5000 + i).save(path)
            rows.append((path.name, ";".join(there)))
        with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        return folder / "labels.csv"

    @property
    def good(self) -> Path:
        return self.run("good", self._write_good, model="mobilenet_v2", weights="torchvision-v1", device="cpu")

    def _write_good(self) -> Path:
        folder = self.folder / "belt" / "good"
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(80):
            inspected(6000 + i).save(folder / f"{i:02d}.png")
        return folder.parent


def similar(data: Data, page: Page) -> Image.Image:
    run = data.parts
    asked = data.folder / "parts" / "nut" / "nut-07.png"
    return _sheet(data, lambda path: mn.similar(run, asked, top=8, among=data.album, save=path))


def label_next(data: Data, page: Page) -> Image.Image:
    def make(path: Path) -> None:
        mn.label_next(data.album, from_run=data.first, n=9, out=_new(data.folder / "next.csv"), save=path)

    return _sheet(data, make)


def add_class(data: Data, page: Page) -> Image.Image:
    asked = [data.album / "gear" / f"gear-0{i}.png" for i in range(3)] + [data.album / "nut" / "nut-00.png"]

    def sheet(run: Path) -> Image.Image:
        return _sheet(data, lambda path: list(mn.predict(run, asked, save=path)))

    return _beside(sheet(data.parts), sheet(data.with_gears))


def good_only(data: Data, page: Page) -> Image.Image:
    asked = [data.folder / f"{i}.png" for i in range(4)]
    for i, fault in enumerate((None, None, "broken", "scratched")):
        inspected(6499 + i, fault).save(asked[i])
    return _sheet(data, lambda path: list(mn.predict(data.good, asked, save=path)))


def unknown(data: Data, page: Page) -> Image.Image:
    width = 620
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((data.parts / "report.html").as_uri())
    top, bottom = page.evaluate(
        """() => [document.querySelector("#known"), document.querySelectorAll("#known ~ details .finding")[2]].map(
          (each) => each.getBoundingClientRect().top + scrollY)"""
    )  # with the first row of the strangest
    path = data.folder / "known.png"
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": top - 10, "width": width, "height": bottom - top})
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    shot = _served(data.parts, page, data.album / "gear" / "gear-02.png")
    return _beside(Image.open(path).convert("RGB"), shot)


def labels(data: Data, page: Page) -> Image.Image:
    return _served(data.crowd, page, *(data.folder / "crowd" / f"{i:03d}.png" for i in (0, 1, 4)))


def label(data: Data, page: Page) -> Image.Image:
    wanted = data.folder / "wanted.csv"
    mn.label_next(data.album, from_run=data.first, n=20, out=_new(wanted))
    _new(data.folder / "given.csv")
    with serving(
        data.first / "model.onnx", "--label", str(wanted), "--label-to", str(data.folder / "given.csv")
    ) as service:
        page.goto(f"{service.url}/label")
        page.wait_for_selector("#classes button")
        for name in ("washer", "gear"):
            page.fill("#new", name)
            page.keyboard.press("Enter")
        page.wait_for_load_state("networkidle")
        return _shot(page, data.folder / "page.png")


PICTURES: dict[str, Callable[[Data, Page], Image.Image]] = {
    "unknown": unknown, "similar": similar, "label-next": label_next, "label": label, "add-class": add_class,
    "labels": labels, "good-only": good_only,
}  # fmt: skip


def _new(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


def _sheet(data: Data, make: Callable[[Path], object]) -> Image.Image:
    """What a command writes with `--save`."""
    path = _new(data.folder / "sheet.png")
    make(path)
    return Image.open(path).convert("RGB")


def _shot(page: Page, path: Path) -> Image.Image:
    page.wait_for_timeout(1000)  # until the bars have grown
    page.screenshot(path=path)
    return Image.open(path).convert("RGB")


def _served(run: Path, page: Page, *photos: Path) -> Image.Image:
    """The page of `serve` after these photos."""
    with serving(run / "model.onnx") as service:  # without torch, which the heat of a run folder needs
        page.goto(service.url)
        page.wait_for_selector("#classes li")
        page.set_input_files("#file", list(photos))
        page.wait_for_selector(f"#history li:nth-child({len(photos)})")
        page.wait_for_selector("body:not(.busy)")
        return _shot(page, run.parent / "page.png")


def _beside(*images: Image.Image) -> Image.Image:
    """On white."""
    gap = 24
    width, height = sum(image.width + gap for image in images) - gap, max(image.height for image in images)
    sheet = Image.new("RGB", (width, height), "white")
    x = 0
    for image in images:
        sheet.paste(image, (x, 0))
        x += image.width + gap
    return sheet


def _save(image: Image.Image, path: Path) -> None:
    """As large, and with as many colours, as there is room for."""
    for colours, width in product((256, 128, 64), (1100, 900, 720, 640, 560)):
        small = image.copy()
        small.thumbnail((width, 2 * width), Image.Resampling.LANCZOS)
        small.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            return
    raise SystemExit(f"{path}: {path.stat().st_size} bytes, more than {LARGEST}")


def main(folder: str, work: str, *names: str) -> None:
    data = Data(Path(work).resolve())
    data.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        for name in names or PICTURES:
            page = browser.new_context(locale="en-GB", viewport={"width": WIDE[0], "height": WIDE[1]}).new_page()
            page.set_default_timeout(400_000)
            image = PICTURES[name](data, page)
            image.save(data.folder / f"{name}.png")
            _save(image, Path(folder, f"{name}.png"))
            print(name, flush=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
