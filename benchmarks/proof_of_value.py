"""Proof of value: hashes of what a fixed set of trainings, searches and commands gives.

    python benchmarks/proof_of_value.py before.json        # at the commit that a change begins from
    python benchmarks/proof_of_value.py after.json         # with the change
    diff before.json after.json                            # nothing, or what the change must alter

A change that must not alter results gives the same file on the same machine. Two tiny data sets (coloured JPEG files in
class folders; grey PNG files in a CSV) are made, learned by the
three recipes, searched and asked about. About a minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

FILES = ("model.safetensors", "model.onnx", "class_indices.json", "config.yaml", "predictions.csv", "data.csv")
ENGINE = ["--engine", "onnxruntime"]
RECIPES = {
    "probe": ["--recipe", "probe"],
    "finetune": ["--recipe", "finetune", "--epochs", "2"],
    "scratch": ["--recipe", "scratch", "--epochs", "1"],
}
COMMON = ["--size", "64", "--seed", "1", "--set", "batch_size=8", "--precision", "fp32", "--device", "cpu"]
SCRATCH = ["--model", "mobilenet_v3_small", "--width", "0.35"]
# What differs between two runs of the same commit: how long things took, where the files lie.
CHANGING = re.compile(r"[\d.]+ ?(seconds|s|ms|minutes|img/s|images/s)\b")


def digest(content: bytes | str) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


def colours(folder: Path) -> Path:
    """Class folders with two classes of coloured JPEG files."""
    from conftest import write_photos

    return write_photos(folder / "colours", ("daisy", "rose"), 16, size=80)


def greys(folder: Path) -> Path:
    """A CSV of two classes of grey PNG files: stripes across, stripes down."""
    rng = np.random.default_rng(3)
    lines = ["path,label"]
    for i in range(32):
        stripes = 128 + 60 * np.sin(np.arange(72) / 3)[:, None] + rng.normal(0, 25, (72, 72))
        pixels = (stripes if i % 2 else stripes.T).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"grey{i:02d}.png")
        lines.append(f"grey{i:02d}.png,{'across' if i % 2 else 'down'}")
    (folder / "greys.csv").write_text("\n".join(lines) + "\n")
    return folder / "greys.csv"


def command(*arguments: str | Path) -> str:
    """What a command prints on standard output; its figures of time left out."""
    from mobilenets.cli.main import main

    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = main([str(a) for a in arguments])
    if code:
        raise SystemExit(f"{' '.join(map(str, arguments))}: exit code {code}\n{told.getvalue()}")
    return CHANGING.sub("#", out.getvalue())


def proof(folder: Path) -> dict[str, str]:
    from mobilenets.arch import build
    from short import short_run, short_search
    from small import write_random

    os.environ["MOBILENETS_HOME"] = str(folder / "home")
    os.chdir(folder)  # so that paths in what is printed are the same in every folder
    net = build("mobilenet_v2", width=0.35, num_classes=2)
    weights = write_random(folder / "random.safetensors", replace(net, blocks=net.blocks[:6]), ("down", "up"), 64)
    start = ["--weights", weights.relative_to(folder)]
    found = {}
    for data in (colours(folder), greys(folder)):
        data = data.relative_to(folder)
        for recipe, options in RECIPES.items():
            run = Path(f"run-{data.stem}-{recipe}")
            command("train", data, "--out", run, *options, *COMMON, *(start if recipe != "scratch" else SCRATCH))
            for name in FILES:
                found[f"{data.stem} {recipe} {name}"] = digest(
                    (run / name).read_bytes().replace(bytes(folder), b"FOLDER")
                )
        run = Path(f"run-{data.stem}-finetune")
        photos = data if data.is_dir() else Path()
        found[f"{data.stem} predict"] = digest(command("predict", run, photos, "--format", "csv", *ENGINE))
        found[f"{data.stem} evaluate"] = digest(command("evaluate", run, data, "--json", *ENGINE))
        found[f"{data.stem} audit"] = digest(command("audit", data, "--json"))
    for model in ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_medium"):
        found[f"show {model}"] = digest(command("show", model, "--width", "0.75" if "v4" not in model else "1.0"))
    found["models"] = digest(command("models"))

    searched = short_search(short_run(folder), folder / "searched")
    found["netadapt model.safetensors"] = digest((searched / "model.safetensors").read_bytes())
    return found


if __name__ == "__main__":
    target = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        result = proof(Path(temporary).resolve())
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(result)} hashes in {target}")
