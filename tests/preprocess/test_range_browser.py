"""What the web page makes of 16-bit PNG files is to the bit what Python makes of them."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.preprocess import BROWSER, Preprocess

NODE = """
import { readFileSync } from "node:fs";
import { kindOf, readPng, sizeOf } from "./depth.mjs";
const answers = [];
for (const { file, range } of JSON.parse(readFileSync(0, "utf8"))) {
  const bytes = new Uint8Array(readFileSync(file));
  const kind = kindOf(bytes);
  if (kind !== "png") { answers.push({ kind }); continue; }
  try {
    const { width, height, rgba } = await readPng(bytes, range);
    answers.push({ kind, size: sizeOf(bytes), width, height, rgba: Buffer.from(rgba).toString("base64") });
  } catch (error) {
    answers.push({ kind, message: error.message });
  }
}
console.log(JSON.stringify(answers));
"""
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
RNG = np.random.default_rng(0)


def filtered(row: np.ndarray, before: np.ndarray, step: int, kind: int) -> bytes:
    """One line of a PNG with filter `kind` (PNG, §9.2), by the definition."""
    left = np.concatenate([np.zeros(step, int), row[:-step]])
    corner = np.concatenate([np.zeros(step, int), before[:-step]])
    if kind == 4:
        guess = left + before - corner
        far = np.abs(np.stack([guess - left, guess - before, guess - corner]))
        expected = np.choose(far.argmin(0), [left, before, corner])
    else:
        expected = [0 * row, left, before, (left + before) // 2][kind]
    return bytes([kind]) + ((row - expected) % 256).astype(np.uint8).tobytes()


def png(values: np.ndarray, colour: int, *extra: tuple[bytes, bytes], interlace: int = 0) -> bytes:
    """A 16-bit PNG whose lines take every filter in turn."""
    height, width = values.shape[:2]
    lines = values.astype(">u2").reshape(height, -1).view(np.uint8).astype(int)
    step, before, data = lines.shape[1] // width, np.zeros(lines.shape[1], int), b""
    for y, line in enumerate(lines):
        data += filtered(line, before, step, y % 5)
        before = line
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlace)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def deep(*shape: int) -> np.ndarray:
    return RNG.integers(0, 5000, (17, 11, *shape)).astype(np.uint16)


def with_alpha(values: np.ndarray) -> np.ndarray:
    values[..., -1] = RNG.integers(0, 65536, values.shape[:2])
    return values


def on_its_side(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(deep()).save(file, "PNG", exif=exif)
    return file.getvalue()


PICTURES: dict[str, Callable[[], bytes]] = {
    "grey": lambda: png(deep(), 0),
    "colour": lambda: png(deep(3), 2),
    "grey with alpha": lambda: png(with_alpha(deep(2)), 4),
    "colour with alpha": lambda: png(with_alpha(deep(4)), 6),
    "grey with a see-through value": lambda: png(deep() % 3, 0, (b"tRNS", struct.pack(">H", 2))),
    "a see-through colour": lambda: png(deep(3) % 2, 2, (b"tRNS", struct.pack(">3H", 1, 0, 1))),
    "transparent everywhere": lambda: png(deep(2) * [1, 0], 4),
    **{f"orientation {n}": lambda n=n: on_its_side(n) for n in range(1, 9)},
}


def in_node(folder: Path, files: list[bytes], value_range: tuple[float, float]) -> list[dict]:
    jobs = []
    for i, data in enumerate(files):
        (folder / f"{i}.png").write_bytes(data)
        jobs.append({"file": str(folder / f"{i}.png"), "range": value_range})
    shutil.copy(BROWSER.parent / "depth.js", folder / "depth.mjs")
    (folder / "run.mjs").write_text(NODE)
    done = subprocess.run(
        ["node", folder / "run.mjs"], input=json.dumps(jobs), capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("value_range", [(0, 4095), (613.5, 3000.25), (-1000, 2)])
def test_every_pixel_is_that_of_python(tmp_path: Path, value_range: tuple[float, float]) -> None:
    files = [make() for make in PICTURES.values()]
    for kind, data, answer in zip(PICTURES, files, in_node(tmp_path, files, value_range), strict=True):
        wanted = np.asarray(Preprocess(range=value_range).read(data).image)
        assert (answer["height"], answer["width"]) == wanted.shape[:2], kind
        rgba = np.frombuffer(base64.b64decode(answer["rgba"]), np.uint8).reshape(*wanted.shape[:2], 4)
        np.testing.assert_array_equal(rgba[..., :3], wanted, kind)
        assert (rgba[..., 3] == 255).all()


@needs_node
def test_what_it_cannot_read_right_is_said_and_the_rest_is_left_to_the_browser(tmp_path: Path) -> None:
    eight, tiff = io.BytesIO(), io.BytesIO()
    Image.new("L", (4, 4)).save(eight, "PNG")
    Image.fromarray(deep()).save(tiff, "TIFF")
    files = [eight.getvalue(), tiff.getvalue(), png(deep(), 0, interlace=1), png(deep(), 0)[:200], b"", b"\xff\xd8\xff"]
    shallow, other, interlaced, cut, empty, jpeg = in_node(tmp_path, files, (0, 1))
    assert [answer["kind"] for answer in (shallow, other, empty, jpeg)] == [None, "tiff", None, None]
    assert "Interlaced" in interlaced["message"]
    assert "damaged" in cut["message"]
