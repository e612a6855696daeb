"""`mobilenets search` as a user runs it: wrong use in one line, nothing to do, and the table of what was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Cli, is_one_line_error
from mobilenets.artifact import ModelCard, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.search.layout import resized
from mobilenets.spec import build
from mobilenets.training.run import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from conftest import write_photos

    folder = tmp_path_factory.mktemp("run")
    data = write_photos(folder / "photos", ("daisy", "rose"), 10, size=40)
    result = train(
        data, folder / "run", model="mobilenet_v3_small", width=0.35, recipe="scratch", epochs=1, size=32,
        precision="fp32",
    )  # fmt: skip
    return result.path, data


def test_a_run_that_is_fast_enough_is_nothing_to_do(cli: Cli, run: tuple[Path, Path], tmp_path: Path) -> None:
    folder, data = run
    result = cli("search", data, "--from", folder, "--latency", "1s", "--out", "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("nothing to do: the run takes 0.")
    assert not (tmp_path / "out").exists()


def test_wrong_use_is_one_line(cli: Cli, run: tuple[Path, Path]) -> None:
    folder, data = run
    assert is_one_line_error(cli("search"), "DATA", "--from runs/photos")
    assert is_one_line_error(cli("search", data, "--latency", "1ms"), "--from RUN")
    assert is_one_line_error(cli("search", data, "--from", folder), "--latency MS")
    assert is_one_line_error(cli("search", data, "--from", folder, "--latency", "fast"), "fast", "2.0ms")
    assert is_one_line_error(cli("search", "--resume"), "--out")
    assert is_one_line_error(cli("search", data, "--resume", "--out", "x"), "DATA", "leave it out")
    assert is_one_line_error(cli("search", "--resume", "--threads", "2", "--out", "x"), "--threads")


def test_a_budget_an_engine_or_data_that_cannot_be_is_one_line(cli: Cli, run: tuple[Path, Path]) -> None:
    folder, data = run
    asked = ("--from", folder, "--latency")
    assert is_one_line_error(cli("search", data, *asked, "1us"), "--latency", "smallest possible is")
    assert is_one_line_error(cli("search", data, *asked, "1ms", "--engine", "litert"), "--engine litert", "openvino")
    assert is_one_line_error(cli("search", "gone", *asked, "1us"), "gone: no such file or folder")


def test_what_evolve_cannot_do_is_one_line(cli: Cli, run: tuple[Path, Path]) -> None:
    folder, data = run
    asked = ("search", data, "--from", folder, "--latency", "1us")
    assert is_one_line_error(cli(*asked, "--method", "evolve"), "--latency", "smallest possible is")
    assert is_one_line_error(cli(*asked, "--method", "evolve", "--exponent", "1"), "--exponent", "-0.07")
    assert is_one_line_error(cli(*asked, "--evaluations", "9"), "--evaluations", "--method evolve")
    assert is_one_line_error(cli(*asked, "--method", "breed"), "breed", "netadapt, evolve")


def test_show_prints_the_table_of_a_network_that_was_cut(cli: Cli, tmp_path: Path) -> None:
    net = resized(build("mobilenet_v2", num_classes=2), {"blocks.3.exp": 88, "blocks.6.out": 40})
    assert net is not None
    state = {k: v.numpy() for k, v in MobileNet(net).state_dict().items()}
    write_safetensors(tmp_path / "model.safetensors", state, ModelCard("cut", net, ("a", "b"), Preprocess(size=96)))
    result = cli("show", tmp_path)
    assert result.returncode == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[6][:5] == ["24x24x24", "bneck,", "3x3", "88", "32"]
    assert rows[10][0] == "6x6x40"
    assert "at 96x96" in result.stdout
    assert "at 64x64" in cli("show", tmp_path / "model.safetensors", "--size", "64").stdout
    assert is_one_line_error(cli("show", tmp_path, "--width", "0.5"), "--width", "has its own")
