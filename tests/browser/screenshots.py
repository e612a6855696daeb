"""Draw the pictures of docs/serve.md: the page of a running `mobilenets serve`, in a real Chromium.

mobilenets serve mobilenet_v2 --port 8000
PYTHONPATH=tests python tests/browser/screenshots.py http://127.0.0.1:8000 docs PHOTO...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from browser.chromium import FLAGS, executable

COLOURS = 256  # of a palette: a third of the file


def shoot(browser: Browser, url: str, photos: list[str], path: Path, **context: Any) -> None:
    """The page after `photos`, with the overlay of the last one where there is one."""
    page = browser.new_context(**context).new_page()
    page.goto(url)
    page.wait_for_selector("#classes li")
    page.set_input_files("#file", photos)
    page.wait_for_selector(f"#history li:nth-child({len(photos)})")
    page.wait_for_selector("body:not(.busy)")
    if page.is_visible("#explain"):
        page.check("#explain-switch", force=True)
    page.wait_for_timeout(1000)  # until the bars have grown
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main(url: str, folder: str, *photos: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        wide, phone = {"width": 1200, "height": 850}, {"width": 390, "height": 844}
        shoot(browser, url, list(photos), Path(folder, "serve.png"), viewport=wide, locale="en-GB")
        phones = {"viewport": phone, "locale": "zh-CN", "color_scheme": "dark", "has_touch": True, "is_mobile": True}
        shoot(browser, url, list(photos[:1]), Path(folder, "serve-phone.png"), **phones)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
