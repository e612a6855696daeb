"""The start of fine-tuning: statistics of the new photographs where training moves them, nowhere else."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mobilenets.arch import build
from mobilenets.data.loader import Loader
from mobilenets.data.sample import Sample
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.training.context import ComputeContext
from mobilenets.training.loop import Trainer
from mobilenets.training.probe.warm_start import warm_start
from mobilenets.training.recipe import Recipe

PREPROCESS = Preprocess(size=32)


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """Dark and bright noise: 16 photographs of each."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    samples = []
    for i in range(32):
        path = folder / f"{i}.png"
        Image.fromarray(rng.normal(60 + 120 * (i % 2), 25, (40, 40, 3)).clip(0, 255).astype(np.uint8)).save(path)
        samples.append(Sample(path, i % 2))
    return Loader(samples, PREPROCESS, 32, workers=0, prefetch=0)


def _trainer(loader: Loader, freeze: str | int) -> Trainer:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2, dropout=0.0))
    return Trainer(
        model, Recipe(freeze=freeze), ComputeContext(torch.device("cpu"), "fp32", 0), PREPROCESS, loader, loader
    )


def _images(trainer: Trainer, loader: Loader) -> tuple[torch.Tensor, torch.Tensor]:
    batch = next(iter(loader.epoch(0)))
    return trainer.images(batch.pixels), torch.from_numpy(batch.labels)


def test_statistics_become_those_of_the_photographs(loader: Loader) -> None:
    trainer = _trainer(loader, "none")
    warm_start(trainer, loader)
    images, _ = _images(trainer, loader)
    model = trainer.model
    with torch.no_grad():
        stem = model.stem.conv(images)
    norm = model.stem.norm
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, stem.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, stem.var((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert norm.momentum == Recipe().norm_momentum


def test_the_head_fits_what_training_sees_at_its_first_step(loader: Loader) -> None:
    trainer = _trainer(loader, "none")
    images, labels = _images(trainer, loader)
    model = trainer.model.train()
    with torch.no_grad():
        before = nn.functional.cross_entropy(model(images), labels).item()
    warm_start(trainer, loader)
    with torch.no_grad():
        after = nn.functional.cross_entropy(model.train()(images), labels).item()
    assert before > 0.3
    assert after < before / 2


def test_frozen_blocks_stay_bit_for_bit_and_later_ones_follow(loader: Loader) -> None:
    trainer = _trainer(loader, 2)
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    warm_start(trainer, loader)
    moved = {k for k, v in trainer.model.state_dict().items() if not torch.equal(v, before[k])}
    assert not [k for k in moved if k.startswith(("stem.", "blocks.0.", "blocks.1."))]
    assert {k for k in before if k.startswith("blocks.2.") and k.endswith("running_mean")} <= moved


def test_the_average_starts_where_the_network_does(loader: Loader) -> None:
    trainer = _trainer(loader, "none")
    warm_start(trainer, loader)
    average = trainer.ema.model.state_dict()
    assert all(torch.equal(v, average[k]) for k, v in trainer.model.state_dict().items())


def test_a_class_that_is_not_met_keeps_the_weights_it_had(loader: Loader) -> None:
    torch.manual_seed(0)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=3, dropout=0.0))
    trainer = Trainer(model, Recipe(), ComputeContext(torch.device("cpu"), "fp32", 0), PREPROCESS, loader, loader)
    before = model.classifier.weight.detach().clone()
    warm_start(trainer, loader)
    assert torch.equal(model.classifier.weight[2], before[2])
    assert not torch.equal(model.classifier.weight[:2], before[:2])
