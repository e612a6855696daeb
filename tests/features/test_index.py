"""The index of a run: what is near, what is unknown, and files that are refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.features.coverage import choose_covering
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import FeatureIndex, build_index, model_id
from mobilenets.features.known import MAX_DISTANCES, Known, is_accepted
from mobilenets.features.neighbours import nearest, unit
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.index_file import find_index, need_index
from mobilenets.system.tensor_file import pack, unpack

NET = build("mobilenet_v3_small", width=0.35, num_classes=2)
CARD = ModelCard("test", NET, ("known", "too"), Preprocess(), {"accuracy": 0.9})
WIDTH, MEANS = NET.head_width, NET.earlier_map.channels


def features(n: int, seed: int = 0, direction: int = 0) -> np.ndarray:
    """Photographs of one kind: around a direction of their own."""
    rows = np.random.default_rng(seed).normal(0, 0.02, (n, WIDTH)).astype(np.float32)
    rows[:, direction] += 1
    return np.abs(rows)


def make_index(n: int = 40, held_out: int = 120) -> FeatureIndex:
    names = [f"known/{i}.jpg" for i in range(n - 1)] + ["too/雏菊 \udcff\n.jpg"]
    train = ImageFeatures.of(features(n), np.arange(n) % 2, names, means=means(n))
    return build_index(train, some(features(held_out, seed=1), first_group=n, means=means(held_out, 1)), model_id(CARD))


def means(n: int, seed: int = 0, shift: float = 0) -> np.ndarray:
    """Of an earlier map: around one point, in few directions; by `shift` away from there in another one."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 0.5, (n, 3)) @ np.random.default_rng(99).normal(0, 1, (3, MEANS))
    rows += rng.normal(20, 0.02, (n, MEANS))
    rows[:, 0] += shift
    return rows.astype(np.float32)


def some(
    vectors: np.ndarray, groups: np.ndarray | None = None, first_group: int = 0, means: np.ndarray | None = None
) -> ImageFeatures:
    """Photographs of one class."""
    count = len(vectors)
    groups = np.arange(first_group, first_group + count) if groups is None else groups
    paths = [f"{i}.jpg" for i in range(count)]
    return ImageFeatures.of(vectors, np.zeros(count, np.int64), paths, groups, means)


def test_it_is_read_as_it_was_written_and_the_same_bytes_again(tmp_path: Path) -> None:
    index = make_index()
    index.write(tmp_path / "index.safetensors")
    again = find_index(tmp_path, CARD)
    assert again is not None
    assert np.array_equal(again.features, index.features)
    assert (again.paths, again.labels.tolist(), again.model) == (index.paths, index.labels.tolist(), index.model)
    assert np.array_equal(again.known.values, index.known.values)
    assert np.array_equal(again.train.vectors, index.train.vectors)
    assert np.array_equal(again.train.means, index.train.means)
    photos = some(features(5, seed=2), means=means(5, 2)).embeddings
    assert again.likeness(photos) == index.likeness(photos)
    assert (again.held_out.paths, again.held_out.groups.tolist()) == (index.held_out.paths, list(range(40, 160)))
    again.write(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "index.safetensors").read_bytes()
    assert find_index(tmp_path / "model.onnx", CARD) is not None
    assert find_index(tmp_path / "elsewhere" / "model.onnx", CARD) is None


