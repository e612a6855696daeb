"""Does the heat map show what the network uses? Two checks on photographs of the demo that it has not been trained on.

    python benchmarks/explain.py RUN [--photographs 120]

RUN is the run folder of `mobilenets demo`. Deletion: the hottest fifth of each picture is taken out, and the fall of
the predicted class's probability is compared with that after taking out as large a part elsewhere: a square at a
random place, and the same shape shifted to a random place. Taken out means blurred until no detail is left, with a
soft rim (Fong and Vedaldi 2017, 1704.03296): a patch of one colour with a sharp rim is itself a defect of a solar
cell; its figures are given too. Randomisation (Adebayo et al.
2018, 1810.03292): with a random classifier, and with a random network, the map must become another one.
"""

from __future__ import annotations

import argparse
import copy
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import table, write_result
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from mobilenets.evaluate.explain import Explainer
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.torch import TorchEngine

SHARE = 0.2  # of the picture's area that is replaced
DRAWS = 8  # random places per picture
BATCH = 16
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--photographs", type=int, default=120, help="of each predicted class")
    args = parser.parse_args()
    network = TorchEngine.open(args.run)
    pixels = read(network, args.run / "predictions.csv", args.photographs)
    targets = np.concatenate([network(part) for part in batches(pixels)]).argmax(1)
    heat = maps(network, pixels, targets)
    parts = [deletion(network, pixels, targets, heat, fill) for fill in (blurred, flat)]
    body = "\n\n".join([*parts, randomisation(network, pixels, targets, heat)])
    command = f"python benchmarks/explain.py RUN --photographs {args.photographs}"
    write_result("explain", "Grad-CAM on solar cells, MobileNetV2", command, body, "torch", "captum")


def read(network: TorchEngine, predictions: Path, count: int) -> np.ndarray:
    """Validation photographs as the network sees them: of each predicted class `count`, drawn at random."""
    with predictions.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for name in network.card.classes:
        paths = [row["path"] for row in rows if row["predicted"] == name]
        chosen += [paths[i] for i in sorted(np.random.default_rng(0).permutation(len(paths))[:count])]
    classifier = Classifier(network)
    return np.stack([classifier.pixels(path) for path in chosen])


def batches(pixels: np.ndarray) -> list[np.ndarray]:
    return [pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH)]


def maps(network: TorchEngine, pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    explainer, parts = Explainer(network), batches(pixels)
    return np.concatenate([explainer.heat(p, targets[i * BATCH :][: len(p)]) for i, p in enumerate(parts)])


def deletion(network: TorchEngine, pixels: np.ndarray, targets: np.ndarray, heat: np.ndarray, fill: Fill) -> str:
    rng = np.random.default_rng(0)
    before = probability(network, pixels, targets)
    hottest = np.stack([hottest_part(one) for one in heat])
    falls = {"the hottest part": before - probability(network, fill(pixels, hottest), targets)}
    for name, elsewhere in (("a random square", square), ("the same shape elsewhere", shifted)):
        draws = []
        for _ in range(DRAWS):
            masks = np.stack([elsewhere(mask, rng) for mask in hottest])
            draws.append(before - probability(network, fill(pixels, masks), targets))
        falls[name] = np.mean(draws, axis=0)
    rows = []
    for name, fall in falls.items():
        more = "" if name == "the hottest part" else f"{100 * (falls['the hottest part'] > fall).mean():.0f} %"
        error = fall.std(ddof=1) / np.sqrt(len(fall))
        rows.append([name, f"{fall.mean():.3f} ± {error:.3f}", more])
    by_class = [
        [network.card.classes[k], int((targets == k).sum()), *(f"{f[targets == k].mean():.3f}" for f in falls.values())]
        for k in np.unique(targets)
    ]
    head = f"{len(pixels)} validation photographs; {SHARE:.0%} of the area {fill.__name__}; "
    head += f"{DRAWS} random places each; ± is the standard error over photographs.\n\n"
    kinds = ["taken out", "fall of the class's probability", "photographs where the hottest part counts more"]
    return head + table(kinds, rows) + "\n\n" + table(["predicted class", "photographs", *falls], by_class)


def hottest_part(heat: np.ndarray) -> np.ndarray:
    mask = np.zeros(heat.size, bool)
    mask[np.argsort(-heat, axis=None, kind="stable")[: round(SHARE * heat.size)]] = True
    return mask.reshape(heat.shape)


def square(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    side, size = round(np.sqrt(SHARE) * len(mask)), len(mask)
    y, x = rng.integers(0, size - side + 1, 2)
    result = np.zeros_like(mask)
    result[y : y + side, x : x + side] = True
    return result


def shifted(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What leaves the picture comes in on the other side, so that the area stays."""
    dy, dx = rng.integers(0, len(mask), 2)
    return np.roll(mask, (dy, dx), (0, 1))


def blurred(pixels: np.ndarray, masks: np.ndarray) -> np.ndarray:
    size = pixels.shape[1]
    smooth = gaussian_filter(pixels.astype(np.float32), (0, size / 12, size / 12, 0), mode="nearest")
    soft = gaussian_filter(masks.astype(np.float32), (0, size / 48, size / 48))[..., None]
    return (soft * smooth + (1 - soft) * pixels).round().astype(np.uint8)


def flat(pixels: np.ndarray, masks: np.ndarray) -> np.ndarray:
    mean = pixels.mean((1, 2), keepdims=True).round().astype(np.uint8)
    return np.where(masks[..., None], mean, pixels)


def probability(network: TorchEngine, pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    rows = np.concatenate([network(part) for part in batches(pixels)])
    return rows[np.arange(len(rows)), targets]


def randomisation(network: TorchEngine, pixels: np.ndarray, targets: np.ndarray, heat: np.ndarray) -> str:
    torch.manual_seed(0)
    head_only = copy.deepcopy(network.model)
    torch.nn.init.normal_(head_only.classifier.weight, 0, network.model.classifier.weight.std().item())
    everything = MobileNet(network.card.net)
    rows = []
    for name, model in (("the classifier", head_only), ("every layer", everything)):
        other = maps(TorchEngine(model, network.card), pixels, targets)
        used = [(a, b) for a, b in zip(heat, other, strict=True) if a.any() and b.any()]
        rank = np.array([spearmanr(a[::8, ::8].ravel(), b[::8, ::8].ravel()).statistic for a, b in used])
        empty = len(heat) - len(used)
        rows.append([name, f"{np.nanmean(rank):.2f}", f"{np.mean(np.abs(heat - other)):.2f}", empty])
    header = ["random weights in", "rank correlation with the true map", "mean difference (of 1)", "empty maps"]
    return table(header, rows)


if __name__ == "__main__":
    main()
