"""Outputs, anchors and detections of torchvision's SSDLite, as its own source computes them (tools/ssdlite_golden.py).

Its state dict is filled from names and shapes alone; the same numbers are made here, converted and compared.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobilenets.arch import build
from mobilenets.arch.anchors import anchors
from mobilenets.nn.network import make_network
from mobilenets.tasks.detect.boxes import corners, decode, detections
from mobilenets.weights.convert import convert, export_state
from ssdlite_golden import chosen, fill, images

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_ssdlite.json").read_text(encoding="utf-8"))
NET = build("ssdlite_mobilenet_v3_large", reduced_tail=True, flavor="torchvision")
SIZE = 320


@pytest.fixture(scope="module")
def theirs() -> dict[str, torch.Tensor]:
    """Their state dict, its names and shapes from ours by the map that is tested here."""
    with torch.device("meta"):
        ours = make_network(NET).state_dict()
    found = {k: v for k, v in export_state(ours, NET, "torchvision-ssdlite").items() if "num_batches" not in k}
    return {k: torch.from_numpy(fill(k, tuple(v.shape))) for k, v in found.items()}


@pytest.fixture(scope="module")
def outputs(theirs: dict[str, torch.Tensor]) -> np.ndarray:
    """What our network with these weights says of the images."""
    model = make_network(NET).eval()
    problems = model.load_state_dict(convert(theirs, NET).state, strict=False)
    assert not problems.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in problems.missing_keys)
    with torch.inference_mode():
        found: np.ndarray = model(torch.from_numpy((images() - 0.5) / 0.5)).numpy()
    return found


def test_their_tensors_have_the_names_and_shapes_that_our_map_gives(theirs: dict[str, torch.Tensor]) -> None:
    names = "\n".join(sorted(f"{k} {list(v.shape)}" for k, v in theirs.items()))
    assert zlib.crc32(names.encode()) == GOLDEN["names"]
    assert sum(v.numel() for k, v in theirs.items() if "running" not in k) == GOLDEN["parameters"] == 3_440_060
    assert len(make_network(NET).state_dict()) == GOLDEN["tensors"] == 476


def test_every_anchor_is_theirs_to_a_ten_thousandth_of_a_pixel() -> None:
    found = corners(anchors(NET, SIZE)) * SIZE
    assert found[chosen(len(found))] == pytest.approx(np.array(GOLDEN["anchors"]), abs=1e-4)


def test_raw_outputs_are_theirs(outputs: np.ndarray) -> None:
    rows = chosen(outputs.shape[1])
    assert outputs[:, rows, :91:13] == pytest.approx(np.array(GOLDEN["classes"]), abs=1e-4)
    assert outputs[:, rows, 91:95] == pytest.approx(np.array(GOLDEN["boxes"]), abs=1e-4)
    norms = [np.linalg.norm(outputs[..., part].astype(np.float64), axis=(1, 2)) for part in (slice(91), slice(91, 95))]
    assert np.array(norms) == pytest.approx(np.array(GOLDEN["norms"]), rel=1e-6)


def test_detections_are_theirs(outputs: np.ndarray) -> None:
    for image, best, count in zip(outputs, GOLDEN["detections"], GOLDEN["counts"], strict=True):
        scores = torch.from_numpy(image[:, :91]).softmax(1)[:, 1:].numpy()
        found = detections(decode(image[:, 91:95], image[:, 95:]), scores)
        assert len(found) == count
        for label, score, *box in best:
            same = found[(found[:, 5] == label - 1) & (abs(found[:, 4] - score) < 1e-5)]
            assert (abs(same[:, :4] * SIZE - box).max(1) < 1e-2).any(), (label, score, box)
