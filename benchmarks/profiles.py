"""Whether colour profiles have to be applied: what a network says when they are ignored.

    python benchmarks/profiles.py PHOTOS [--photos 400]

PHOTOS is a folder of sRGB photographs. Each is stored as JPEG (quality 95) in sRGB, in Display P3 and in Adobe RGB
with that profile embedded, so that every viewer shows the same colours, and classified by MobileNetV2
(torchvision-v1, ImageNet's 1,000 classes) with the profile ignored and with it applied (ImageCms). The measure is the
answer for the sRGB file; "sRGB at quality 75" says how much a change that nobody minds changes. The cost is of
applying the profile to what a reduced decode of 12 megapixels gives.
"""

from __future__ import annotations

import argparse
import io
import struct
import time
from pathlib import Path

import numpy as np
import torch
from common import table, write_result
from PIL import Image, ImageCms

from mobilenets.preprocess import decode
from mobilenets.preprocess.formats import is_image
from mobilenets.weights.create import create

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
D65, D50 = np.array([0.9505, 1, 1.0891]), np.array([0.9642, 1, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile(primaries: tuple[tuple[float, float], ...], gamma: float | None) -> ImageCms.ImageCmsProfile:
    """A version 2 ICC profile of three primaries at D65; `gamma` None: sRGB's curve."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD
    columns = (adapt @ xyz * np.linalg.solve(xyz, D65)).T
    x = np.linspace(0, 1, 1024)
    curve = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) if gamma is None else x**gamma
    points = (curve * 65535 + 0.5).astype(">u2")
    s15 = lambda v: struct.pack(">3i", *(round(float(n) * 65536) for n in v))  # noqa: E731
    tags = {b"wtpt": b"XYZ \0\0\0\0" + s15(D50), b"desc": b"desc\0\0\0\0\0\0\0\2a\0" + bytes(79)}
    tags |= {name: b"XYZ \0\0\0\0" + s15(v) for name, v in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv\0\0\0\0" + struct.pack(">I", 1024) + points.tobytes())
    entries, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        entries += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + s15(D50)
    return ImageCms.ImageCmsProfile(io.BytesIO(head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality, subsampling=0)
    return decode.read(content.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--photos", type=int, default=400, dest="most")
    args = parser.parse_args()
    network = create("mobilenet_v2", weights="torchvision-v1").eval()
    preprocess = network.preprocess
    srgb = profile(SRGB, None)
    wide = {"Display P3": profile(P3, None), "Adobe RGB": profile(ADOBE, 2.2)}
    there = {name: ImageCms.buildTransform(srgb, p, "RGB", "RGB") for name, p in wide.items()}
    back = {name: ImageCms.buildTransform(p, srgb, "RGB", "RGB") for name, p in wide.items()}
    files = sorted(path for path in args.photos.rglob("*") if is_image(path))
    files = [files[i] for i in np.linspace(0, len(files) - 1, min(args.most, len(files))).astype(int)]
    answers: dict[str, list[np.ndarray]] = {}
    for path in files:
        photo = decode.read(path)
        shown = {"sRGB": jpeg(photo, 95), "sRGB at quality 75": jpeg(photo, 75)}
        for name in wide:
            stored = jpeg(ImageCms.applyTransform(photo, there[name]), 95)
            shown[f"{name}, ignored"] = stored
            shown[f"{name}, applied"] = ImageCms.applyTransform(stored, back[name])
        pixels = np.stack([preprocess.pixels(image) for image in shown.values()])
        with torch.no_grad():
            rows = network(torch.from_numpy(preprocess.normalize(pixels))).softmax(1).numpy()
        for name, row in zip(shown, rows, strict=True):
            answers.setdefault(name, []).append(row)
    truth = np.stack(answers.pop("sRGB"))
    best = truth.argmax(1)
    each = np.arange(len(best))
    lines: list[list[object]] = []
    for name, kept in answers.items():
        rows = np.stack(kept)
        change = np.abs(rows[each, best] - truth[each, best])
        lines.append([name, f"{(rows.argmax(1) == best).mean():.3f}", f"{change.mean():.3f}", f"{change.max():.2f}"])
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (750, 1000, 3), np.uint8))
    took = []
    for _ in range(20):
        start = time.perf_counter()
        ImageCms.applyTransform(large, back["Display P3"])
        took.append(time.perf_counter() - start)
    cost = f"Applying a profile to 1000×750 pixels: {min(took) * 1e3:.1f} ms (the best of 20)."
    write_result(
        "profiles",
        "Colour profiles ignored and applied",
        f"python benchmarks/profiles.py PHOTOS --photos {args.most}",
        table([f"{len(files)} photographs", "same answer", "mean change of its probability", "largest"], lines)
        + f"\n\n{cost}\n\n"
        + str(__doc__).split("\n\n", 2)[2],
        "pillow",
        "torch",
    )


if __name__ == "__main__":
    main()
