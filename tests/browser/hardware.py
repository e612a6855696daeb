"""Photos that anyone may publish: nuts, washers, screws and gears, drawn with light and shadow, each from its seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 240  # of a photo, in pixels
_FINE = 3  # drawn so many times as large
_METALS = ((176, 180, 184), (150, 154, 160), (196, 164, 96))  # zinc, steel, brass
_TABLES = ((226, 221, 210), (150, 122, 92), (84, 96, 108), (196, 204, 198))
Points = list[tuple[float, float]]


def _circle(radius: float, corners: int = 60) -> Points:
    angles = 2 * np.pi * np.arange(corners) / corners
    return [(radius * float(np.cos(a)), radius * float(np.sin(a))) for a in angles]


def _toothed(teeth: int) -> Points:
    places = ((-0.3, 0.8), (-0.18, 1.0), (0.18, 1.0), (0.3, 0.8))
    polar = [(2 * np.pi * (tooth + part) / teeth, radius) for tooth in range(teeth) for part, radius in places]
    return [(float(r * np.cos(a)), float(r * np.sin(a))) for a, r in polar]


def _threaded(threads: int) -> Points:
    """A head on the left and a shaft to the right, jagged on both sides."""
    jags = [(-0.5 + 1.5 * k / (2 * threads), 0.2 if k % 2 else 0.26) for k in range(2 * threads + 1)]
    below = [(x, -y) for x, y in reversed(jags)]
    return [(-1.0, -0.35), (-0.85, -0.5), (-0.5, -0.5), *reversed(below), (1.1, 0.0), *reversed(jags), (-0.5, 0.5),
            (-0.85, 0.5), (-1.0, 0.35)]  # fmt: skip


def _shape(kind: str, rng: np.random.Generator) -> list[Points]:
    """The outline, then what is cut out of it; about 1 from the middle."""
    if kind == "screw":
        return [_threaded(int(rng.integers(9, 13)))]
    if kind == "nut":
        return [_circle(0.95, 6), _circle(rng.uniform(0.45, 0.55))]
    if kind == "washer":
        return [_circle(0.9), _circle(rng.uniform(0.4, 0.6))]
    return [_toothed(int(rng.integers(10, 15))), _circle(rng.uniform(0.2, 0.3))]


def photo(kinds: Sequence[str], seed: int, side: int = SIDE) -> Image.Image:
    """One with a part of each kind, on a table, lit from somewhere."""
    rng = np.random.default_rng(seed)
    fine = side * _FINE
    pixels = _table(rng, fine)
    light = rng.uniform(0, 2 * np.pi)
    for middle, radius in _places(len(kinds), rng):
        pixels = _lay(pixels, _shape(kinds[0], rng), middle, radius * fine, light, rng)
        kinds = kinds[1:]
    return _taken(pixels, side, rng)


def inspected(seed: int, fault: str | None = None) -> Image.Image:
    """A gear as a camera over a belt sees it, always in the same light: good, "broken" or "scratched"."""
    rng = np.random.default_rng(seed)
    fine = SIDE * _FINE
    pixels = np.full((fine, fine, 3), (92, 100, 108), np.float32) + rng.normal(0, 2, 3)
    shape = [_toothed(12), _circle(0.25)]
    if fault == "broken":
        shape.append([(0.74, 0.2), (1.2, 0.22), (1.2, -0.22), (0.74, -0.2)])
    if fault == "scratched":
        shape.append([(-0.6, 0.3), (-0.1, 0.55), (-0.1, 0.6), (-0.6, 0.36)])
    pixels = _lay(pixels, shape, rng.uniform(0.48, 0.52, 2), 0.36 * fine, 4.0, rng, _METALS[0])
    return _taken(pixels, SIDE, rng)


def write_photos(folder: Path, kind: str, count: int, first: int) -> Path:
    """So many photos of one kind, in a new folder."""
    folder.mkdir(parents=True)
    for i in range(count):
        photo([kind], first + i).save(folder / f"{kind}-{i:02d}.png")
    return folder


def _taken(pixels: np.ndarray, side: int, rng: np.random.Generator) -> Image.Image:
    """With the grain of a camera."""
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.LANCZOS)
    grain = np.asarray(image, np.float32) + rng.normal(0, 2.5, (side, side, 1))
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8))


def _table(rng: np.random.Generator, side: int) -> np.ndarray:
    colour = np.array(_TABLES[rng.integers(len(_TABLES))], np.float32) + rng.normal(0, 8, 3)
    coarse = Image.fromarray(rng.normal(0, 1, (side // 60, side // 60)).astype(np.float32))
    cloudy = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))[..., None]
    return colour + 5 * cloudy


def _places(count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Middles and radii, as parts of the side: one large part, or up to four that leave room for each other."""
    if count <= 1:
        return [(rng.uniform(0.42, 0.58, 2), rng.uniform(0.24, 0.34))] * count
    corners = np.array([(0.27, 0.27), (0.73, 0.73), (0.73, 0.27), (0.27, 0.73)])
    return [(corner + rng.uniform(-0.05, 0.05, 2), rng.uniform(0.17, 0.22)) for corner in corners[:count]]


def _lay(
    pixels: np.ndarray,
    shape: list[Points],
    middle: np.ndarray,
    radius: float,
    light: float,
    rng: np.random.Generator,
    colour: tuple[int, int, int] | None = None,
) -> np.ndarray:
    """The table with a part on it: its shadow, then metal that is brighter where its edge faces the light."""
    side = len(pixels)
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    turn = rng.uniform(0, 2 * np.pi)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    for k, outline in enumerate(shape):
        corners = np.array(outline) @ turned.T * radius + middle * side
        draw.polygon([(float(x), float(y)) for x, y in corners], fill=0 if k else 255)
    towards = np.array([np.cos(light), np.sin(light)])
    dx, dy = (-towards * side * 0.025).astype(int)
    shadow = np.asarray(mask.filter(ImageFilter.GaussianBlur(side * 0.014)), np.float32) / 255
    pixels = pixels * (1 - 0.5 * np.roll(shadow, (dy, dx), (0, 1)))[..., None]
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(side * 0.008)), np.float32) / 255
    down, right = np.gradient(height)
    slope = -(right * towards[0] + down * towards[1]) * side * 0.02
    metal = np.array(_METALS[rng.integers(len(_METALS))] if colour is None else colour, np.float32)
    across = (np.indices((side, side)) / side - 0.5).transpose(1, 2, 0) @ towards[::-1]
    inside = (np.asarray(mask, np.float32) / 255)[..., None]
    return pixels * (1 - inside) + inside * (metal + 90 * slope[..., None] + 40 * across[..., None])
