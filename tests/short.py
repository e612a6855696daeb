"""A run whose network has five blocks, and a search from it, in seconds."""

from dataclasses import replace
from pathlib import Path

from clockwork import Clockwork
from conftest import write_photos
from mobilenets.arch import build
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.job import search
from mobilenets.training.run import train
from small import write_random

CLASSES = ("daisy", "rose")
SIZE = 96


def short_run(folder: Path) -> tuple[Path, Path]:
    """(run, its data) in a new folder: two classes of tiny photographs, the first five blocks of MobileNetV2."""
    data = write_photos(folder / "photos", CLASSES, 20, size=40)
    net = build("mobilenet_v2", width=0.35, num_classes=len(CLASSES))
    net = replace(net, blocks=net.blocks[:5])
    weights = write_random(folder / "short.safetensors", net, CLASSES, SIZE)
    run = train(
        data, folder / "run", {"batch_size": 8}, weights=str(weights), model=net.name, recipe="finetune", epochs=1,
        precision="fp32", device="cpu",
    )  # fmt: skip
    return run.path, data


def short_search(trained: tuple[Path, Path], out: Path) -> Path:
    """`out`: what NetAdapt finds within half of the latency of a short run, with as little training as there is."""
    run, data = trained
    nothing = search(SearchConfig(str(data), str(run), latency_ms=1e6), out, Clockwork())
    assert nothing.path is None
    search(
        SearchConfig(str(data), str(run), 0.5 * nothing.summary["seed_latency_ms"], tune=1, epochs=3), out, Clockwork()
    )
    return out