def test_other_programs_read_it_by_the_library_of_the_format(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    index = make_index()
    index.write(tmp_path / "index.safetensors")
    assert np.array_equal(load_file(tmp_path / "index.safetensors")["features"], index.features)


def test_the_nearest_photograph_is_the_one_in_the_same_direction() -> None:
    index = make_index()
    near = index.nearest(7 * features(40)[5:6], k=3)
    assert near.rows[0, 0] == 5
    assert near.distances[0, 0] < 1e-3
    assert (np.diff(near.distances[0]) >= 0).all()
    assert index.nearest(features(1), k=1000).rows.shape == (1, 40)


def test_of_equally_near_photographs_the_first_come_first() -> None:
    rows = unit(np.ones((6, 3), np.float32))
    assert nearest(rows[:1], rows, 3).rows.tolist() == [[0, 1, 2]]
    assert nearest(rows[:1], rows, 1).rows.tolist() == [[0]]


def test_photographs_of_another_kind_are_unknown_and_those_of_the_same_are_known() -> None:
    index = make_index()
    known = index.likeness(some(features(200, seed=2), means=means(200, 2)).embeddings)
    assert np.mean([is_accepted(one.known, 0.95) for one in known]) > 0.85
    others = {
        "other features": some(features(20, seed=3, direction=1), means=means(20, 3)),
        "longer ones": some(5 * features(20, seed=3), means=means(20, 3)),
        "another earlier map": some(features(20, seed=3), means=means(20, 3, shift=5)),
    }
    for what, photos in others.items():
        assert not any(is_accepted(one.known, 0.95) for one in index.likeness(photos.embeddings)), what


@given(st.lists(st.floats(0, 2, width=32), min_size=1, max_size=60), st.floats(0, 2, width=32))
def test_known_is_the_share_of_held_out_photographs_at_least_as_far(distances: list[float], asked: float) -> None:
    known = Known.of(np.array(distances, np.float32))
    expected = (1 + sum(d >= asked for d in distances)) / (1 + len(distances))
    assert known.of_distances(np.array([asked], np.float32))[0] == pytest.approx(expected)


def test_of_held_out_photographs_the_share_that_is_asked_for_is_accepted() -> None:
    rng = np.random.default_rng(0)
    known = Known.of(rng.random(999))
    values = known.of_distances(rng.random(100_000))
    for accept in (0.5, 0.9, 0.95, 0.99):
        assert np.mean([is_accepted(v, accept) for v in values]) == pytest.approx(accept, abs=0.04)


@pytest.mark.parametrize("accept", [0.5, 0.9, 0.95, 0.99])
def test_what_is_as_unlike_as_the_fraction_that_is_refused_is_refused(accept: float) -> None:
    at = float(np.float32(1 - accept))  # as the index keeps it
    assert not is_accepted(at, accept)
    assert is_accepted(at + 1e-4, accept)


def test_a_group_of_held_out_photographs_counts_as_one() -> None:
    burst = Known.of(np.array([0.1] * 98 + [0.2, 0.3]), np.array([0] * 98 + [1, 2]))
    assert burst.of_distances(np.array([0.15, 0.25])).tolist() == [0.75, 0.5]


def test_of_very_many_held_out_photographs_their_quantiles_are_kept() -> None:
    distances = np.random.default_rng(0).random(50_000)
    known = Known.of(distances)
    assert len(known.distances) == MAX_DISTANCES
    assert known.of_distances(np.array([0.25]))[0] == pytest.approx(0.75, abs=0.01)


def test_few_held_out_photographs_are_helped_by_the_training_photographs_without_themselves() -> None:
    alone = Known.of(np.zeros(5))
    assert alone.farthest(0.95) is None
    assert make_index(n=60, held_out=5).known.farthest(0.95) is not None
    assert make_index(n=3, held_out=1).known.farthest(0.95) is None


def test_no_photograph_of_the_own_group_counts_as_neighbour() -> None:
    shots = features(30)
    groups = np.arange(30)
    torn = build_index(some(shots), some(shots), "")
    whole = build_index(some(shots), some(shots, first_group=30), "")
    assert torn.known.distances.min() > 0.1 > whole.known.distances.min()
    one_group = build_index(some(shots, groups * 0), some(shots, groups * 0), "")
    assert len(one_group.known.distances) == 0


def test_of_many_photographs_those_that_cover_each_class_are_kept() -> None:
    kinds = np.repeat(np.arange(5), 20)
    rows = np.concatenate([features(20, seed=k, direction=k) for k in kinds[::20]])
    train = ImageFeatures.of(rows, kinds % 2, [str(i) for i in range(100)])
    index = build_index(train, some(rows[:5]), "", per_class=10)
    assert np.bincount(index.labels).tolist() == [10, 10]
    assert {kinds[int(name)] for name in index.paths} == {0, 1, 2, 3, 4}


def test_covering_takes_no_photograph_twice_and_always_the_same() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32))
    rows[10:] = rows[10]  # copies
    labels = np.zeros(50, np.int64)
    chosen = choose_covering(rows, labels, 20)
    assert len(set(chosen.tolist())) == 20
    assert set(range(10)) < set(chosen.tolist())
    assert np.array_equal(chosen, choose_covering(rows, labels, 20))
    assert choose_covering(rows, labels, 60).tolist() == list(range(50))


