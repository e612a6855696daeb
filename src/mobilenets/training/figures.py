"""How right a network is on the validation photographs while it learns, and which of two is kept."""

from __future__ import annotations

import numpy as np

from mobilenets.tasks.classify.metrics import log_loss


def validation_figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The figures that weights are chosen by, of probabilities (N, K) and labels (N,)."""
    return {
        "val_accuracy": float((probabilities.argmax(1) == labels).mean()),
        "val_loss": log_loss(probabilities, labels),
    }


def better(figures: dict[str, float], best: dict[str, float]) -> bool:
    """Higher accuracy; at equal accuracy, lower log loss."""
    if not best:
        return True
    return (figures["val_accuracy"], -figures["val_loss"]) > (best["val_accuracy"], -best["val_loss"])
