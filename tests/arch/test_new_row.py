"""A kind of row that the package has never seen: it says its layers, and everything else follows.

Nothing but this file knows of `Mixer`. Its cost, module, names of weights, pruning groups and printed line come from
its `layers`; a file may name it after one line, `ROWS[Mixer.kind] = Mixer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F

from mobilenets.arch import build
from mobilenets.arch.cost import costs
from mobilenets.arch.layers import Gate, Layer, depthwise, pointwise
from mobilenets.arch.net import Net
from mobilenets.arch.rows import ROWS, Row
from mobilenets.cli.main import main
from mobilenets.errors import UserError
from mobilenets.nn.model import MobileNet
from mobilenets.weights.convert import convert, export_state
from mobilenets.weights.layouts import TIMM
from small import write_random


@dataclass(frozen=True)
class Mixer(Row):
    """Depthwise first, then wide and back, with a gate on the wide part."""

    kind: ClassVar[str] = "mixer"
    kernel: int
    exp: int
    out: int
    act: str
    stride: int
    dilation: int = 1

    def layers(self, channels: int) -> Iterator[Layer | Gate]:
        yield depthwise("mix", self.kernel, channels, "none", self.stride, self.dilation, None)
        yield pointwise("widen", channels, self.exp, self.act, "exp")
        yield Gate("gate", self.exp, 4)
        yield pointwise("narrow", self.exp, self.out, "none", "out")

    def residual(self, channels: int) -> bool:
        return self.stride == 1 and channels == self.out

    @property
    def title(self) -> str:
        return f"mixer, {self.kernel}x{self.kernel}"


IN, EXP, OUT = 24, 40, 32
BLOCK = 3  # of MobileNetV2, the first with 32 channels


@pytest.fixture
def net() -> Net:
    """MobileNetV2 whose fourth block, 24 channels to 32 at stride 2, and the two after it are mixers."""
    v2 = build("mobilenet_v2", num_classes=3)
    first, same = Mixer(5, EXP, OUT, "relu", 2), Mixer(5, EXP, OUT, "relu", 1)
    return replace(v2, blocks=(*v2.blocks[:BLOCK], first, same, same, *v2.blocks[6:])).checked()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, Mixer.kind, Mixer)


def test_it_has_a_cost(net: Net) -> None:
    row = {row.name: row for row in costs(net, 224)}[f"blocks.{BLOCK}"]
    assert (row.size, row.channels, row.out_size, row.out) == (56, IN, 28, OUT)
    gate = 2 * EXP * 4
    assert row.macs == 28**2 * (25 * IN + IN * EXP + EXP * OUT) + gate
    norms = 2 * (IN + EXP + OUT)
    assert row.params == 25 * IN + IN * EXP + EXP * OUT + norms + gate + 4 + EXP
    assert row.activation_bytes == 4 * IN * (56**2 + 28**2)


def test_it_has_a_module_that_runs_its_layers_in_order_and_adds_the_input(net: Net) -> None:
    torch.manual_seed(0)
    block = MobileNet(net).blocks[BLOCK + 1].eval()
    state = block.state_dict()

    def conv(x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        return F.conv2d(x, state[f"{name}.conv.weight"], **options) / (1 + net.norm_eps) ** 0.5  # a new BatchNorm

    x = torch.randn(2, OUT, 9, 9)
    wide = F.relu(conv(conv(x, "mix", padding=2, groups=OUT), "widen"))
    squeezed = F.relu(F.conv2d(wide.mean((2, 3), keepdim=True), state["gate.reduce.weight"]))
    gated = wide * F.hardsigmoid(F.conv2d(squeezed, state["gate.expand.weight"]))
    torch.testing.assert_close(block(x), x + conv(gated, "narrow"))


def test_its_weights_are_converted_under_the_names_that_one_line_gives(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TIMM, Mixer.kind, {"mix": "conv_mix", "widen": "conv_pw", "narrow": "conv_pwl"})
    model = MobileNet(net)
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    theirs = export_state(model.state_dict(), net, "timm")
    assert torch.equal(theirs["blocks.2.0.conv_mix.weight"], state[f"blocks.{BLOCK}.mix.conv.weight"])
    assert torch.equal(theirs["blocks.2.0.bn3.bias"], state[f"blocks.{BLOCK}.narrow.norm.bias"])
    assert torch.equal(theirs["blocks.2.0.se.conv_reduce.bias"], state[f"blocks.{BLOCK}.gate.reduce.bias"])
    for layout in (theirs, model.state_dict()):
        converted = convert(layout, net).state
        assert converted.keys() == state.keys()
        assert all(torch.equal(converted[name], state[name]) for name in state)


@pytest.mark.usefixtures("known")
def test_it_is_printed_and_read_from_a_file(net: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_random(tmp_path / "mixers.safetensors", net, ("a", "b", "c"), 64)
    assert main(["show", str(file), "--size", "224"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "mixer, " in line)
    assert line.split() == ["56x56x24", "mixer,", "5x5", "40", "32", "yes", "RE", "2", "3,396", "2,226,880"]
    assert Net.from_dict(net.to_dict()) == net


def test_a_file_that_names_a_kind_nobody_has_is_refused(net: Net) -> None:
    with pytest.raises(UserError, match=r"network: not a description this version reads.*mixer"):
        Net.from_dict(net.to_dict())


def test_its_numbers_are_checked(net: Net) -> None:
    with pytest.raises(UserError, match="kernel: 4 is even"):
        replace(net, blocks=(*net.blocks[:BLOCK], Mixer(4, EXP, OUT, "relu", 2), *net.blocks[4:])).checked()


def test_its_channels_can_be_cut(net: Net) -> None:
    from mobilenets.searching.pruning.groups import channel_groups, with_channels
    from mobilenets.searching.pruning.importance import slice_channels

    groups = channel_groups(net)
    width, wide = f"blocks.{BLOCK}.out", f"blocks.{BLOCK + 1}.exp"
    assert groups.by_name[width].size == OUT
    assert {f"blocks.{i}.narrow" for i in range(BLOCK, BLOCK + 3)} < set(
        groups.by_name[width].writers
    )  # a residual chain
    cut_net = with_channels(net, {width: 16, wide: 8})
    assert cut_net is not None
    assert [(row.exp, row.out) for row in cut_net.blocks[BLOCK : BLOCK + 3]] == [(EXP, 16), (8, 16), (EXP, 16)]
    torch.manual_seed(0)
    model = MobileNet(net).eval()
    for name in ("norm.weight", "norm.bias"):  # what is silent can go without a trace
        model.state_dict()[f"blocks.{BLOCK + 1}.widen.{name}"][8:] = 0
    x = torch.randn(2, 3, 40, 40)
    with torch.inference_mode():
        cut = slice_channels(model, {wide: torch.arange(8)})
        torch.testing.assert_close(cut(x), model(x), atol=1e-5, rtol=1e-4)
    assert cut.blocks[BLOCK + 1].widen.conv.out_channels == 8
