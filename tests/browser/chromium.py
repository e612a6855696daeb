"""Which browser is driven, and how it is started."""

from __future__ import annotations

import atexit
import os
import shutil
from functools import cache
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def executable() -> str | None:
    """The program: MOBILENETS_CHROMIUM, or the first of the usual names on the PATH; None: Playwright's own."""
    return os.environ.get("MOBILENETS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@cache
def driver() -> Any:
    """Playwright, started once and until the process ends: beside one that runs a second one refuses to start."""
    from playwright.sync_api import sync_playwright

    started = sync_playwright().start()
    atexit.register(started.stop)
    return started
