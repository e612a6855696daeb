"""The comparison of an exported file with its network: what is compared, and on how many threads."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mobilenets.errors import UserError
from mobilenets.exporting.images import SampleImage, random_images
from mobilenets.exporting.targets.table import TARGETS, exporter, reopen, with_full_input
from mobilenets.exporting.verify import BATCH, FLOAT, verify
from mobilenets.runtime.base import Engine, Pixels
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.tasks.task import Outputs
from small import card_of, network


class Watched:
    """An engine, and of each call how many pictures it was given and how many threads torch had."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.card, self.accepts_full_image = engine.card, engine.accepts_full_image
        self.calls: list[tuple[int, int]] = []

    def __call__(self, pixels: Pixels) -> Outputs:
        self.calls.append((len(pixels), torch.get_num_threads()))
        return self._engine(pixels)


@pytest.fixture(scope="module")
def net() -> TorchEngine:
    model = network(blocks=4)
    return TorchEngine(model, card_of(model, size=48))


@pytest.fixture(scope="module")
def pictures(net: TorchEngine) -> list[SampleImage]:
    """No multiple of a batch of them, the third without a class."""
    found = list(random_images(net.card.preprocess))[: 2 * BATCH + 3]
    labels = [None if i == 2 else i % len(net.card.classes) for i in range(len(found))]
    return [SampleImage(p.pixels, p.full_image, label) for p, label in zip(found, labels, strict=True)]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_batches_say_what_pictures_one_by_one_say(
    target: str, full: bool, net: TorchEngine, pictures: list[SampleImage], tmp_path: Path
) -> None:
    path = tmp_path / TARGETS[target].file
    (with_full_input(target, exporter(target)) if full else exporter(target))(net.model, net.card, path)
    engine = reopen(target, path, net.card)
    assert engine is not None
    result = verify(engine, net, pictures, target, FLOAT, 1)
    ours = np.stack([engine((p.full_image if full else p.pixels)[None])[0] for p in pictures])
    theirs = np.stack([net(p.pixels[None])[0] for p in pictures])
    assert (result.n, result.input) == (len(pictures), "full" if full else "cropped")
    assert result.top1_agreement == (ours.argmax(1) == theirs.argmax(1)).mean()
    assert result.max_probability_difference == pytest.approx(np.abs(ours - theirs).max(), abs=1e-5)
    known = [i for i, picture in enumerate(pictures) if picture.label is not None]
    right = [ours[i].argmax() == pictures[i].label for i in known]
    assert result.accuracy_after == np.mean(right)


@pytest.mark.usefixtures("two_threads")
def test_each_side_computes_batches_on_one_thread_and_afterwards_torch_has_its_own_again(
    net: TorchEngine, pictures: list[SampleImage]
) -> None:
    file, of_torch = Watched(net), Watched(net)
    verify(file, of_torch, pictures, "torch", FLOAT, 1)
    assert of_torch.calls == [(BATCH, 1), (BATCH, 1), (3, 1)]
    assert [call for call in file.calls if call[0] > 1] == of_torch.calls
    assert {threads for _, threads in file.calls} == {1}
    assert torch.get_num_threads() == 2


class NoNumbers(Watched):
    """A file that overflows."""

    def __call__(self, pixels: Pixels) -> Outputs:
        return np.full_like(super().__call__(pixels), np.nan)


def test_a_file_whose_answers_are_no_numbers_is_wrong_and_its_figures_are_json(
    net: TorchEngine, pictures: list[SampleImage]
) -> None:
    result = verify(NoNumbers(net), net, pictures, "torch", FLOAT, 1)
    assert (result.verdict, result.max_probability_difference) == ("wrong", 1.0)
    json.dumps(result.to_dict(), allow_nan=False)


def test_without_pictures_there_is_nothing_to_compare(net: TorchEngine) -> None:
    with pytest.raises(UserError, match="none of the photos to compare on can be read"):
        verify(net, net, [], "torch", FLOAT, 1)


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_an_exported_file_is_opened_on_one_thread(target: str, net: TorchEngine, tmp_path: Path) -> None:
    path = tmp_path / TARGETS[target].file
    exporter(target)(net.model, net.card, path)
    engine = reopen(target, path, net.card)
    assert engine is not None
    assert engine.origin is not None
    assert engine.origin.threads == 1
