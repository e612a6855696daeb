"""Tiles of a photo cover it, share its boxes, and what is found in them is found in the photo once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.errors import UsageError
from mobilenets.tasks.detect.targets import Box
from mobilenets.tasks.detect.tiles import MIN_INSIDE, OVERLAP, Tile, boxes_in, check_side, grid, merged

sides = st.integers(1, 3_000)


@given(sides, sides, st.integers(64, 900))
def test_tiles_cover_the_photo_and_neighbours_overlap_by_a_quarter_or_more(width: int, height: int, side: int) -> None:
    tiles = grid(width, height, side)
    for length, starts in ((width, {t.left for t in tiles}), (height, {t.top for t in tiles})):
        extent = min(side, length)
        ordered = sorted(starts)
        assert (ordered[0], ordered[-1] + extent) == (0, length)
        steps = np.diff(ordered)
        assert (steps <= np.ceil(extent * (1 - OVERLAP))).all()
        assert len(steps) == 0 or steps.max() - steps.min() <= 1, "evenly"
    assert {(t.width, t.height) for t in tiles} == {(min(side, width), min(side, height))}
    assert (len(tiles) == 1) == (max(width, height) <= side)


def test_tiles_as_small_as_objects_are_refused() -> None:
    check_side(64)
    with pytest.raises(UsageError, match="--tile: 63 pixels are too few; use 64 or more"):
        check_side(63)


pixels = st.integers(0, 999)


@given(pixels, pixels, st.integers(1, 250), st.integers(1, 250))
def test_every_object_no_longer_than_the_overlap_is_whole_in_some_tile(x: int, y: int, width: int, height: int) -> None:
    right, bottom = min(1_000, x + width * 3 // 4), min(1_000, y + height * 3 // 4)
    box = Box("dog", x / 1_000, y / 1_000, max(right, x + 1) / 1_000, max(bottom, y + 1) / 1_000)
    seen = [(tile, own) for tile in grid(1_000, 1_000, 250) for own in boxes_in(tile, [box], 1_000, 1_000)]
    assert any(not own.ignore for _, own in seen)
    for tile, own in seen:
        # Drawn pixel by pixel, what a tile shows of the box is what numpy cuts out of the photo.
        mask = np.zeros((1_000, 1_000), np.bool_)
        mask[y : max(bottom, y + 1), x : max(right, x + 1)] = True
        part = mask[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        rows, columns = np.nonzero(part)
        expected = [columns.min() / 250, rows.min() / 250, (columns.max() + 1) / 250, (rows.max() + 1) / 250]
        assert list(own[1:5]) == pytest.approx(expected, abs=2e-6)
        if part.sum() / mask.sum() > MIN_INSIDE + 0.01:
            assert not own.ignore


@pytest.mark.parametrize(
    ("box", "counts"),
    [
        ((0.0, 0.0, 0.9, 0.9), True),  # its centre is there, and 0.31 of it
        ((0.4, 0.1, 0.7, 0.3), False),  # 0.33 of it, and its centre only from above
        ((0.1, 0.4, 0.3, 0.7), False),  # likewise from the left
        ((0.4, 0.1, 0.64, 0.3), True),  # 0.42 of it
    ],
)
def test_a_box_counts_where_its_centre_is_or_two_fifths_of_it(box: tuple[float, ...], counts: bool) -> None:
    (own,) = boxes_in(Tile(0, 0, 100, 100), [Box("dog", *box)], 200, 200)
    assert own.ignore != counts


def test_a_box_that_does_not_count_in_the_photo_counts_in_no_tile() -> None:
    box = Box("dog", 0.1, 0.1, 0.2, 0.2, ignore=True)
    assert [own.ignore for tile in grid(900, 900, 300) for own in boxes_in(tile, [box], 900, 900)] == [True]


def rows(*found: tuple[float, float, float, float, float, int]) -> np.ndarray:
    return np.array(found, np.float32).reshape(-1, 6)


PAIR = (Tile(0, 0, 100, 100), Tile(75, 0, 100, 100))  # of a photo of 175×100


def test_boxes_come_back_to_where_they_were_in_the_photo() -> None:
    size, box = (1_400, 900), Box("dog", 0.4, 0.3, 0.5, 0.45)
    tiles = grid(*size, 400)
    found = [rows(*((*b[1:5], 0.9, 0) for b in boxes_in(tile, [box], *size) if not b.ignore)) for tile in tiles]
    assert sum(map(len, found)) > 1, "more than one tile shows it"
    np.testing.assert_allclose(merged(tiles, found, *size), rows((0.4, 0.3, 0.5, 0.45, 0.9, 0)), atol=1e-5)


def test_the_better_of_two_boxes_of_one_object_is_left_and_other_classes_stay() -> None:
    left = rows((0.8, 0.1, 0.95, 0.5, 0.6, 0), (0, 0, 0.1, 0.1, 0.3, 1))
    right = rows((0.05, 0.1, 0.2, 0.5, 0.7, 0), (0.05, 0.1, 0.2, 0.5, 0.5, 1), (0.1, 0.1, 0.2, 0.2, 0.0, -1))
    found = merged(PAIR, [left, right], 175, 100)
    assert found[:, 4:].tolist() == [
        [pytest.approx(0.7), 0], [pytest.approx(0.5), 1], [pytest.approx(0.3), 1],
    ]  # fmt: skip
    np.testing.assert_allclose(found[0, :4], [80 / 175, 0.1, 95 / 175, 0.5], atol=1e-6)


def test_a_part_gives_way_to_the_whole_but_not_to_a_doubtful_one() -> None:
    part, whole = rows((0.8, 0.2, 1.0, 0.4, 0.9, 0)), (0.05, 0.2, 0.6, 0.4)
    found = merged(PAIR, [part, rows((*whole, 0.5, 0))], 175, 100)
    assert (found[:, [0, 2]] * 175).round().tolist() == [[80, 135]]
    assert len(merged(PAIR, [part, rows((*whole, 0.02, 0))], 175, 100)) == 2


def test_boxes_of_two_tiles_are_one_object_from_the_overlap_on_that_the_model_says() -> None:
    found = [rows((0.8, 0.1, 0.98, 0.5, 0.9, 0)), rows((0.12, 0.1, 0.32, 0.5, 0.8, 0))]  # they overlap by 11 of 27
    assert len(merged(PAIR, found, 175, 100)) == 2
    assert len(merged(PAIR, found, 175, 100, max_overlap=0.3)) == 1


def test_neighbours_in_one_tile_are_left_as_its_own_nms_left_them() -> None:
    both = rows((0.1, 0.1, 0.5, 0.5, 0.9, 0), (0.15, 0.1, 0.55, 0.5, 0.8, 0))
    assert len(merged(PAIR, [both, rows()], 175, 100)) == 2
    assert merged(PAIR, [rows(), rows()], 175, 100).shape == (0, 6)


def _one_by_one(tiles: list[Tile], found: list[np.ndarray], width: int, height: int) -> list[list[float]]:
    """What `merged` says, written as its description reads."""
    boxes = []
    for k, (tile, own) in enumerate(zip(tiles, found, strict=True)):
        for x1, y1, x2, y2, score, number in own.tolist():
            edges = (
                (x1 < 0.01 and tile.left > 0) or (y1 < 0.01 and tile.top > 0)
                or (x2 > 0.99 and tile.left + tile.width < width) or (y2 > 0.99 and tile.top + tile.height < height)
            )  # fmt: skip
            corners = (
                tile.left + x1 * tile.width, tile.top + y1 * tile.height,
                tile.left + x2 * tile.width, tile.top + y2 * tile.height,
            )  # fmt: skip
            boxes.append((score / 2 if edges else score, edges, k, corners, score, number))
    kept: list[tuple] = []
    for one in sorted(boxes, key=lambda b: -b[0]):
        for other in kept:
            (a, b, c, d), (e, f, g, h) = one[3], other[3]
            shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
            area, others = (c - a) * (d - b), (g - e) * (h - f)
            same = shared >= 0.5 * (area + others - shared) or (one[1] and shared >= 0.6 * area)
            if one[2] != other[2] and one[5] == other[5] and same:
                break
        else:
            kept.append(one)
    return sorted([b[4], b[5], *b[3]] for b in kept)


@pytest.mark.parametrize("seed", range(3))
def test_merging_is_comparing_each_with_each_better_one_of_another_tile(seed: int) -> None:
    rng, size = np.random.default_rng(seed), (700, 500)
    tiles = grid(*size, 200)
    found = []
    for _ in tiles:
        centre, half = rng.random((30, 2)), rng.uniform(0.05, 0.4, (30, 2))
        corners = np.concatenate([centre - half, centre + half], 1).clip(0, 1)
        found.append(np.concatenate([corners, rng.random((30, 1)), rng.integers(0, 2, (30, 1))], 1).astype(np.float32))
    got = merged(tiles, found, *size)
    expected = np.array(_one_by_one(tiles, found, *size))
    assert 50 < len(got) < 30 * len(tiles)
    again = np.concatenate([got[:, 4:], got[:, :4] * np.array([*size, *size])], 1)
    np.testing.assert_allclose(again[np.lexsort(again.T[::-1])], expected, rtol=1e-4, atol=1e-2)
