"""How much of all cores a bulk prediction uses, against the core time that decoding and the network need.

    python benchmarks/bulk.py [--photos 600] [--rounds 5]

JPEGs of 500×375, MobileNetV3-Small at 224 pixels. The seconds that decoding (with resizing) and the network take per
picture are measured on one thread each, with nothing beside them; cores / (decoding + network) is the rate at which
nothing but these two keeps every core busy. Against it `Classifier.predict_many`, start-up not counted, and the
arrangement that it had before: threads decode ahead of an engine that computes on all cores. Rounds alternate; medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from common import table, write_result
from predict import write_model, write_photos

from mobilenets.runtime.base import Pixels, available_cores
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.engines.openvino import OpenVinoEngine
from mobilenets.runtime.predictor import BATCH

SIZE = (500, 375)


def decoded_ahead(classifier: Classifier, paths: list[Path]) -> Iterator[object]:
    """As `predict_many` was: threads decode, one batch after the other is computed on all cores."""
    pending: deque[list[Future[Pixels]]] = deque()
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(paths), BATCH):
            pending.append([pool.submit(classifier.pixels, path) for path in paths[start:][:BATCH]])
            if len(pending) > 2:
                yield from classifier.probabilities_each([future.result() for future in pending.popleft()])
        for batch in pending:
            yield from classifier.probabilities_each([future.result() for future in batch])


def seconds_each(work: Callable[[int], object], count: int) -> float:
    """Mean seconds of `work`."""
    start = time.perf_counter()
    for i in range(count):
        work(i)
    return (time.perf_counter() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cores = available_cores()
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model.onnx"
        write_model(model, "mobilenet_v3_small", 224)
        paths = write_photos(Path(name) / "photos", args.photos, SIZE)
        alone = Classifier(OnnxRuntimeEngine(model, threads=1))
        usual, other = Classifier(OnnxRuntimeEngine(model)), Classifier(OpenVinoEngine(model))
        pixels = [alone.pixels(path)[None] for path in paths[:20]]
        cases: dict[str, Callable[[], Iterator[object]]] = {
            "`predict_many`, onnxruntime": lambda: usual.predict_many(paths),
            "`predict_many`, openvino": lambda: other.predict_many(paths),
            "before: decoded ahead of onnxruntime on all cores": lambda: decoded_ahead(usual, paths),
        }
        decoding, network = [], []
        rates: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(args.rounds + 1):
            decoding.append(seconds_each(lambda i: alone.pixels(paths[i]), len(paths)))
            network.append(seconds_each(lambda i: alone.probabilities(pixels[i % 20]), len(paths)))
            for case, run in cases.items():
                start = time.perf_counter()
                done = sum(1 for _ in run())
                rates[case].append(done / (time.perf_counter() - start))
    each = [statistics.median(values[1:]) for values in (decoding, network)]  # the first round warms up
    bound = cores / sum(each)
    what = f"bound: {cores} cores / ({each[0] * 1e3:.2f} ms decoding + {each[1] * 1e3:.2f} ms network)"
    rows: list[list[object]] = [[what, f"{bound:.0f}", ""]]
    for case, found in rates.items():
        rate = statistics.median(found[1:])
        rows.append([case, f"{rate:.0f}", f"{rate / bound:.2f}"])
    body = table(["what", "images/s", "of the bound"], rows) + "\n\nWanted: 0.85 of the bound.\n\n"
    body += str(__doc__).split("\n\n", 2)[2].strip()
    command = f"python benchmarks/bulk.py --photos {args.photos} --rounds {args.rounds}"
    write_result("bulk", "Bulk prediction", command, body, "onnxruntime", "openvino", "pillow")


if __name__ == "__main__":
    main()
