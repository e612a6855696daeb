"""What is black and white in deep pictures is decided once for a data set, and said."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.auditing.audit import audit
from mobilenets.data.sample import Sample
from mobilenets.data.samples import Samples
from mobilenets.data.sources.read import read_splits
from mobilenets.data.value_range import MIN_LEVELS, decide_range, parse_range
from mobilenets.errors import UserError
from mobilenets.preprocess import Preprocess

RNG = np.random.default_rng(0)


def folder(root: Path, low: float, high: float, dtype: type, suffix: str = ".tif", count: int = 12) -> Path:
    """Two classes of pictures with values from `low` to `high`, each from end to end."""
    for label in ("left", "right"):
        (root / label).mkdir(parents=True, exist_ok=True)
        for i in range(count // 2):
            save(root / label / f"{np.dtype(dtype).name}{i}{suffix}", RNG.uniform(low, high, (40, 40)).astype(dtype))
    return root


def save(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)


def samples(root: Path) -> Samples:
    return Samples.of([Sample(path, i % 2) for i, path in enumerate(sorted(root.rglob("*.*")))])


@pytest.mark.parametrize(
    ("low", "high", "dtype", "wanted"),
    [
        (0, 60000, np.uint16, (0, 65535)),
        (100, 4000, np.uint16, (0, 4095)),  # a 12-bit camera
        (10, 1000, np.uint16, (0, 1023)),
        (0, 16000, np.uint16, (0, 16383)),
        (0, 250, np.uint16, (0, 255)),
        (0, 2**31 - 2**20, np.int32, (0, 2**31 - 1)),
        (0.1, 0.9, np.float32, (0, 1)),
        (0.0, 1.05, np.float32, (0, 1)),  # sharpened
        (5, 250, np.float32, (0, 255)),
        (-0.9, 0.9, np.float32, (-1, 1)),
    ],
)
def test_data_that_fills_a_usual_range_has_that_range(
    tmp_path: Path, low: float, high: float, dtype: type, wanted: tuple[float, float]
) -> None:
    assert decide_range(samples(folder(tmp_path, low, high, dtype))).range == wanted


@pytest.mark.parametrize(
    ("low", "high", "dtype", "inside"),
    [
        (600, 1400, np.uint16, (0, 4095)),
        (30000, 30500, np.uint16, (0, 65535)),
        (-1000, 2000, np.int32, (-(2**31), 2**31)),  # Hounsfield units
        (280, 310, np.float32, (0, 65535)),  # kelvin
        (0.5, 0.6, np.float32, (0, 1)),
    ],
)
def test_data_that_would_keep_few_grey_levels_is_stretched_with_room_on_both_sides(
    tmp_path: Path, low: float, high: float, dtype: type, inside: tuple[float, float]
) -> None:
    black, white = decide_range(samples(folder(tmp_path, low, high, dtype))).range
    span = high - low
    assert inside[0] <= black < white <= inside[1]
    assert low - 0.3 * span <= black <= low - 0.2 * span
    assert high + 0.2 * span <= white <= high + 0.3 * span
    assert 255 * span / (white - black) > 2 * MIN_LEVELS


def test_one_overshooting_pixel_changes_nothing(tmp_path: Path) -> None:
    plain = decide_range(samples(folder(tmp_path, 0.6, 0.95, np.float32)))
    path = tmp_path / "left" / "float320.tif"
    values = np.array(Image.open(path))
    values[3, 3] = 1e6
    values[4, 4] = np.nan
    values[5, 5] = -np.inf
    save(path, values)
    assert decide_range(samples(tmp_path)).range == plain.range == (0, 1)


def test_eight_bit_data_has_no_range_and_nothing_is_said(tmp_path: Path) -> None:
    found = decide_range(samples(folder(tmp_path, 0, 255, np.uint8, ".png")))
    assert (found.range, found.note, found.few) == (None, "", "")


def test_eight_bit_pictures_among_deep_ones_are_counted_and_stay_as_they_are(tmp_path: Path) -> None:
    folder(tmp_path, 0, 4000, np.uint16)
    folder(tmp_path, 0, 255, np.uint8, ".png", count=8)
    found = decide_range(samples(tmp_path))
    assert found.range == (0, 4095)
    assert "8 of 20 photos looked at have 8 bits and stay as they are" in found.note
    assert "\n" not in found.note
    assert "--range" in found.note


def test_kinds_that_no_range_shows_together_are_refused_by_name(tmp_path: Path) -> None:
    folder(tmp_path, 0, 4000, np.uint16)
    folder(tmp_path, 0, 1, np.float32)
    with pytest.raises(UserError, match=r"floating-point grey.*16-bit grey.*--range"):
        decide_range(samples(tmp_path))
    assert decide_range(samples(tmp_path), "0,4095").range == (0, 4095)


def test_pictures_that_the_range_leaves_without_contrast_are_counted(tmp_path: Path) -> None:
    folder(tmp_path, 0, 250, np.float32)
    save(tmp_path / "left" / "other.tif", RNG.uniform(0, 1, (40, 40)).astype(np.float32))
    found = decide_range(samples(tmp_path))
    assert found.range == (0, 255)
    assert "1 of 13 take less than 2 grey levels" in found.note


def test_a_range_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    root = folder(tmp_path, 600, 1400, np.uint16)
    found = decide_range(samples(root), "500, 2000")
    assert found.range == (500, 2000)
    assert "500 to 2000 becomes black to white" in found.note
    assert decide_range(samples(root), "none").range is None


@pytest.mark.parametrize(
    "value", ["", "1", "2,1", "1,1", "a,b", "0,inf", "nan,1", "1,2,3", (1,), ("a", "b"), "automatic"]
)
def test_what_is_no_range_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="range"):
        parse_range(value)


def test_files_that_cannot_be_read_decide_nothing(tmp_path: Path) -> None:
    folder(tmp_path, 0, 4000, np.uint16)
    (tmp_path / "left" / "broken.tif").write_bytes((tmp_path / "left" / "uint160.tif").read_bytes()[:200])
    (tmp_path / "left" / "text.tif").write_text("no photo")
    assert decide_range(samples(tmp_path)).range == (0, 4095)


# --- the audit sees what the network sees ------------------------------------------------------------------


def stripes(root: Path, low: float, span: float, dtype: type, suffix: str) -> Path:
    """Stripes of `span` on backgrounds from `low` on, different in every picture."""
    for label in ("down", "across"):
        (root / label).mkdir(parents=True)
        for i in range(8):
            wave = np.sin(np.arange(64) / (3 + i / 5) + RNG.uniform(0, 6))
            field = np.tile(wave, (64, 1)) if label == "down" else np.tile(wave[:, None], (1, 64))
            save(root / label / f"{i}{suffix}", (low + span * (1 + i / 4 + field)).astype(dtype))
    return root


@pytest.mark.parametrize(("low", "span", "dtype", "suffix"), [(500, 60, np.uint16, ".png"), (30, 4, np.uint8, ".bmp")])
def test_data_of_low_contrast_is_not_blank_but_named_for_its_few_grey_levels(
    tmp_path: Path, low: float, span: float, dtype: type, suffix: str
) -> None:
    result = audit(stripes(tmp_path / "data", low, span, dtype, suffix))
    assert result.findings["blank"] == []
    (found,) = result.findings["few_levels"]
    assert found.details["levels"] < MIN_LEVELS
    flat = np.full((64, 64), low + span, dtype)
    save(tmp_path / "data" / "down" / f"flat{suffix}", flat)
    again = audit(tmp_path / "data")
    assert [finding.paths[0].name for finding in again.findings["blank"]] == [f"flat{suffix}"]


def test_the_range_of_the_training_part_is_what_the_preprocess_applies(tmp_path: Path) -> None:
    root = folder(tmp_path, 600, 1400, np.uint16, count=20)
    decided = decide_range(read_splits(root).train).range
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 600, 1400, 65535]], np.uint16)).save(file, "PNG")
    black, dark, light, white = np.asarray(Preprocess(range=decided).read(file.getvalue()).image)[0, :, 0].tolist()
    assert (black, white) == (0, 255)
    assert 30 < dark < 60
    assert 195 < light < 225
