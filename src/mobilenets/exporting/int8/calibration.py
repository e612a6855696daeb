"""Photographs of the training part that show the quantiser how large activations become.

ONNX, LiteRT and ExecuTorch get the ranges of `ranges.py`; OpenVINO, which rounds fewer tensors, the extremes over all
photographs. What the quantisers do by themselves is the mean of every photograph's extremes, or a moving average, which
with photographs in the order of their classes is the range of the last class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenets.data.sample import Sample
from mobilenets.errors import DataError
from mobilenets.exporting.images import read_images
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.base import Pixels

NUM_IMAGES = 300  # the ranges have settled: the default of OpenVINO's NNCF too


@dataclass(frozen=True)
class Calibration:
    """Pixels uint8 (N, size, size, C), and whether the first and the last layer stay float."""

    pixels: Pixels
    skip_first_last: bool = False


def read_calibration(preprocess: Preprocess, samples: Sequence[Sample], skip_first_last: bool = False) -> Calibration:
    """At most 300 of `samples`.

    Raises
    ------
    UserError
        None can be read.
    """
    rows = [image.pixels for image in read_images(preprocess, samples, NUM_IMAGES, "calibration photos")]
    if not rows:
        raise DataError("--int8: no training photo to calibrate with can be read; give --data")
    return Calibration(np.stack(rows), skip_first_last)
