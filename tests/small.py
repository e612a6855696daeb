"""A small network with a card, and pictures for it: what tests of exports and engines start from."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mobilenets.arch import Net, build
from mobilenets.data.sample import Sample
from mobilenets.model_card import ModelCard
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.nn.ssd import Detector
from mobilenets.preprocess import Preprocess

CLASSES = ("雏菊", "rose", "tulip")


def network(name: str = "mobilenet_v3_small", blocks: int | None = None, **options: Any) -> MobileNet:
    """A narrow network with BatchNorm statistics that are nobody's defaults, and logits around ±1.

    `blocks`: how many of its blocks it has, from the first on, where its size does not matter.
    """
    torch.manual_seed(0)
    net = build(name, **{"width": 0.35, "num_classes": 3, **options})
    model = MobileNet(replace(net, blocks=net.blocks[:blocks]))
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.running_mean, 0, 0.2)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
            torch.nn.init.normal_(part.bias, 0, 0.2)
    model.eval()
    channels = model.net.in_channels
    with torch.inference_mode():
        photos = torch.randn(16, channels, 40, 40) + 2 * torch.randn(16, channels, 1, 1)
        vectors = model.forward_head(model.forward_features(photos), pre_logits=True)
    weight = torch.randn(model.net.num_classes, vectors.shape[1])
    weight /= (vectors @ weight.T).std(0)[:, None]
    model.classifier.weight.data, model.classifier.bias.data = weight, -(weight @ vectors.mean(0))
    return model


def finder() -> Detector:
    """A narrow detector with random weights that finds cats and dogs everywhere, where a new one expects background."""
    torch.manual_seed(0)
    model = Detector(build("ssdlite_mobilenet_v3_small", width=0.35, num_classes=3)).eval()
    for heads in model.heads:
        torch.nn.init.zeros_(heads.classes.predict.bias)
    return model


def write_random(path: Path, net: Net, classes: tuple[str, ...], size: int) -> Path:
    """`path`, with random weights of a network: what a training starts from."""
    torch.manual_seed(0)
    write_network(path, MobileNet(net), ModelCard(net.name, net, classes, Preprocess(size=size)))
    return path


def card_of(model: MobileNet, size: int = 32, **options: Any) -> ModelCard:
    preprocess = Preprocess(size=size, **options)
    return ModelCard("test", model.net, CLASSES, preprocess, {"accuracy": 1.0}, {"weights": "none"})


def expected(model: MobileNet, preprocess: Preprocess, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(preprocess.normalize(pixels))).softmax(1).numpy()


def noise(n: int, preprocess: Preprocess) -> np.ndarray:
    """Pictures (n, size, size, channels) of different brightness, one all white, one all black."""
    rng = np.random.default_rng(1)
    shape = (n, preprocess.size, preprocess.size, preprocess.channels)
    pixels = rng.normal(rng.uniform(0, 255, (n, 1, 1, shape[3])), 50, shape).clip(0, 255).astype(np.uint8)
    pixels[0], pixels[-1] = 255, 0
    return pixels


@cache
def learned(name: str, size: int, blocks: int | None = None) -> MobileNet:
    """A narrow network that tells whether red, green or blue is brightest: its answers depend on the picture.

    Those of `network` need not: a random network may give one class to everything.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = build(name, width=0.35, num_classes=3, dropout=0.0)
    model = MobileNet(replace(net, blocks=net.blocks[:blocks]))
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 0.1  # there are a few steps, not epochs
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    for _ in range(60):
        colours = rng.uniform(0, 255, (32, 1, 1, 3))
        pixels = rng.normal(colours, 20, (32, size, size, 3)).clip(0, 255).astype(np.uint8)
        logits = model(torch.from_numpy(card_of(model, size).preprocess.normalize(pixels)))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(colours.argmax(3).ravel()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def coloured(folder: Path, count: int, size: int, seed: int = 0) -> list[Sample]:
    """Photographs that `learned` tells apart without doubt: the brightest colour is so by far; labelled with it."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        colour = rng.uniform(0, 100, 3)
        colour[i % 3] = rng.uniform(180, 255)
        path = folder / f"{i:03d}.png"
        Image.fromarray(rng.normal(colour, 20, (size, size, 3)).clip(0, 255).astype(np.uint8)).save(path)
        samples.append(Sample(path, i % 3))
    return samples
