"""Activations behind frozen blocks: those of the blocks, in the loader's order, and training goes on from them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Cli, write_photos
from mobilenets.data.augment import Augment
from mobilenets.data.loader import Loader, Skipped
from mobilenets.data.sources.read import read_splits
from mobilenets.errors import UserError
from mobilenets.model_card import read_tensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.training.probe import activation_cache as views_module
from mobilenets.training.probe.activation_cache import ActivationCache, Front
from mobilenets.training.probe.features import Extractor, fast_and_exact
from mobilenets.training.recipe import Recipe
from mobilenets.training.run import train
from small import network
from stopped import interrupted

PREPROCESS = Preprocess(size=32)
BLOCKS = 3
QUICK = {"model": "mobilenet_v3_small", "weights": "none", "width": 0.35, "size": 32, "recipe": "finetune"}
CHANGES = {"batch_size": 8, "lr": 0.002, "freeze": BLOCKS, "views": 2}


@pytest.fixture
def loader(photos: Path) -> Loader:
    return Loader(read_splits(photos).train, PREPROCESS, 4, augment=Augment(), shuffle=True, drop_last=True)


def _fronts(model: MobileNet) -> tuple[Extractor, Extractor]:
    return fast_and_exact(Front(model, BLOCKS), PREPROCESS, torch.device("cpu"))


def test_epochs_are_those_of_the_frozen_blocks(loader: Loader, tmp_path: Path) -> None:
    model = network()
    stored = ActivationCache(loader, _fronts(model)[0], BLOCKS, 2, tmp_path)
    front = torch.nn.Sequential(model.stem, *list(model.blocks)[:BLOCKS])
    views = [np.concatenate([b.pixels for b in loader.in_order().epoch(view)]) for view in (0, 1)]
    assert len(stored) == len(loader)
    for epoch in range(4):
        batches = list(stored.epoch(epoch))
        order = loader.order(epoch)[: 4 * len(loader)]
        assert np.concatenate([b.indices for b in batches]).tolist() == order.tolist()
        assert np.concatenate([b.labels for b in batches]).tolist() == loader.labels[order].tolist()
        with torch.inference_mode():
            expected = front(torch.from_numpy(PREPROCESS.normalize(views[epoch % 2][order])))
        maps = np.concatenate([b.pixels for b in batches])
        assert maps.dtype == np.float16
        wanted = expected.numpy().transpose(0, 2, 3, 1)
        assert np.square(maps - wanted).mean() < 0.02**2 * np.square(wanted).mean()  # in bfloat16 where that is faster
        assert {b.after for b in batches} == {BLOCKS}
        later = list(stored.epoch(epoch, start_batch=2))
        assert [b.indices.tolist() for b in later] == [b.indices.tolist() for b in batches[2:]]


def test_what_is_validated_on_is_exact(loader: Loader, tmp_path: Path) -> None:
    model, plain = network(), Loader(loader.samples, PREPROCESS, 4)
    front = torch.nn.Sequential(model.stem, *list(model.blocks)[:BLOCKS])
    for stored, seen in zip(
        ActivationCache(plain, _fronts(model)[1], BLOCKS, 2, tmp_path).epoch(0), plain.epoch(0), strict=True
    ):
        with torch.inference_mode():
            maps = front(torch.from_numpy(PREPROCESS.normalize(seen.pixels))).numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(stored.pixels, maps, rtol=2e-3, atol=2e-3)


def test_the_network_goes_on_from_them(loader: Loader) -> None:
    model = network()
    images = torch.from_numpy(PREPROCESS.normalize(next(loader.epoch(0)).pixels))
    with torch.inference_mode():
        front = torch.nn.Sequential(model.stem, *list(model.blocks)[:BLOCKS])(images)
        torch.testing.assert_close(model(front, BLOCKS), model(images), rtol=1e-4, atol=1e-5)


def test_an_unreadable_photograph_leaves_no_gap(loader: Loader, photos: Path, tmp_path: Path) -> None:
    loader.samples[3].path.write_text("no photo")
    loader.skipped = Skipped()
    fast, exact = _fronts(network())
    stored = ActivationCache(loader, fast, BLOCKS, 1, tmp_path)
    shown = np.concatenate([b.indices for b in stored.epoch(0)])
    assert len(shown) == 4 * len(loader)
    assert 3 not in shown
    evaluated = ActivationCache(Loader(loader.samples, PREPROCESS, 4, skipped=Skipped()), exact, BLOCKS, 1, tmp_path)
    assert [i for b in evaluated.epoch(0) for i in b.indices] == [i for i in range(len(loader.labels)) if i != 3]


def test_views_need_frozen_blocks() -> None:
    for freeze in ("none", "backbone", 0):
        with pytest.raises(UserError, match=r"views: 2 .* freeze a number of blocks"):
            Recipe(freeze=freeze, views=2)


def test_too_many_views_for_the_disk_are_refused(
    loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(views_module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"views: .* GB are needed"):
        ActivationCache(loader, _fronts(network())[0], BLOCKS, 2, tmp_path)
    assert list(tmp_path.glob("tmp*")) == []


def test_training_on_them_is_deterministic_learns_and_resumes_exactly(cli: Cli, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", ("daisy", "rose"), 16)
    run = train(photos, tmp_path / "run", CHANGES, epochs=5, precision="fp32", **QUICK)
    history = [float(row["train_loss"]) for row in csv.DictReader((run.path / "history.csv").open())]
    assert history[-1] < history[0]
    out = tmp_path / "stopped"
    options = [f"--{k}={v}" for k, v in {**QUICK, "epochs": 5, "precision": "fp32", "workers": 1}.items()]
    changes = [f"--set={k}={v}" for k, v in CHANGES.items()]
    stopped = interrupted(lambda step: step == 6, "train", photos, "--out", out, *options, *changes)
    assert stopped.returncode == 130, stopped.stderr
    assert (out / "checkpoint" / "last.pt").exists()
    assert cli("train", "--resume", "--out", out).returncode == 0
    whole, resumed = (read_tensors(folder / "model.safetensors") for folder in (run.path, out))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert [p.name for p in (run.path / "checkpoint").iterdir()] == ["last.pt"]
