"""What everything reaches beside one busy process, against the best fixed number of threads.

    python benchmarks/busy.py [--engine onnxruntime] [--network mobilenet_v2] [--rounds 7]

Beside one process that multiplies matrices without end: photos a second of `predict`, `embed` and `evaluate` (their
loops in Python, models opened once) and of `mobilenets serve` (real servers; one client that asks for one photo after
the other, and four), as the project chooses threads and on 1, 2, … (`--threads`). All settings take turns, in an order
that changes with each round; a ratio is the median over the rounds of the project's rate by that of the best fixed
setting beside it, the best being that of the highest median rate. Then, once, what `export` takes to compare 650 photos
(`verify`, reading included), in seconds and in processor seconds of its process. JPEGs of 640×480.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from common import table, write_result
from predict import write_model, write_photos
from threadpoolctl import threadpool_limits

from mobilenets.data.sample import Sample
from mobilenets.exporting.images import read_images
from mobilenets.exporting.targets.table import TARGETS, exporter, reopen
from mobilenets.exporting.verify import FLOAT, verify
from mobilenets.model_card import read_card
from mobilenets.runtime.base import available_cores
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.opening import load

WANTED = 0.9
COMPARED, WANTED_S = 650, 30  # photos, and seconds for them
PHOTOS, SECONDS, CLIENTS = 24, 1.0, (1, 4)  # a turn of a loop, a turn of clients
OURS = None  # in place of a number of threads

Rate = Callable[[], float]  # photos a second, of a turn


def multiply() -> None:
    a = np.random.default_rng(0).random((200, 200))
    with threadpool_limits(1):
        while True:
            a @ a


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    other = multiprocessing.get_context("spawn").Process(target=multiply, daemon=True)
    other.start()
    time.sleep(3)  # it has imported what it needs
    try:
        yield
    finally:
        other.kill()
        other.join()


def loops(path: Path, engine: str, photos: list[Path], threads: int | None) -> dict[str, Rate]:
    predictor = load(path, engine, threads)
    samples = [Sample(photo, 0) for photo in photos]

    def rate(run: Callable[[], Iterator[object]]) -> float:
        start = time.perf_counter()
        count = sum(1 for _ in run())
        return count / (time.perf_counter() - start)

    return {
        "predict": partial(rate, lambda: predictor.predict_many(photos, workers=threads)),
        "embed": partial(rate, lambda: predictor.features(photos, workers=threads)),
        "evaluate": partial(rate, lambda: predictor.rows((s.open() for s in samples), workers=threads)),
    }


@contextlib.contextmanager
def server(path: Path, engine: str, threads: int | None) -> Iterator[int]:
    """The port of one."""
    command = [sys.executable, "-m", "mobilenets", "serve", str(path), "--port", "0", "--engine", engine]
    command += [] if threads is None else ["--threads", str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().split("127.0.0.1:")[1].split()[0])
        finally:
            process.terminate()


def asked(port: int, clients: int, bodies: list[bytes]) -> float:
    """Answers a second."""

    def client(i: int) -> int:
        connection, count = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            connection.request("POST", "/predict", bodies[(i + count) % len(bodies)])
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            count += 1
        connection.close()
        return count

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        count = sum(pool.map(client, range(clients)))
    return count / (time.perf_counter() - start)


def compared(rates: dict[int | None, Rate], rounds: int) -> list[object]:
    """Cells of a row: the rate of each setting, and the ratio."""
    taken: dict[int | None, list[float]] = {setting: [] for setting in rates}
    order = list(rates)
    for rate in rates.values():  # warm
        rate()
    for _ in range(rounds):
        order = [*order[1:], order[0]]
        for setting in order:
            taken[setting].append(rates[setting]())
    medians = {setting: statistics.median(found) for setting, found in taken.items()}
    best = max((setting for setting in medians if setting is not OURS), key=medians.__getitem__)
    ratios = [ours / fixed for ours, fixed in zip(taken[OURS], taken[best], strict=True)]
    ratio = statistics.median(ratios)
    return [
        *(f"{medians[setting]:.1f}" for setting in rates),
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "yes" if ratio >= WANTED else "no",
    ]


def comparison(engine: str, path: Path, network: TorchEngine, photos: list[Path]) -> list[object]:
    """Cells: seconds and processor seconds."""
    target = next(name for name, target in TARGETS.items() if target.engine == engine)
    opened = reopen(target, path, network.card)
    samples = [Sample(photos[i % len(photos)], 0) for i in range(COMPARED)]
    images = read_images(network.card.preprocess, samples, COMPARED, "comparing")
    start, processor = time.perf_counter(), time.process_time()
    result = verify(opened, network, images, target, FLOAT, 0)
    assert result.agrees, result
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    verdict = "yes" if seconds <= WANTED_S else "no"
    return [engine, f"{seconds:.1f}", f"{processor:.1f}", f"{processor / seconds:.2f}", verdict]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="append", help="several times for several; by default onnxruntime")
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    engines = args.engine or ["onnxruntime"]
    load_before = os.getloadavg()[0]
    settings = [OURS, *range(1, available_cores() + 1)]
    rows: list[list[object]] = []
    taken: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        model = write_model(folder / "model.onnx", args.network, 224)
        card = read_card(folder / "model.onnx")
        photos = write_photos(folder / "photos", PHOTOS)
        bodies = [photo.read_bytes() for photo in photos[:20]]
        stack.enter_context(busy_process())
        for engine in engines:
            network = TorchEngine(model, card)
            path = write_for(engine, folder, network)
            if engine != "torch":
                taken.append(comparison(engine, path, network, photos))
                print(taken[-1], flush=True)
            ways = {setting: loops(path, engine, photos, setting) for setting in settings}
            for what in ways[OURS]:
                rows.append([engine, what, *compared({s: way[what] for s, way in ways.items()}, args.rounds)])
                print(rows[-1], flush=True)
            with contextlib.ExitStack() as servers:
                ports = {s: servers.enter_context(server(path, engine, s)) for s in settings}
                for clients in CLIENTS:
                    what = f"serve, {clients} client{'s' if clients > 1 else ''}"
                    asking = {s: partial(asked, port, clients, bodies) for s, port in ports.items()}
                    rows.append([engine, what, *compared(asking, args.rounds)])
                    print(rows[-1], flush=True)
    titles = ["chosen" if s is OURS else f"{s} thread{'s' if s > 1 else ''}" for s in settings]
    header = ["engine", "what", *(f"{title}, photos/s" for title in titles), "ratio to the best fixed", f"≥ {WANTED}"]
    compared_header = [f"comparing {COMPARED} photos", "s", "processor s", "cores it had", f"≤ {WANTED_S} s"]
    body = (
        table(header, rows)
        + "\n\n"
        + table(compared_header, taken)
        + f"\n\n{args.network} at 224 pixels. Other work on the machine: a load average of "
    )
    body += f"{load_before:.1f} as this began and {os.getloadavg()[0]:.1f} at the end, on {available_cores()} cores; "
    body += "the busy process comes on top of the first. Absolute figures are those of that hour; ratios were measured "
    body += f"in turns, {args.rounds} rounds.\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    options = "".join(f" --engine {engine}" for engine in engines)
    command = f"python benchmarks/busy.py{options} --network {args.network} --rounds {args.rounds}"
    write_result("busy", "Beside a busy process", command, body, *engines, "pillow")


def write_for(engine: str, folder: Path, network: TorchEngine) -> Path:
    """The file that the engine runs."""
    if engine in ("onnxruntime", "openvino"):
        return folder / "model.onnx"
    if engine == "torch":
        from mobilenets.nn.io import write_network

        write_network(folder / "model.safetensors", network.model, network.card)
        return folder / "model.safetensors"
    target = next(name for name, target in TARGETS.items() if target.engine == engine)
    (folder / engine).mkdir()
    path = folder / engine / TARGETS[target].file
    exporter(target)(network.model, network.card, path)
    return path


if __name__ == "__main__":
    main()
