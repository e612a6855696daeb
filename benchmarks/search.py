"""A search against plain ways to the same measured latency, and how well latency is predicted.

    python benchmarks/search.py latency                              # error on 20 networks that were not fitted
    python benchmarks/search.py train DATA RUN SEARCHED WHAT --epochs 14    # WHAT: netadapt, width, size, both, seed
    python benchmarks/search.py table RUN SEARCHED                   # what was trained, as results/search.md

SEARCHED is what `mobilenets search DATA --from RUN` wrote. Every network is brought to at most its measured latency and
then trained by the same recipe: on the same photographs, for as many epochs, distilled from the same seed. `width` cuts
all channels by one factor, `size` the picture, `both` each by half as much; channels are kept by the importance that
the search keeps them by. One process, one thread.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from common import table, write_result

from mobilenets.progress import Progress
from mobilenets.runtime.torch import TorchEngine
from mobilenets.search.job import random_candidates
from mobilenets.search.latency import Candidate, Conditions, LatencyModel, LatencyTable, errors
from mobilenets.search.layout import layout, resized
from mobilenets.search.prune import importance, most_important, sliced
from mobilenets.search.refine import distiller
from mobilenets.search.tune import Some, tune
from mobilenets.search.workbench import Workbench
from mobilenets.spec import build
from mobilenets.spec.cost import total
from mobilenets.spec.scaling import make_divisible
from mobilenets.training.interrupt import Interrupt

FITTED, HELD_OUT = 14, 20
NETWORKS = (("mobilenet_v2", 192), ("mobilenet_v3_large", 224), ("mobilenet_v4_conv_small", 224))
PACKAGES = ("torch", "onnxruntime", "openvino")


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
        "picture at a time, float32."
    )
    command = f"python benchmarks/search.py latency --engine {' '.join(engines)}"
    write_result("search_latency", "Predicted latency", command, f"{text}\n\n{table(header, rows)}", *PACKAGES)


def predicted(engine: str, candidates: list[Candidate]) -> list[object]:
    """Graphs timed, span of latencies, fitted line, its errors on the last `HELD_OUT` and those of the plain sum."""
    held = candidates[FITTED:]
    with (
        tempfile.TemporaryDirectory() as folder,  # a table of its own: everything is measured now
        LatencyTable(Conditions(engine, 1), Path(folder) / "table.json") as latencies,
    ):
        model = LatencyModel.fit(latencies, candidates[:FITTED])
        measured = latencies.networks_ms(held)
        off, plain = errors(model.predict(held), measured), errors(latencies.pieces_ms(held), measured)
        return [
            len(latencies), f"{min(measured):.2f} to {max(measured):.2f}",
            f"{model.slope:.3f} · sum {model.intercept:+.3f}", f"{100 * off.mape:.1f} %", f"{off.spearman:.3f}",
            f"{100 * plain.mape:.1f} %",
        ]  # fmt: skip


def train(data: Path, run: Path, searched: Path, what: str, epochs: int) -> None:
    """Bring the seed to the latency of the searched network in one way, train it and keep the figures."""
    bench = Workbench(run, data)
    summary = json.loads((searched / "search.json").read_text())
    limit = summary["latency_ms"]
    with LatencyTable(Conditions(summary["engine"], summary["threads"])) as latencies:
        if what == "netadapt":
            engine = TorchEngine.read(searched / "checkpoint" / f"step-{len(summary['steps'])}.safetensors")
            model, size = engine.model, engine.card.preprocess.size
        elif what == "seed":
            model, size = copy.deepcopy(bench.seed), bench.start.size
        else:
            candidate = scaled(bench.start, what, limit, latencies)
            model, size = narrowed(bench, candidate), candidate.size
        (ms,) = latencies.networks_ms([Candidate(model.net, size)])
    start = bench.judge(model, size, bench.parts.val)["accuracy"]
    trainer = distiller(bench, model, size, epochs)
    with tempfile.TemporaryDirectory() as folder, Interrupt() as interrupt:
        done = trainer.fit(lambda model, figures: None, Path(folder), interrupt)
    if not done:
        raise KeyboardInterrupt
    figures = {
        "latency_ms": ms, "size": size, "mmacs": total(model.net, size)[1] / 1e6, "epochs": epochs,
        "before": start, "accuracy": trainer.state.best["val_accuracy"],
        "last": trainer.state.history[-1]["val_accuracy"], "log_loss": trainer.state.best["val_loss"],
    }  # fmt: skip
    (searched / f"bench-{what}.json").write_text(json.dumps(figures, indent=1))
    print(what, figures)


def scaled(seed: Candidate, what: str, limit_ms: float, latencies: LatencyTable) -> Candidate:
    """The largest network of a uniform family whose measured latency is at most `limit_ms`."""
    low, high, best = 0.2, 1.0, None
    with Progress(f"{what} to {limit_ms:.2f} ms", None) as progress:
        for _ in range(7):
            middle = (low + high) / 2
            candidate = uniform(seed, what, middle)
            (ms,) = latencies.networks_ms([candidate])
            progress.advance(1, share=middle, ms=ms)
            if ms <= limit_ms:
                low, best = middle, candidate
            else:
                high = middle
    assert best is not None
    return best


def uniform(seed: Candidate, what: str, share: float) -> Candidate:
    """Channels, side, or both scaled so that all of it costs about `share` of the seed's work."""
    width = {"width": share**0.5, "size": 1.0, "both": share**0.25}[what]
    side = {"width": 1.0, "size": share**0.5, "both": share**0.25}[what]
    net = seed.net
    for space, channels in layout(seed.net).sizes.items():
        if width < 1:
            net = resized(net, {space: make_divisible(channels * width)}) or net
    return Candidate(net, max(32, round(seed.size * side / 8) * 8))


