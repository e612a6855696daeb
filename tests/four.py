"""A tiny run of each task and its data: what tests of commands that all tasks share start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import annotated
import mobilenets as mn
from conftest import write_photos
from mobilenets.arch import build
from small import write_random

SIDE = 96  # of a part
INSPECTED = {"model": "mobilenet_v2", "weights": "torchvision-v1", "size": SIDE}
_PROBED: dict[str, Any] = {"recipe": "probe", "size": 32, "device": "cpu"}
_FOUND: dict[str, Any] = {
    "size": 32, "recipe": "finetune", "epochs": 1, "precision": "fp32", "device": "cpu",
    "changes": {"batch_size": 4, "head_steps": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """A run, what it was trained on, and a photo of the same kind."""

    run: Path
    data: Path
    photo: Path


def write_colours(folder: Path) -> Path:
    """`list.csv` of 60 photographs that are red, green, both or neither."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines = ["path,labels"]
    for i in range(60):
        has = {"red": i % 2 == 0, "green": i % 3 == 0}
        colour = [rng.uniform(180, 255) if there else rng.uniform(0, 60) for there in (*has.values(), False)]
        pixels = rng.normal(colour, 20, (40, 40, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        lines.append(f"{i:02d}.png,{';'.join(name for name, there in has.items() if there)}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return folder / "list.csv"


def part(seed: int, scratch: tuple[int, int] | None = None) -> Image.Image:
    """A tile of even stripes with a little noise; with a `scratch` around that place, a dark blot on it."""
    rng = np.random.default_rng(seed)
    stripes = 120 + 50 * np.sin(np.arange(SIDE) / 4 + rng.uniform(0, 6))
    pixels = np.repeat(stripes[None, :, None], SIDE, 0).repeat(3, 2) + rng.normal(0, 6, (SIDE, SIDE, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    if scratch is not None:
        x, y = scratch
        ImageDraw.Draw(image).ellipse((x - 9, y - 9, x + 9, y + 9), fill=(20, 20, 25))
    return image


def write_parts(folder: Path, count: int, first: int, scratch: tuple[int, int] | None = None) -> Path:
    """A new folder with so many parts."""
    folder.mkdir(parents=True)
    for i in range(count):
        part(first + i, scratch).save(folder / f"{i:02d}.png")
    return folder


def short_weights(path: Path) -> Path:
    """The first five blocks of MobileNetV2, with random weights."""
    net = build("mobilenet_v2", width=0.35, num_classes=3)
    return write_random(path, replace(net, blocks=net.blocks[:5]), ("a", "b", "c"), 32)


def classes_run(folder: Path) -> Tiny:
    data = write_photos(folder / "photos", ("daisy", "rose", "tulip"), 12, size=40)
    run = mn.train(data, out=folder / "run", weights=short_weights(folder / "weights.safetensors"), **_PROBED)
    return Tiny(run.path, data, data / "rose" / "000.jpg")


def labels_run(folder: Path) -> Tiny:
    data = write_colours(folder / "photos")
    run = mn.train(data, out=folder / "run", weights=short_weights(folder / "weights.safetensors"), **_PROBED)
    return Tiny(run.path, data, data.parent / "06.png")


def boxes_run(folder: Path) -> Tiny:
    data = annotated.write_csv(folder)
    net = build("mobilenet_v3_small", width=0.35, num_classes=3)
    weights = write_random(folder / "weights.safetensors", net, ("a", "b", "c"), 32)
    run = mn.train(data, out=folder / "run", weights=weights, **_FOUND)
    return Tiny(run.path, data, folder / "photos" / "one.png")


def good_run(folder: Path) -> Tiny:
    data = write_parts(folder / "parts" / "part", 24, 0).parent
    defects = write_parts(folder / "defects", 4, 100, (70, 20))
    part(400, (24, 70)).save(folder / "blot.png")
    run = mn.train(data, out=folder / "run", defects=defects, **INSPECTED)
    return Tiny(run.path, data, folder / "blot.png")


RUNS = {"classify": classes_run, "multilabel": labels_run, "detect": boxes_run, "anomaly": good_run}
