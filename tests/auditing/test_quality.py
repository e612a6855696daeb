"""Faults of single files, by what was measured: where they begin, and which is the worse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilenets.auditing.kinds import LIMITS
from mobilenets.auditing.measure import ImageMeasures, ImageStats
from mobilenets.auditing.quality import quality

SIDE = 224
USUAL = ImageMeasures(b"", 20, 180, 200, np.zeros((32, 32), np.uint8), Path("usual.png"), "PNG", SIDE, SIDE, 0.2)
LONG = int(LIMITS.aspect_times * SIDE)


@pytest.mark.parametrize(
    ("kind", "worse", "bad", "at_the_limit"),
    [
        ("tiny", {"width": 20, "height": 20}, {"width": 40, "height": 300}, {"width": SIDE // 4, "height": SIDE // 4}),
        ("blank", {"spread": 2.0}, {"spread": 10.0}, {"spread": LIMITS.blank_spread}),
        ("dark", {"light": 20.0}, {"light": 60.0}, {"light": LIMITS.dark_level}),
        ("blurred", {"blur": 0.9}, {"blur": 0.5}, {"blur": LIMITS.min_blur}),
        ("odd_aspect", {"width": 4 * LONG}, {"width": LONG + 1}, {"width": LONG}),
    ],
)
def test_what_is_beyond_the_limit_is_found_the_worse_the_higher(
    kind: str, worse: dict[str, Any], bad: dict[str, Any], at_the_limit: dict[str, Any]
) -> None:
    others = [
        replace(USUAL, path=Path(f"{name}.png"), **changes)
        for name, changes in (("worse", worse), ("bad", bad), ("fine", at_the_limit))
    ]
    findings = [f for f in quality(ImageStats((*[USUAL] * 60, *others), None, ())) if f.kind == kind]
    scores = {finding.paths[0].stem: finding.score for finding in findings}
    assert scores.keys() == {"worse", "bad"}
    assert 0 < scores["bad"] < scores["worse"] <= 1
