"""From a camera's JPEG to the network's input: reduced decode against a full one with Pillow.

    python benchmarks/decode.py        # prints the table and writes benchmarks/results/decode.md

Both sides start from the same bytes in memory and end in the same 224×224×3 array:

- Pillow: decode in full, resize the short side to 256, crop the centre. What torchvision's transforms do.
- mobilenets: `Preprocess.read`, then `Preprocess.pixels`.

The photos are real pictures tiled to size (solar cells of the `elpv-dataset` package; noise with a natural
spectrum where it is not installed), tinted, with a sensor's noise. Runs of the two sides alternate; times
are medians. Quality and noise are swept to show at how many bytes per photo the limit stops holding.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np
from common import table, write_result
from numpy.typing import NDArray
from PIL import Image, features

from mobilenets.preprocess import Preprocess, decode

PREPROCESS = Preprocess()
RUNS = 9
LIMIT = 0.35  # of the full decode's time, for every 12-megapixel photo


@dataclass(frozen=True)
class Case:
    """A JPEG's size in pixels, its compression, and the noise in it (standard deviation, grey levels)."""

    width: int
    height: int
    quality: int = 90
    subsampling: str = "4:2:0"
    sigma: float = 4

    @property
    def limited(self) -> bool:
        """Whether the limit is about this photo: 12 megapixels, however heavy the file."""
        return round(self.width * self.height / 1e6) == 12


CASES = (
    Case(4000, 3000, 85, sigma=2),
    Case(4000, 3000),
    Case(3001, 4007),
    Case(4000, 3000, 92, sigma=6),
    Case(4000, 3000, 95, sigma=6),
    Case(4000, 3000, 95, "4:2:2", sigma=6),
    Case(4000, 3000, 95, "4:4:4", sigma=6),
    Case(6000, 4000),
    Case(4000, 2250),
    Case(1920, 1080),
    Case(1024, 768),
    Case(500, 375),
)


@cache
def solar_cells() -> NDArray[np.uint8]:
    """Photographs (n, 300, 300), grey; read once, as it takes seconds."""
    from elpv_dataset.utils import load_dataset

    cells: NDArray[np.uint8] = load_dataset()[0]
    return cells


@cache
def scene(width: int, height: int) -> NDArray[np.float32]:
    """Grey picture (height, width), 0..255, with detail at every scale."""
    if find_spec("elpv_dataset"):
        cells = solar_cells()
        columns, rows = -(-width // cells.shape[2]), -(-height // cells.shape[1])
        picked = cells[: columns * rows].reshape(rows, columns, *cells.shape[1:])
        return np.block([list(row) for row in picked])[:height, :width].astype(np.float32)
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    waves = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) / frequency, s=(height, width))
    return (128 + 50 * (waves - waves.mean()) / waves.std()).clip(0, 255).astype(np.float32)


def jpeg(case: Case) -> bytes:
    rng = np.random.default_rng(0)
    tile = rng.standard_normal((1001, 1003, 3), np.float32) * np.float32(case.sigma)
    noise = np.tile(tile, (-(-case.height // 1001), -(-case.width // 1003), 1))[: case.height, : case.width]
    pixels = scene(case.width, case.height)[..., None] * np.float32([1.0, 0.92, 0.8]) + noise
    file = io.BytesIO()
    photo = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    photo.save(file, "JPEG", quality=case.quality, subsampling=case.subsampling)
    return file.getvalue()


def with_pillow(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    side, size = PREPROCESS.resize_side, PREPROCESS.size
    short = min(image.size)
    width, height = (int(side * length / short) for length in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def with_mobilenets(data: bytes) -> NDArray[np.uint8]:
    return PREPROCESS.pixels(PREPROCESS.read(data))


def interleaved(data: bytes, *sides: Callable[[bytes], object]) -> list[float]:
    """Median milliseconds of each side over `RUNS` runs, taken in turns so that both meet the same load."""
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(RUNS):
        for side, taken in zip(sides, times, strict=True):
            start = time.perf_counter()
            side(data)
            taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def measure(case: Case) -> list[object]:
    """The case's row of the table."""
    data = jpeg(case)
    difference = np.abs(with_pillow(data).astype(int) - with_mobilenets(data))
    full, ours = interleaved(data, with_pillow, with_mobilenets)
    name = f"{case.width}×{case.height}, quality {case.quality}, {case.subsampling}, noise {case.sigma:g}"
    verdict = ("held" if ours / full <= LIMIT else "**missed**") if case.limited else "–"
    times = [f"{full:.1f}", f"{ours:.1f}", f"{ours / full:.3f}", verdict]
    return [name, f"{len(data) / 1e6:.2f}", *times, f"{difference.mean():.2f}", difference.max()]


def main() -> None:
    columns = [
        "photo",
        "MB",
        "Pillow in full (ms)",
        "mobilenets (ms)",
        "ratio",
        "limit",
        "mean difference",
        "largest",
    ]
    rows: list[list[object]] = []
    for case in CASES:
        rows.append(measure(case))
        print(*rows[-1], sep="  ", flush=True)
    smallest = 2 * decode.REDUCE_MARGIN * PREPROCESS.resize_side
    notes = f"""\
Medians of {RUNS} runs, taken in turns, on one core while others may be busy; libjpeg-turbo
{features.version("libjpeg_turbo")}. From one run of this script
to the next, ratios near the limit moved by 0.04 and those of the heaviest file by 0.16. The limit is
{LIMIT} of Pillow's time, for every photo of 12 megapixels.

{table(columns, rows)}

Differences are in grey levels of 255, per pixel and channel of the network's input. Photos whose short side
is under {smallest} pixels are decoded in full: no difference.

The ratio grows with the bytes of a photo: a reduced decode skips the inverse transform of most coefficients,
but JPEG's entropy coding has to be undone for all of them."""
    title = "Decoding a camera's JPEG for a 224×224 network"
    write_result("decode", title, "python benchmarks/decode.py", notes, "pillow", "numpy", "elpv-dataset")


if __name__ == "__main__":
    main()
