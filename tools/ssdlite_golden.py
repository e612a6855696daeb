"""What torchvision's own SSDLite computes, for tests/nn/golden_ssdlite.json.

    pip download --no-deps torchvision==0.29.1 && unzip -d SOURCE torchvision-*.whl
    python tools/ssdlite_golden.py SOURCE

torchvision's wheels are built for one torch each and do not load beside another. Its Python is all that is needed here:
of the compiled operators the network uses none, and its detections only `nms`, which is written out below.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

FILE = Path(__file__).parents[1] / "tests" / "nn" / "golden_ssdlite.json"
IMAGES, SIZE = 3, 320
SHOWN = 40  # detections of an image, the best ones


def fill(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights from nothing but their name and shape, as for tests/golden.json; BatchNorm's counters stay 0."""
    z = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    if len(shape) >= 2:
        z = z * np.sqrt(2.0 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        z = np.exp(0.1 * z)
    elif key.endswith(("running_mean", "bias")):
        z = 0.1 * z
    else:
        z = 1 + 0.1 * z
    return z.astype(np.float32)


def images() -> NDArray[np.float32]:
    """(3, 3, 320, 320), 0 to 1."""
    rng = np.random.Generator(np.random.PCG64(0))
    coarse = rng.uniform(size=(IMAGES, 3, 10, 10)).repeat(SIZE // 10, 2).repeat(SIZE // 10, 3)
    return (0.8 * coarse + 0.2 * rng.uniform(size=(IMAGES, 3, SIZE, SIZE))).astype(np.float32)


def chosen(count: int) -> list[int]:
    """Anchors whose outputs are kept: some of every level."""
    return [*range(0, count, 211), *range(count - 6, count)]


def _define_nms() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):  # the second is for 8 bits, and never called
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

    def nms(boxes: torch.Tensor, scores: torch.Tensor, limit: float) -> torch.Tensor:
        from torchvision.ops import box_iou

        order = scores.argsort(descending=True, stable=True)
        close = box_iou(boxes[order], boxes[order]) > limit
        kept: list[int] = []
        for i in range(len(order)):
            if not close[i, kept].any():
                kept.append(i)
        return order[kept]

    library.impl("nms", nms, "CompositeExplicitAutograd")
    return library


def main(source: str) -> None:
    """Write the file."""
    sys.path.insert(0, source)
    library = _define_nms()
    from torchvision import __version__, extension
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    extension._has_ops = lambda: True
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91).eval()
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    model.load_state_dict({k: torch.from_numpy(fill(k, tuple(v.shape))) for k, v in state.items()}, strict=False)
    raw: dict[str, torch.Tensor] = {}
    anchors: list[torch.Tensor] = []
    model.head.register_forward_hook(lambda *found: raw.update(found[2]))
    model.anchor_generator.register_forward_hook(lambda *found: anchors.extend(found[2]))
    with torch.inference_mode():
        detections = model(list(torch.from_numpy(images())))
    rows = chosen(raw["cls_logits"].shape[1])
    content: dict[str, Any] = {
        "torchvision": __version__,
        "tensors": len(model.state_dict()),
        "parameters": sum(p.numel() for p in model.parameters()),
        "names": zlib.crc32("\n".join(sorted(f"{k} {list(v.shape)}" for k, v in state.items())).encode()),
        "anchors": [[round(v, 5) for v in anchors[0][i].tolist()] for i in rows],
        "classes": [[[round(v, 6) for v in x[i, ::13].tolist()] for i in rows] for x in raw["cls_logits"]],
        "boxes": [[[round(v, 6) for v in x[i].tolist()] for i in rows] for x in raw["bbox_regression"]],
        "norms": [[float(x.double().norm()) for x in raw[k]] for k in ("cls_logits", "bbox_regression")],
        "counts": [len(found["scores"]) for found in detections],
        "detections": [
            [
                [int(label), round(float(score), 7), *(round(v, 4) for v in box.tolist())]
                for label, score, box in zip(found["labels"], found["scores"], found["boxes"], strict=True)
            ][:SHOWN]
            for found in detections
        ],
    }
    FILE.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes, torchvision {__version__}")
    del library


if __name__ == "__main__":
    main(sys.argv[1])
