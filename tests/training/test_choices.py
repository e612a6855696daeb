"""What is found out before training: the whole photograph or its centre, turns, parts, and the size of the input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import write_photos
from mobilenets.data.augment import Augment
from mobilenets.data.loader import Skipped
from mobilenets.data.sources.read import read_splits
from mobilenets.preprocess import Preprocess
from mobilenets.training.choices import (
    LARGER_FROM_S,
    MIN_IMAGES,
    NARROW,
    TIME_FRACTION,
    WIDE,
    Choices,
    FrozenFeatures,
    Open,
    choose,
)
from mobilenets.training.loaders import LoaderFactory
from mobilenets.training.probe.features import Extractors, extractor
from mobilenets.training.recipe import FINETUNE, Recipe
from mobilenets.training.settings import Settings
from small import network

CENTRE = Preprocess(size=224, crop=0.875)
CLASSES, PER_CLASS, WIDTH = 3, 60, 12


class Clusters:
    """Photographs of clusters: what is seen otherwise is `worse`, as a share of the way to the next class's centre.

    `noise`: of the features, by size or crop.
    """

    def __init__(self, worse: dict[str, float] | None = None, noise: dict[float, float] | None = None):
        self.labels = np.repeat(np.arange(CLASSES), PER_CLASS)
        self.worse, self.noise = worse or {}, noise or {}
        self.seen: list[tuple[int, float, str]] = []

    def __call__(self, preprocess: Preprocess, turn: str) -> np.ndarray:
        self.seen.append((preprocess.size, preprocess.crop, turn))
        centres = np.random.default_rng(0).normal(size=(CLASSES, WIDTH)) * 2
        noise = self.noise.get(preprocess.size, 1.0) * self.noise.get(preprocess.crop, 1.0)
        own = np.random.default_rng(preprocess.size).normal(size=(len(self.labels), WIDTH)) * noise
        share = self.worse.get(turn, 0.0)
        there, next_ = centres[self.labels], centres[(self.labels + 1) % CLASSES]
        return ((1 - share) * there + share * next_ + own).astype(np.float32)


def _choose(
    see: Clusters, open_: Open | None = None, seconds: float | None = None, clock=lambda: 0.0, log=lambda line: None
) -> Choices:
    return choose(see, CENTRE, FINETUNE.augment, open_ or Open(), seconds, 0, log, clock)


def test_where_all_ways_of_seeing_are_alike_the_whole_photograph_is_seen_and_turned_freely() -> None:
    chosen = _choose(Clusters())
    assert chosen.preprocess.crop == 1.0
    assert (chosen.augment.hflip, chosen.augment.vflip, chosen.augment.rot90) == (0.5, 0.5, True)
    assert chosen.augment.crop_scale == WIDE


def test_a_centre_that_shows_more_stays() -> None:
    assert _choose(Clusters(noise={1.0: 3.0})).preprocess.crop == CENTRE.crop


@pytest.mark.parametrize(
    ("turn", "expected"),
    [("mirrored", (0.0, 0.5, True)), ("upside down", (0.5, 0.0, False)), ("a quarter turned", (0.5, 0.5, False))],
)
def test_a_turn_that_changes_the_answer_is_not_made(turn: str, expected: tuple[float, float, bool]) -> None:
    lines: list[str] = []
    chosen = _choose(Clusters({turn: 0.8}), log=lines.append)
    assert (chosen.augment.hflip, chosen.augment.vflip, chosen.augment.rot90) == expected
    (line,) = [line for line in lines if turn in line]
    assert "show another thing" in line


def test_where_a_part_does_not_show_the_class_crops_in_training_are_large() -> None:
    assert _choose(Clusters({"part": 0.8})).augment.crop_scale == NARROW


def test_a_smaller_input_is_taken_where_it_costs_nothing() -> None:
    assert _choose(Clusters(noise={224: 1.5, 192: 1.2})).preprocess.size == 192
    assert _choose(Clusters(noise={192: 1.5})).preprocess.size == 224


def test_a_larger_input_is_taken_only_where_it_is_clearly_better() -> None:
    noise = {224: 2.5, 192: 5.0}
    assert _choose(Clusters(noise={**noise, 288: 1.0})).preprocess.size == 288
    assert _choose(Clusters(noise={**noise, 288: 3.5})).preprocess.size == 224


def test_in_a_short_time_a_larger_input_is_not_asked_about() -> None:
    clearly_better = {224: 2.5, 192: 5.0, 288: 1.0}
    short, enough = (TIME_FRACTION * seconds for seconds in (LARGER_FROM_S - 1, LARGER_FROM_S))
    assert _choose(Clusters(noise=clearly_better), seconds=short).preprocess.size == 224
    assert _choose(Clusters(noise=clearly_better), seconds=enough).preprocess.size == 288


def test_what_is_settled_is_not_asked() -> None:
    see = Clusters()
    chosen = _choose(see, Open(crop=False, size=False, turns=False, parts=False))
    assert (chosen.preprocess, chosen.augment) == (CENTRE, FINETUNE.augment)
    assert see.seen == []


def test_questions_for_which_there_is_no_time_stay_unasked() -> None:
    see = Clusters()
    seconds = iter(range(1000))
    chosen = _choose(see, seconds=3.0, clock=lambda: float(next(seconds)))  # each look at the clock takes a second
    assert [turn for _, _, turn in see.seen] == ["", ""]
    assert chosen.augment == FINETUNE.augment
    assert chosen.preprocess.size == 224


def test_few_photographs_choose_nothing() -> None:
    see = Clusters()
    see.labels = see.labels[:: len(see.labels) // (MIN_IMAGES - 1)][: MIN_IMAGES - 1]
    lines: list[str] = []
    chosen = _choose(see, log=lines.append)
    assert (chosen.preprocess, chosen.augment) == (CENTRE, FINETUNE.augment)
    assert lines == [f"choices: none; of {MIN_IMAGES - 1} photos any difference is chance"]


def test_what_the_user_has_settled_is_closed() -> None:
    def opened(recipe: Recipe = FINETUNE, preprocess: Preprocess = CENTRE, **settings: object) -> Open:
        return Open.of(Settings("photos", **settings), recipe, preprocess)

    assert opened() == Open()
    assert not opened(crop=0.9).crop
    assert not opened(preprocess=replace(CENTRE, fit="pad", crop=1.0)).crop
    assert not opened(size=224).size
    assert not opened(any_orientation=True).turns
    assert not opened(any_orientation=False).turns
    assert not opened(FINETUNE.override({"augment.vflip": 0.5})).turns
    assert not opened(FINETUNE.override({"augment.crop_scale": "0.5,1"})).parts


def test_other_processes_get_the_same() -> None:
    chosen = Choices(replace(CENTRE, crop=1.0, size=192), Augment(crop_scale=NARROW, vflip=0.5))
    assert Choices.from_dict(chosen.to_dict(), CENTRE) == chosen


def test_photographs_are_seen_by_the_network_as_they_are_turned(tmp_path) -> None:
    data = write_photos(tmp_path / "photos", ("daisy", "rose"), 6, size=40)
    samples, preprocess, device = read_splits(data, val=0.5).train, Preprocess(size=32), torch.device("cpu")
    model, loaders = network(), LoaderFactory(device, 0, 0, Skipped())
    see = FrozenFeatures(samples, model.net.head_width, Extractors(model, device), loaders)
    (batch,) = loaders.loader(samples, preprocess, 16).epoch(0)
    extract = extractor(model, preprocess, device)
    for turn, turned in (
        ("", batch.pixels),
        ("mirrored", batch.pixels[:, :, ::-1]),
        ("upside down", batch.pixels[:, ::-1]),
        ("a quarter turned", batch.pixels.transpose(0, 2, 1, 3)[:, ::-1]),
    ):
        expected = extract(np.ascontiguousarray(turned))
        np.testing.assert_allclose(see(preprocess, turn), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    part = see(preprocess, "part")
    assert part.shape == see(preprocess, "").shape
    assert np.abs(part - see(preprocess, "")).max() > 0
