"""Photos made for detectors: objects cut out of photos on a plain ground and pasted on others, with exact boxes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from mobilenets.data.sources.survey import Survey
from mobilenets.data.walk import image_files
from mobilenets.tasks.detect.targets import Box, text_of

SIDE = 400  # of a composite
EACH = 80  # cut-outs of a class folder, of which every fourth is kept for the test
THINGS = 8  # cut-outs that are a class each
DIFFERENT = 30  # grey levels from the ground on, in any channel
AREAS = (0.03, 0.6)  # of the photo: less is dirt, more has no ground around it


@dataclass(frozen=True)
class Composites:
    """Lists of training and of test photos."""

    train: Path
    test: Path


def cut_out(path: Path) -> Image.Image | None:
    """The object of a photo, RGBA and no larger than it; None where it has no plain ground on all sides."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((256, 256))
    pixels = np.asarray(image, np.float64)
    high, wide = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], 2).reshape(-1, 6)
    ground = ((np.abs(x) > 0.9) | (np.abs(y) > 0.9)).ravel()
    for _ in range(3):  # a smooth surface through the edge, without what stands out of it
        surface = terms @ np.linalg.lstsq(terms[ground], pixels.reshape(-1, 3)[ground], rcond=None)[0]
        off = np.abs(pixels.reshape(-1, 3) - surface).max(1)
        ground &= off < DIFFERENT
        if ground.sum() < 0.1 * len(ground):
            return None
    labels, count = ndimage.label(ndimage.binary_opening(off.reshape(high, wide) > DIFFERENT, iterations=2))
    if not count:
        return None
    mask = ndimage.binary_fill_holes(labels == 1 + np.bincount(labels.ravel())[1:].argmax())
    rows, columns = np.nonzero(mask)
    touches = rows.min() == 0 or columns.min() == 0 or rows.max() == high - 1 or columns.max() == wide - 1
    if touches or not AREAS[0] < mask.mean() < AREAS[1]:
        return None
    found = np.dstack([pixels, 255 * ndimage.gaussian_filter(mask.astype(float), 0.7)]).round().astype(np.uint8)
    return Image.fromarray(found[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], "RGBA")


def backgrounds_in(folder: Path | None) -> list[Image.Image]:
    """The photos of a folder, or those that scikit-learn carries."""
    if folder is None:
        from sklearn.datasets import load_sample_images

        return [Image.fromarray(pixels) for pixels in load_sample_images().images]
    return [Image.open(path).convert("RGB") for path in image_files(folder, lambda error: None, Survey())]


def composite(
    cut_outs: dict[str, list[Image.Image]], grounds: list[Image.Image], objects: int, rng: np.random.Generator
) -> tuple[Image.Image, list[Box]]:
    """One photo with so many objects, turned and scaled, none of which hides more than a fifth of another."""
    ground = grounds[rng.integers(len(grounds))]
    side = rng.uniform(0.3, 1.0) * min(ground.size)
    left, top = (rng.uniform(0, length - side) for length in ground.size)
    image = ground.resize((SIDE, SIDE), box=(left, top, left + side, top + side))
    boxes: list[Box] = []
    for _ in range(objects):
        name = sorted(cut_outs)[rng.integers(len(cut_outs))]
        found = cut_outs[name][rng.integers(len(cut_outs[name]))]
        light = np.asarray(found).astype(float) * (*[rng.uniform(0.75, 1.25)] * 3, 1)
        found = Image.fromarray(light.clip(0, 255).astype(np.uint8), "RGBA")
        found = found.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC, expand=True)
        found = found.crop(Image.fromarray(np.asarray(found)[:, :, 3] > 127).getbbox())
        scale = rng.uniform(0.12, 0.5) * SIDE / max(found.size)
        found = found.resize((max(8, round(found.width * scale)), max(8, round(found.height * scale))))
        for _ in range(20):
            x, y = rng.integers(0, SIDE - found.width), rng.integers(0, SIDE - found.height)
            box = Box(name, *(np.array([x, y, x + found.width, y + found.height]) / SIDE).tolist())
            if all(_hidden(box, other) < 0.2 for other in boxes):
                image.paste(found, (int(x), int(y)), found)
                boxes.append(box)
                break
    return image, boxes


def _hidden(box: Box, other: Box) -> float:
    """How much of one of the two is behind the other, at most."""
    wide, high = (max(0.0, min(box[k + 2], other[k + 2]) - max(box[k], other[k])) for k in (1, 2))
    return wide * high / min((b.x2 - b.x1) * (b.y2 - b.y1) for b in (box, other))


def things(objects: Path) -> dict[str, list[Image.Image]]:
    """Eight cut-outs, each a class by itself: of every class folder the first ones, by turns."""
    waiting = [
        sorted(image_files(own, lambda error: None, Survey())) for own in sorted(objects.iterdir()) if own.is_dir()
    ]
    found: dict[str, list[Image.Image]] = {}
    while len(found) < THINGS and any(waiting):
        for paths in waiting:
            made = None
            while paths and made is None:
                path = Path(paths.pop(0))
                made = cut_out(path)
            if made is not None and len(found) < THINGS:
                found[path.stem] = [made]
    return found


def kinds(objects: Path) -> tuple[dict[str, list[Image.Image]], dict[str, list[Image.Image]]]:
    """Cut-outs by class folder: those to train on, and those for the test."""
    train, test = {}, {}
    for own in sorted(path for path in objects.iterdir() if path.is_dir()):
        found: list[Image.Image] = []
        for path in sorted(image_files(own, lambda error: None, Survey())):
            if len(found) < EACH and (made := cut_out(Path(path))) is not None:
                found.append(made)
        train[own.name] = [one for i, one in enumerate(found) if i % 4 != 3]
        test[own.name] = found[3::4]
    return train, test


def write_composites(
    folder: Path, objects: Path, backgrounds: Path | None, count: int, empty: int, by_kind: bool = False
) -> Composites:
    """`count` photos with 1 to 4 objects to train on, `empty` ones without, and a third of `count` for the test.

    Half as many photos without an object are among the latter as with one, whatever `empty` is. `by_kind`: classes are
    the folders, and the test shows other objects of them; else the same eight things, in other poses.
    """
    grounds = backgrounds_in(backgrounds)
    cut_outs = kinds(objects) if by_kind else (things(objects),) * 2
    lists = []
    for name, with_objects, without in (("train", count, empty), ("test", count // 3, count // 6)):
        rng = np.random.default_rng(int(name == "test"))
        (folder / name).mkdir(parents=True)
        with (folder / name / "list.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "boxes"])
            for i in range(with_objects + without):
                number = int(rng.integers(1, 5)) if i < with_objects else 0
                image, boxes = composite(cut_outs[name == "test"], grounds, number, rng)
                image.save(folder / name / f"{i:04d}.jpg", quality=90)
                rows.writerow([f"{i:04d}.jpg", text_of(boxes)])
        lists.append(folder / name / "list.csv")
    return Composites(*lists)
