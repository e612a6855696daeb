"""A real Chromium for the page of `serve` and of the web export, and a server of static files for the latter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import FAKE_CAMERA, FLAGS, driver, executable

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Any]]:
    """Start a browser with further flags; all are closed at the end."""
    started = []

    def start(*flags: str) -> Any:
        browser = driver().chromium.launch(executable_path=executable(), args=[*FLAGS, *flags])
        started.append(browser)
        return browser

    yield start
    for browser in started:
        browser.close()


@pytest.fixture(scope="session")
def chromium(launch: Callable[..., Any]) -> Any:
    """One whose camera is a moving test picture."""
    return launch(*FAKE_CAMERA)


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """`open_page(url, **context)`: the page with its model loaded; what its console complains about fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_(url: str, **options: Any) -> Any:
        context = chromium.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 860}, **options})
        contexts.append(context)
        context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(url)
        page.wait_for_selector("#classes li")
        return page

    yield open_
    for context in contexts:
        context.close()
    # A refused picture, and a server that is gone, are told to the person; Chromium also logs them as failed loads.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


class _Handler(SimpleHTTPRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):  # a page that was closed while it loaded
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def serve_folder() -> Iterator[Callable[[Path], str]]:
    """Serve a folder as any static host would; returns its address."""
    with ExitStack() as stack:

        def serve(folder: Path) -> str:
            server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/"

        yield serve
