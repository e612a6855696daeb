"""Where a photo is unlike the good ones, as heat over what the network saw of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilenets.preprocess import Preprocess
from mobilenets.tasks.anomaly.answers import Inspection

MIN_RANGE = 0.1  # of a score above the threshold that is drawn as strongly as can be


def unlike(answer: Inspection, preprocess: Preprocess, width: float, height: float) -> NDArray[np.float32]:
    """The heat of an answer, float32 (h, w), 0 to 1, in the proportions of what was seen of a photo.

    0 up to the threshold of defects, 1 at the strangest place, if that is well above it.

    Parameters
    ----------
    answer
        Of the network with this `preprocess`.
    preprocess
        How the photo was shown to it.
    width, height
        Of the upright photo.

    Examples
    --------
    >>> from mobilenets.tasks.anomaly.answers import inspection
    >>> row = np.array([0.6, 0.1, 0.1, 0.1, 0.9], np.float32)
    >>> heat = unlike(inspection(None, row, "good", 0.5), Preprocess(size=64, crop=1.0, fit="squash"), 200, 100)
    >>> heat.shape, float(heat[0, 0]), float(heat[-1, -1])
    ((32, 64), 0.0, 1.0)
    """
    strongest = max(float(answer.map.max()), answer.threshold + MIN_RANGE)
    heat = ((answer.map - answer.threshold) / (strongest - answer.threshold)).clip(0, 1)
    side = (preprocess.size, preprocess.size)
    large = Image.fromarray(heat.astype(np.float32)).resize(side, Image.Resampling.BILINEAR)
    part: NDArray[np.float32] = preprocess.photo_part(np.asarray(large), width, height)
    return part
