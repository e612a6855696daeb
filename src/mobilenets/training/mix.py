"""Mixtures of photographs within a batch: mixup (1710.09412) and cutmix (1905.04899)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def mix(
    images: Tensor, targets: Tensor, rng: np.random.Generator, mixup_alpha: float, cutmix_alpha: float
) -> tuple[Tensor, Tensor]:
    """Mix the images of a batch in pairs, the first with the second and so on; an odd last one stays as it is.

    `images` float (N, C, H, W), `targets` float (N, K). The fraction λ is drawn from Beta(α, α); an α of 0 turns
    a method off, and with both on each batch draws one of them. Cutmix corrects λ for what the border clips.
    A training batch comes in random order, so neighbours are as good as partners drawn; and they stay together
    where several processes divide the batch.
    """
    methods = [m for m, alpha in ((_mixup, mixup_alpha), (_cutmix, cutmix_alpha)) if alpha]
    if not methods:
        return images, targets
    method = methods[rng.integers(len(methods))]
    alpha = mixup_alpha if method is _mixup else cutmix_alpha
    lam = float(rng.beta(alpha, alpha))
    order = torch.arange(len(images), device=images.device).bitwise_xor(1).clamp_(max=len(images) - 1)
    images, lam = method(images, images[order], lam, rng)
    return images, lam * targets + (1 - lam) * targets[order]


def _mixup(images: Tensor, others: Tensor, lam: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    return lam * images + (1 - lam) * others, lam


def _cutmix(images: Tensor, others: Tensor, lam: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    height, width = images.shape[2:]
    side = math.sqrt(1 - lam)
    y, x = rng.integers(height), rng.integers(width)
    top, bottom = (int(np.clip(y + s * side * height / 2, 0, height)) for s in (-1, 1))
    left, right = (int(np.clip(x + s * side * width / 2, 0, width)) for s in (-1, 1))
    images = images.clone()
    images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return images, 1 - (bottom - top) * (right - left) / (height * width)
