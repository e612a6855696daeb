"""The pictures of a report."""

import io

import numpy as np
from PIL import Image

from mobilenets.report.plots import draw_curves
from mobilenets.weights.kept import Kept


def test_a_long_legend_is_not_cut_off() -> None:
    kept = Kept(0, 1, 1, 0.4, {"val_loss": 6.9, "val_accuracy": 0.5}, "head on the frozen backbone")
    history = {"epoch": [1.0], "train_loss": [14.0], "val_loss": [7.0], "val_accuracy": [0.4]}
    picture = np.asarray(Image.open(io.BytesIO(draw_curves(history, kept))).convert("L"))
    assert (picture[:, :3] == 255).all()
    assert (picture[:, -3:] == 255).all()
