"""What a finished detector finds in whole photographs, where it was trained on tiles of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mobilenets.data.samples import Samples
from mobilenets.data.sources.survey import Survey
from mobilenets.data.tiles import whole
from mobilenets.features.embeddings import Embeddings
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.predictor import Predictor
from mobilenets.runtime.readable import read_rows
from mobilenets.runtime.tiled import outputs_of
from mobilenets.tasks.task import Outputs


class Answers(NamedTuple):
    """What photographs that can be read were answered.

    `images`: they, with labels that number `texts`; `outputs` float32 (N, W); `seen`: what these were made of.
    """

    texts: tuple[str, ...]
    images: Samples
    outputs: Outputs
    seen: Embeddings


def whole_predictor(model: Path) -> Predictor[Any]:
    """What answers whole photographs with a `model.onnx`: a photograph to each thread."""
    return Predictor[Any](OnnxRuntimeEngine(model, threads=1))


def answers_to_whole(predictor: Predictor[Any], tiles: Samples, survey: Survey) -> Answers | None:
    """Those of `predictor` to the photographs that `tiles` show, by what is found in all their tiles, merged.

    `survey`: of the reading that cut them. None where no photograph can be read.
    """
    texts, images = whole(tiles, survey)
    shown, rows, _ = read_rows(predictor, (image.open() for image in images), len(images), "whole photos")
    if not rows:
        return None
    return Answers(
        texts, images.take(np.array(shown)), outputs_of(rows), Embeddings.of(np.zeros((len(rows), 0), np.float32))
    )
