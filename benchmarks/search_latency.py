"""How well a search predicts latency: its errors on 20 networks that the line was not fitted to.

python benchmarks/search_latency.py [--engine ENGINE...]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from common import table, write_result

from mobilenets.arch import build
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.latency.model import LatencyModel, errors
from mobilenets.searching.latency.table import Conditions, LatencyTable
from mobilenets.searching.netadapt.proposals import random_candidates

FITTED, HELD_OUT = 14, 20
NETWORKS = (("mobilenet_v2", 192), ("mobilenet_v3_large", 224), ("mobilenet_v4_conv_small", 224))


def latency(engines: list[str]) -> None:
    """Errors of the latency model on networks between a published one and its smallest."""
    rows: list[list[object]] = []
    for engine in engines:
        for name, size in NETWORKS:
            seed = Candidate(build(name, num_classes=2), size)
            candidates = random_candidates(seed, FITTED + HELD_OUT, 0)
            rows.append([engine, name, size, *predicted(engine, candidates)])
    header = ["engine", "from", "size", "graphs timed", "ms", "line", "error", "Spearman", "error of the plain sum"]
    text = (
        f"Mean absolute percentage error and rank correlation on {HELD_OUT} networks that the line was not fitted to "
        f"({FITTED} others were), between the published network and the smallest a search reaches; one thread, one "
        "picture at a time, float32. M: millions of parameters."
    )
    command = f"python benchmarks/search_latency.py --engine {' '.join(engines)}"
    write_result(
        "search_latency",
        "Predicted latency",
        command,
        f"{text}\n\n{table(header, rows)}",
        "torch",
        "onnxruntime",
        "openvino",
    )


def predicted(engine: str, candidates: list[Candidate]) -> list[object]:
    """Graphs timed, span of latencies, fitted line, its errors on the last `HELD_OUT` and those of the plain sum."""
    held = candidates[FITTED:]
    with (
        tempfile.TemporaryDirectory() as folder,  # a table of its own: everything is measured now
        LatencyTable(Conditions(engine, 1), Path(folder) / "table.json") as latencies,
    ):
        model = LatencyModel.fit(latencies, candidates[:FITTED])
        measured = latencies.networks_ms(held)
        off, plain = errors(model.predict(held), measured), errors(latencies.subgraphs_ms(held), measured)
        return [
            len(latencies), f"{min(measured):.2f} to {max(measured):.2f}",
            f"{model.slope:.3f} · sum {model.intercept:+.3f} + {model.per_million:.3f} · M",
            f"{100 * off.mape:.1f} %", f"{off.spearman:.3f}",
            f"{100 * plain.mape:.1f} %",
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", nargs="+", default=["onnxruntime"])
    latency(parser.parse_args().engine)


if __name__ == "__main__":
    main()