def narrowed(bench: Workbench, candidate: Candidate) -> torch.nn.Module:
    """The seed with the most important channels of each space, and new BatchNorm statistics."""
    loader = bench.loader(bench.parts.rest, bench.start.size, train=True)
    model = copy.deepcopy(bench.seed)

    def losses():
        for batch in Some(loader, 8).epoch(0):
            images = torch.from_numpy(loader.preprocess.normalize(batch.pixels))
            yield F.cross_entropy(model(images), torch.from_numpy(batch.labels))

    now, then = (layout(net).sizes for net in (model.net, candidate.net))
    fewer = {space: size for space, size in then.items() if size < now[space]}
    if fewer:
        model = sliced(model, most_important(importance(model, losses()), fewer))
    train = bench.loader(bench.parts.rest, candidate.size, train=True)
    tune(model, bench.recipe, bench.place, bench.preprocess(candidate.size), train, 0)
    return model


def report(run: Path, searched: Path) -> None:
    """The table of everything that was trained."""
    summary = json.loads((searched / "search.json").read_text())
    seed = json.loads((run / "metrics.json").read_text())
    rows: list[list[object]] = [
        ["the seed, as it was trained", f"{summary['seed_latency_ms']:.2f}", "", f"{summary['seed_mmacs']:.0f}", "", "",
         f"{summary['seed_accuracy']:.4f}", ""],
        ["the search as it ended", f"{summary['latency_ms']:.2f}", "", f"{summary['mmacs']:.0f}", summary["epochs"], "",
         f"{summary['accuracy']:.4f}", ""],
    ]  # fmt: skip
    names = {
        "seed": "seed, trained on with itself as teacher", "netadapt": "NetAdapt's network",
        "width": "uniform width", "size": "smaller pictures", "both": "width and size",
    }  # fmt: skip
    for what, title in names.items():
        path = searched / f"bench-{what}.json"
        if path.exists():
            f = json.loads(path.read_text())
            rows.append([
                title, f"{f['latency_ms']:.2f}", f["size"], f"{f['mmacs']:.0f}", f["epochs"], f"{f['before']:.4f}",
                f"{f['accuracy']:.4f}", f"{f['last']:.4f}",
            ])  # fmt: skip
    header = [
        "network", "ms measured", "pixels", "MMACs", "epochs", "accuracy before", "best epoch", "last epoch",
    ]  # fmt: skip
    text = (
        f"Solar cells (`{Path(summary['asked']['data']).name}`), {seed['n']} validation photographs, one seed: the "
        f"95 % interval of one accuracy is about ±2.7 points. {summary['engine']}, {summary['threads']} thread. "
        f"{len(summary['steps'])} steps of the search, {summary['tuned_batches']} batches per finalist."
    )
    command = f"python benchmarks/search.py table {run.name} {searched.name}"
    body = f"{text}\n\n{table(header, rows)}"
    write_result("search", "A search against uniform networks of equal latency", command, body, *PACKAGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("latency")
    sub.add_argument("--engine", nargs="+", default=["onnxruntime"])
    sub = commands.add_parser("train")
    for name in ("data", "run", "searched"):
        sub.add_argument(name, type=Path)
    sub.add_argument("what", choices=("netadapt", "width", "size", "both", "seed"))
    sub.add_argument("--epochs", type=int, default=14)
    sub = commands.add_parser("table")
    for name in ("run", "searched"):
        sub.add_argument(name, type=Path)
    args = parser.parse_args()
    if args.command == "latency":
        latency(args.engine)
    elif args.command == "train":
        train(args.data, args.run, args.searched, args.what, args.epochs)
    else:
        report(args.run, args.searched)


if __name__ == "__main__":
    main()
