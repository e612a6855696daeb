"""Does the heat map show what the network uses? Two checks on photographs of the demo that it has not been trained on.

    python benchmarks/explain.py RUN [--photographs 240]

RUN is the run folder of `mobilenets demo`; without --photographs all that validated it are taken, classes in the demo's
own proportions. Deletion: the hottest fifth of each picture is taken out, and the fall of
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

from mobilenets.explaining.gradcam import Explainer
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engines.torch import TorchEngine

SHARE = 0.2  # of the picture's area that is replaced
DRAWS = 4  # random places per picture
BATCH = 16
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--photographs", type=int, metavar="N", help="so many, drawn at random (default: all)")
    args = parser.parse_args()
    network = TorchEngine.read(args.run / "model.safetensors")
    pixels = read(network, args.run / "predictions.csv", args.photographs)
    targets = np.concatenate([network(part) for part in batches(pixels)]).argmax(1)
    heat = maps(network, pixels, targets)
    parts = [deletion(network, pixels, targets, heat, fill) for fill in (blurred, flat)]
    body = "\n\n".join([*parts, randomisation(network, pixels, targets, heat)])
    command = "python benchmarks/explain.py RUN" + (f" --photographs {args.photographs}" if args.photographs else "")
    write_result("explain", f"Grad-CAM on solar cells, {network.card.name}", command, body, "torch", "captum")


def read(network: TorchEngine, predictions: Path, count: int | None) -> np.ndarray:
    """Validation photographs as the network sees them."""
    with predictions.open(newline="", encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    classifier = Classifier(network)
    return np.stack([classifier.pixels(paths[i]) for i in np.random.default_rng(0).permutation(len(paths))[:count]])


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
    classes = [(network.card.classes[k], targets == k) for k in np.unique(targets)]
    rows = []
    for name, fall in falls.items():
        more = "" if name == "the hottest part" else f"{100 * (falls['the hottest part'] > fall).mean():.0f} %"
        rows.append([name, mean_of([fall]), mean_of([fall[own] for _, own in classes]), more])
    by_class = [[name, int(own.sum()), *(mean_of([fall[own]]) for fall in falls.values())] for name, own in classes]
    head = f"{len(pixels)} validation photographs; {SHARE:.0%} of the area {fill.__name__}; "
    head += f"{DRAWS} random places each; ± is the standard error over photographs.\n\n"
    fallen = "fall of the class's probability"
    kinds = ["taken out", fallen, "every class counting the same", "photographs where the hottest part counts more"]
    return head + table(kinds, rows) + "\n\n" + table(["predicted class", "photographs", *falls], by_class)


def mean_of(groups: list[np.ndarray]) -> str:
    """The mean of the groups' means and its standard error."""
    errors = [group.std(ddof=1) / np.sqrt(len(group)) for group in groups]
    return f"{np.mean([group.mean() for group in groups]):.3f} ± {np.linalg.norm(errors) / len(groups):.3f}"


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
