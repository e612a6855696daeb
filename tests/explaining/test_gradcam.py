"""The heat map of every network, compared with its formula, worked out by autograd through the whole network."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from mobilenets.arch import NAMES
from mobilenets.errors import UserError
from mobilenets.explaining.gradcam import Explainer
from mobilenets.model_card import write_safetensors
from mobilenets.preprocess.decode import UnreadableImage
from mobilenets.runtime.engines.torch import TorchEngine
from small import CLASSES, card_of, network, noise

VARIANTS = [
    *((name, {}) for name in NAMES),
    ("mobilenet_v2", {"width": 1.4}),
    ("mobilenet_v3_large", {"output_stride": 16}),
    ("mobilenet_v3_small", {"output_stride": 8, "reduced_tail": True}),
    ("mobilenet_v3_small", {"flavor": "timm"}),
    ("mobilenet_v4_conv_small", {"in_channels": 1}),
]


def explainer(name: str = "mobilenet_v3_small", size: int = 96, **options: Any) -> Explainer:
    model = network(name, **options)
    grey: dict[str, Any] = {"mode": "L", "mean": (0.5,), "std": (0.25,)} if model.net.in_channels == 1 else {}
    return Explainer(TorchEngine(model, card_of(model, size, **grey)))


def by_formula(engine: TorchEngine, pixels: np.ndarray, target: int) -> tuple[torch.Tensor, float]:
    """The map at its own size: Selvaraju et al. 2017, equation 1, with the rest spread evenly; and what it explains."""
    model = engine.model
    maps: list[torch.Tensor] = []
    handle = model.last.register_forward_hook(lambda module, inputs, output: maps.append(output))
    images = torch.from_numpy(engine.card.preprocess.normalize(pixels[None])).requires_grad_()
    logs = model(images)[0].log_softmax(0)
    handle.remove()
    others = torch.cat([logs[:target], logs[target + 1 :]])
    score = logs[target] - others.max()
    slopes = torch.autograd.grad(score, maps[0])[0].sum((2, 3), keepdim=True)
    cam = (slopes * maps[0]).sum(1)[0]
    return (cam + score - cam.mean()).detach(), score.item()


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda v: v if isinstance(v, str) else str(v or ""))
def test_the_map_is_that_of_the_formula(name: str, options: dict[str, Any]) -> None:
    subject = explainer(name, **options)
    engine = subject._network
    pixels, targets = np.repeat(noise(4, engine.card.preprocess)[1:3], 3, axis=0), np.tile(np.arange(3), 2)
    heat = subject.heat(pixels, targets)
    assert (heat.dtype, heat.shape) == (np.float32, (6, 96, 96))
    assert heat.any()
    for one, picture, target in zip(heat, pixels, targets, strict=True):
        cam, score = by_formula(engine, picture, target)
        assert 96 // cam.shape[0] == options.get("output_stride", 32)
        assert cam.mean().item() == pytest.approx(score, rel=1e-3, abs=1e-4)
        large = F.interpolate(cam[None, None], (96, 96), mode="bicubic").clamp(min=0)[0, 0].numpy()
        assert np.allclose(one, large / (large.max() or 1), atol=1e-4)
        assert one.min() >= 0
        assert one.max() in (0, 1)


def test_before_pooling_and_one_layer_it_is_what_the_network_says_of_each_place() -> None:
    """V1 has no layer between pooling and classifier: the classifier itself can be asked at every place."""
    subject = explainer("mobilenet_v1", size=64)
    model = subject._network.model
    model.classifier = nn.Linear(model.head_width, 2)  # of two classes the odds are linear too
    model.classifier.bias.data = torch.tensor([0.3, -0.2])
    pixels = noise(3, subject._network.card.preprocess)
    with torch.inference_mode():
        features = model.forward_features(torch.from_numpy(subject._network.card.preprocess.normalize(pixels)))
        logits = model.classifier(features.movedim(1, -1))  # (N, h, w, 2)
        odds = (logits[..., 0] - logits[..., 1])[:, None]
        large = F.interpolate(odds, (64, 64), mode="bicubic").clamp(min=0)[:, 0]
    assert large.any()
    expected = large / large.amax((1, 2), keepdim=True).clamp(min=1e-9)
    assert np.allclose(subject.heat(pixels, np.zeros(3, int)), expected, atol=1e-4)


def test_some_place_always_speaks_for_the_predicted_class() -> None:
    subject = explainer("mobilenet_v2", size=64)
    pixels = noise(8, subject._network.card.preprocess)
    for bias in ([0.0, 0.0, 0.0], [3.0, 0.0, -3.0], [-9.0, -9.5, -9.0]):
        subject._network.model.classifier.bias.data = torch.tensor(bias)
        heat = subject.heat(pixels, subject._network(pixels).argmax(1))
        assert (heat.max((1, 2)) == 1).all()


def test_what_is_added_to_every_class_changes_no_map() -> None:
    subject = explainer(size=64)
    pixels, targets = noise(3, subject._network.card.preprocess), np.arange(3)
    before = subject.heat(pixels, targets)
    classifier = subject._network.model.classifier
    classifier.weight.data += torch.linspace(-1, 1, classifier.in_features)
    classifier.bias.data += 5
    assert np.allclose(subject.heat(pixels, targets), before, atol=1e-3)


def test_an_explanation_holds_what_the_network_saw_and_what_it_said(tmp_path: Path) -> None:
    subject = explainer(size=64)
    Image.fromarray(noise(3, subject._network.card.preprocess)[1]).resize((200, 120)).save(tmp_path / "a.png")
    seen = subject.explain(tmp_path / "a.png")
    assert seen.crop.shape == (64, 64, 3)
    assert seen.crop.dtype == np.uint8
    assert seen.prediction.path == str(tmp_path / "a.png")
    assert seen.label == seen.prediction.label == seen.prediction.top[0][0]
    assert seen.probability == seen.prediction.probability
    assert [name for name, _ in seen.prediction.top] == sorted(
        CLASSES, key=lambda name: -dict(seen.prediction.top)[name]
    )
    assert sum(p for _, p in seen.prediction.top) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(seen.heat, subject.explain((tmp_path / "a.png").read_bytes()).heat)


def test_another_class_can_be_explained() -> None:
    subject = explainer(size=64)
    picture = Image.fromarray(noise(3, subject._network.card.preprocess)[1])
    maps = {}
    for name in CLASSES:
        seen = subject.explain(picture, name)
        assert (seen.label, seen.probability) == (name, dict(seen.prediction.top)[name])
        maps[name] = seen.heat
    assert not np.allclose(maps["雏菊"], maps["rose"], atol=0.05)


def test_a_class_the_network_does_not_know_is_refused() -> None:
    with pytest.raises(UserError, match=r"class: 'orchid' is none of this model's; it knows 雏菊, rose, tulip"):
        explainer().explain(Image.new("RGB", (64, 64)), "orchid")


def test_where_nothing_speaks_for_a_class_the_map_is_zero() -> None:
    subject = explainer("mobilenet_v1", size=64)
    classifier = subject._network.model.classifier
    classifier.weight.data[0] = classifier.weight.data.amin(0) - 1.0  # of features that are never negative
    classifier.bias.data.zero_()
    heat = subject.heat(noise(2, subject._network.card.preprocess), np.array([0, 0]))
    assert not heat.any()


def test_other_weights_give_another_map() -> None:
    subject = explainer(size=96)
    pixels = noise(3, subject._network.card.preprocess)[1:2]
    before = subject.heat(pixels, np.array([1]))
    torch.manual_seed(1)
    torch.nn.init.normal_(subject._network.model.classifier.weight)
    assert np.abs(subject.heat(pixels, np.array([1])) - before).mean() > 0.05


def test_frozen_weights_are_explained_alike() -> None:
    subject = explainer(size=64)
    pixels = noise(2, subject._network.card.preprocess)
    before = subject.heat(pixels, np.array([0, 1]))
    subject._network.model.requires_grad_(False)
    assert np.array_equal(subject.heat(pixels, np.array([0, 1])), before)


def test_threads_at_once_get_the_maps_of_one_after_another() -> None:
    subject = explainer(size=64)
    pictures = [Image.fromarray(p) for p in noise(8, subject._network.card.preprocess)] * 4
    alone = [subject.explain(picture, "rose").heat for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: subject.explain(picture, "rose").heat, pictures))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_run_folder_or_its_weights_are_opened(tmp_path: Path) -> None:
    model = network()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    write_safetensors(tmp_path / "model.safetensors", tensors, card_of(model))
    pixels = noise(2, card_of(model).preprocess)
    maps = [Explainer.open(path).heat(pixels, np.array([0, 1])) for path in (tmp_path, tmp_path / "model.safetensors")]
    assert np.array_equal(*maps)


def test_an_exported_graph_has_no_gradients(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"any")
    with pytest.raises(UserError, match=r"model\.onnx: only a network can be exported or explained"):
        Explainer.open(tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        Explainer.open(tmp_path)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    with pytest.raises(UnreadableImage, match=r"bad\.jpg"):
        explainer().explain(tmp_path / "bad.jpg")