def test_features_of_another_size_or_that_are_no_numbers_are_refused() -> None:
    index = make_index()
    with pytest.raises(UserError, match=f"index has {WIDTH} a photo"):
        index.nearest(np.zeros((1, 7), np.float32))
    with pytest.raises(UserError, match="no numbers"):
        index.nearest(np.full((1, WIDTH), np.nan, np.float32))
    with pytest.raises(UserError, match="no numbers"):
        build_index(some(np.full((2, 4), np.nan)), some(np.ones((1, 4))), "")
    with pytest.raises(UserError, match="one or more"):
        build_index(some(np.zeros((0, 4))), some(np.ones((1, 4))), "")


def test_the_index_of_another_model_is_refused(tmp_path: Path) -> None:
    make_index().write(tmp_path / "index.safetensors")
    other = ModelCard("test", NET, ("known", "too"), Preprocess(), {"accuracy": 0.8})
    with pytest.raises(UserError, match=r"index\.safetensors: the index of another model"):
        find_index(tmp_path, other)
    with pytest.raises(UserError, match=r"no index\.safetensors beside it"):
        need_index(tmp_path / "elsewhere" / "model.onnx", CARD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", np.zeros((40, 7), np.float16)),
        ("features", np.full((40, WIDTH), np.nan, np.float16)),
        ("features", np.zeros((40, WIDTH), np.float32)),
        ("features", np.zeros((0, WIDTH), np.float16)),
        ("labels", np.full(40, 2, np.int32)),
        ("labels", np.full(40, -1, np.int32)),
        ("labels", np.zeros(39, np.int32)),
        ("path_ends", np.arange(40, dtype=np.int64)[::-1].copy()),
        ("path_ends", np.arange(40, dtype=np.int64)),
        ("lengths", np.full(40, -1, np.float32)),
        ("groups", np.zeros(39, np.int64)),
        ("held_out_labels", np.full(120, 2, np.int32)),
        ("held_out_path_ends", None),
        ("distances", np.full(120, np.nan, np.float32)),
        ("distances", np.arange(120, dtype=np.float32)[::-1].copy()),
        ("levels", np.zeros(2, np.float32)),
        ("levels", np.ones(1, np.float32)),
        ("means", np.zeros((40, 7), np.float16)),
        ("means", np.full((40, MEANS), np.nan, np.float16)),
        ("centre", np.zeros(7, np.float32)),
        ("centre", None),
        ("whitening", np.full((MEANS, MEANS), np.nan, np.float32)),
        ("whitening", None),
        ("known", np.zeros(120, np.float32)),
        ("known", np.full(121, 2, np.float32)),
        ("known", None),
    ],
)
def test_a_damaged_index_is_refused_in_a_line(tmp_path: Path, name: str, value: np.ndarray | None) -> None:
    file = tmp_path / "index.safetensors"
    make_index().write(file)
    tensors, metadata = unpack(file, 2**30)
    tensors = {**tensors, name: value} if value is not None else {k: v for k, v in tensors.items() if k != name}
    file.write_bytes(pack(tensors, metadata))
    with pytest.raises(UserError, match=r"index\.safetensors: damaged") as refused:
        find_index(tmp_path, CARD)
    assert "\n" not in str(refused.value)


def test_an_index_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.safetensors").write_bytes(pack({}, {"format": "4"}))
    with pytest.raises(UserError, match="not an index that this version reads"):
        find_index(tmp_path, CARD)
