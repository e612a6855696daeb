"""The web export in Chromium: size of the folder, time to open, and time for a photograph.

    python benchmarks/web.py           # prints the table and writes benchmarks/results/web.md

Networks of 1000 classes with random weights, which take as long as trained ones. A photograph's time is from its
file to all probabilities: decoding, resize and crop, WebAssembly on one thread. Needs Chromium and playwright.
"""

from __future__ import annotations

import base64
import io
import shutil
import statistics
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import table, write_result
from PIL import Image
from playwright.sync_api import sync_playwright

from mobilenets.arch import build
from mobilenets.exporting.job import export
from mobilenets.exporting.targets.table import exporter
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.engines.torch import TorchEngine

NETWORKS = ("mobilenet_v2", "mobilenet_v3_small")
PHOTOS = ((640, 480), (4000, 3000))
RUNS = 15
WARM_UP = 3
OPEN = "async () => (await import('./predictor.js')).open()"
PREDICT = """async (file) => {
  const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
  const { predict } = await import("./predictor.js");
  return (await predict(new Blob([bytes]))).milliseconds;
}"""


class Handler(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def jpeg(width: int, height: int) -> str:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 40, width // 40, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return base64.b64encode(file.getvalue()).decode()


def write_folder(name: str, folder: Path) -> None:
    torch.manual_seed(0)
    model = MobileNet(build(name, num_classes=1000)).eval()
    card = ModelCard(name, model.net, tuple(map(str, range(1000))), Preprocess())
    export(TorchEngine(model, card), "web", exporter("web"), folder, [])


def opened(browser: Any, folder: Path) -> tuple[Any, float]:
    """The exported page, ready, and the seconds that took."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    start = time.perf_counter()
    page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    page.evaluate(OPEN)
    seconds = time.perf_counter() - start
    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")  # it fetches everything once more
    return page, seconds


def measure(browser: Any, root: Path) -> list[list[object]]:
    """A row for each network; they take turns, so that a busy moment hits all alike."""
    for name in NETWORKS:
        write_folder(name, root / name)
    pages = {name: opened(browser, root / name) for name in NETWORKS}
    times: dict[tuple[str, tuple[int, int]], list[float]] = {}
    for photo in PHOTOS:
        file = jpeg(*photo)
        for _ in range(WARM_UP + RUNS):
            for name, (page, _) in pages.items():
                times.setdefault((name, photo), []).append(page.evaluate(PREDICT, file))
    rows: list[list[object]] = []
    for name, (_, seconds) in pages.items():
        sizes = {path.name: path.stat().st_size / 1e6 for path in (root / name).iterdir()}
        medians = [f"{statistics.median(times[name, photo][WARM_UP:]):.1f}" for photo in PHOTOS]
        rows.append([name, f"{sum(sizes.values()):.1f}", f"{sizes['model.onnx']:.1f}", f"{seconds:.1f}", *medians])
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as root, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        rows = measure(browser, Path(root))
        version = browser.version
        browser.close()
    photos = [f"{width}×{height} (ms)" for width, height in PHOTOS]
    columns = ["network at 224", "folder (MB)", "of it model.onnx", "opens in (s)", *photos]
    notes = f"""\
Chromium {version}, without a graphics card. Medians of {RUNS} photographs after {WARM_UP}, the networks in turns.

{table(columns, rows)}"""
    write_result("web", "The web export in Chromium", "python benchmarks/web.py", notes, "playwright", "pillow")


if __name__ == "__main__":
    main()
