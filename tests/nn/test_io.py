"""A network is kept with its card and read back; what is no network is refused in a line that says what to give."""

from pathlib import Path

import pytest
import torch

from mobilenets.errors import UserError
from mobilenets.nn.io import open_network, read_network, write_network
from small import card_of, network


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a network, as far as `open_network` looks."""
    folder = tmp_path_factory.mktemp("run")
    model = network(blocks=3)
    write_network(folder / "model.safetensors", model, card_of(model))
    return folder


def test_a_network_that_was_kept_gives_the_same_answers(kept: Path) -> None:
    model = network(blocks=3)
    x = torch.randn(2, 3, 32, 32)
    for found in (read_network(kept / "model.safetensors"), open_network(kept)):
        assert found.card == card_of(model)
        assert found.model.net == model.net
        assert not found.model.training
        with torch.inference_mode():
            torch.testing.assert_close(found.model(x), model(x))


def test_what_is_written_again_is_the_same_file(kept: Path, tmp_path: Path) -> None:
    found = open_network(kept)
    write_network(tmp_path / "again.safetensors", found.model, found.card)
    assert (tmp_path / "again.safetensors").read_bytes() == (kept / "model.safetensors").read_bytes()


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    model = network(blocks=3)
    card = card_of(network(blocks=2))
    write_network(tmp_path / "x.safetensors", model, card)
    with pytest.raises(UserError, match=r"x\.safetensors: its tensors are not those of the network"):
        read_network(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("name", "said"),
    [("empty", "holds no model.safetensors"), ("gone", "no such file"), ("model.onnx", "only a network can be")],
)
def test_what_holds_no_network_is_refused_by_name(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(UserError, match=f"{name}: {said}"):
        open_network(tmp_path / name)
