"""Which browser is driven, and how it is started."""

from __future__ import annotations

import os
import shutil

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
