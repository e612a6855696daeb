"""Logits, parameters and MACs of ten networks as torchvision 0.28 and timm 1.0 compute them.

`tests/golden.json` was written by those libraries: their state dicts filled by `fill`, their input
`_images`. The same numbers are made here from the keys and shapes alone, converted and compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobilenets.arch import Net, build
from mobilenets.arch.cost import total
from mobilenets.nn.model import MobileNet
from mobilenets.weights.convert import convert
from ssdlite_golden import fill

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "golden.json").read_text(encoding="utf-8"))
OURS = {
    "mobilenetv1_100": "mobilenet_v1",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv4_conv_small": "mobilenet_v4_conv_small",
}
TOLERANCE = 1e-4  # of the norm of all logits: random weights make some of them large


def _images(size: int) -> torch.Tensor:
    z = np.random.Generator(np.random.PCG64(0)).standard_normal((2, 3, size, size))
    return torch.from_numpy(z.astype(np.float32))


def _net(case: dict[str, Any]) -> Net:
    args = {"width" if name == "width_mult" else name: value for name, value in case["args"].items()}
    return build(OURS.get(case["name"], case["name"]), flavor=case["source"], **args)


def _name(case: dict[str, Any]) -> str:
    return "-".join([case["source"], case["name"], *(f"{k}={v}" for k, v in case["args"].items())])


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_logits_parameters_and_macs_are_the_reference_librarys(case: dict[str, Any]) -> None:
    net = _net(case)
    state = {key: torch.from_numpy(fill(key, tuple(shape))) for key, shape in case["state"]}
    converted = convert(state, net)
    assert converted.layout == case["source"]
    assert converted.head_kept
    model = MobileNet(net).eval()
    problems = model.load_state_dict(converted.state, strict=False)
    assert not problems.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in problems.missing_keys)
    with torch.inference_mode():
        logits = model(_images(case["input"])).double()

    known = torch.tensor(case["logits"], dtype=torch.float64)
    norms = torch.tensor(case["logits_norm"], dtype=torch.float64)
    assert ((logits[:, : known.shape[1]] - known).abs() <= TOLERANCE * norms[:, None]).all()
    assert torch.allclose(logits.norm(dim=1), norms, rtol=TOLERANCE)
    assert sum(p.numel() for p in model.parameters()) == case["params"]
    assert total(net, case["input"]) == (case["params"], case["macs"])
