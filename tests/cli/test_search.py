"""`mobilenets search` as a user runs it: wrong use in one line, nothing to do, and the table of what was found."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from html import unescape
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clockwork import Clockwork
from conftest import Cli, is_one_line_error, write_photos
from mobilenets.arch import build
from mobilenets.cli.main import main
from mobilenets.errors import UserError
from mobilenets.model_card import ModelCard, read_card, read_tensors, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.job import resume, search
from mobilenets.searching.latency.table import CHUNK, NETWORK_TIMES
from mobilenets.searching.latency.timer import Part
from mobilenets.searching.pruning.groups import with_channels
from mobilenets.searching.result import SearchResult
from mobilenets.searching.state import SearchState
from mobilenets.system.timing import Effort, Estimate, Measured
from stopped import interrupted

Trained = tuple[Path, Path]


@pytest.fixture
def by_clockwork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands within this process time nothing: that the engine is timed is shown in test_latency.py."""
    monkeypatch.setattr("mobilenets.searching.latency.table.EngineTimer", lambda *_: Clockwork())


@pytest.mark.usefixtures("by_clockwork")
def test_a_run_that_is_fast_enough_is_nothing_to_do(cli: Cli, trained: Trained, tmp_path: Path) -> None:
    folder, data = trained
    result = cli("search", data, "--from", folder, "--latency", "1s", "--out", "out")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("nothing to do: the run takes ")
    assert not (tmp_path / "out").exists()


def test_wrong_use_is_one_line(cli: Cli, trained: Trained) -> None:
    folder, data = trained
    assert is_one_line_error(cli("search"), "DATA", "--from runs/photos")
    assert is_one_line_error(cli("search", data, "--latency", "1ms"), "--from RUN")
    assert is_one_line_error(cli("search", data, "--from", folder), "--latency MS")
    assert is_one_line_error(cli("search", data, "--from", folder, "--latency", "fast"), "fast", "2.0ms")
    assert is_one_line_error(cli("search", "--resume"), "--out")
    assert is_one_line_error(cli("search", data, "--from", folder, "--latency", "1ms", "--data", "x"), "--data")
    assert is_one_line_error(cli("search", data, "--resume", "--out", "x"), "x: holds no search to go on with")


def test_a_resumed_search_refuses_what_was_not_asked_and_takes_what_was(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, data = trained
    monkeypatch.chdir(run.parent)
    SearchState(tmp_path / "out", SearchConfig(data.name, run.name, 2.0, threads=1), cwd=str(run.parent)).save()
    monkeypatch.chdir(tmp_path)
    same = ("search", str(data), "--from", str(run), "--latency", "2ms", "--resume", "--out", "out")
    for options, named in (
        (["--threads", "2"], "--threads: 2 now, but 1 when the search in out began"),
        (["--latency", "1ms"], "--latency: 1.0 now, but 2.0 when"),
        (["--from", "elsewhere"], "--from: elsewhere now, but"),
    ):
        assert main([*same, *options]) == 2
        assert named in capsys.readouterr().err
    assert main(["search", "elsewhere", *same[2:]]) == 2
    assert "DATA: elsewhere now, but" in capsys.readouterr().err
    write_photos(tmp_path / "others", ("daisy", "rose"), 5, size=40, seed=9)
    assert main([*same, "--data", "others"]) == 2  # it agrees, and these are not the run's photographs
    assert f"others: holds none of the photos of {run}" in capsys.readouterr().err


def test_a_budget_an_engine_or_data_that_cannot_be_is_one_line(cli: Cli, trained: Trained) -> None:
    folder, data = trained
    asked = ("--from", folder, "--latency")
    assert is_one_line_error(cli("search", data, *asked, "1ms", "--engine", "litert"), "--engine: 'litert'", "openvino")
    assert is_one_line_error(cli("search", "gone", *asked, "1us"), "gone: no such file or folder")


def test_what_evolve_cannot_do_is_one_line(cli: Cli, trained: Trained) -> None:
    folder, data = trained
    asked = ("search", data, "--from", folder, "--latency", "1us")
    assert is_one_line_error(cli(*asked, "--method", "evolve", "--exponent", "1"), "--exponent", "-0.07")
    assert is_one_line_error(cli(*asked, "--evaluations", "9"), "--evaluations", "--method evolve")
    assert is_one_line_error(cli(*asked, "--method", "breed"), "breed", "netadapt, evolve")


def test_show_prints_the_table_of_a_network_that_was_cut(cli: Cli, tmp_path: Path) -> None:
    net = with_channels(build("mobilenet_v2", num_classes=2), {"blocks.3.exp": 88, "blocks.6.out": 40})
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


def test_the_commands_that_its_report_recommends_work_on_what_was_found(
    cli: Cli, searched: Path, trained: Trained, tmp_path: Path
) -> None:
    page = unescape((searched / "report.html").read_text("utf-8"))
    evaluate = f"mobilenets evaluate {searched} DATA"
    train = f"# train this network on\nmobilenets train --config {searched / 'config.yaml'} --out NEW_FOLDER"
    audit = f"mobilenets audit {trained[1]} --html audit.html"
    assert all(command in page for command in (evaluate, train, audit))
    judged = cli("evaluate", searched, trained[1], "--json")
    figures = json.loads(judged.stdout)
    assert (judged.returncode, figures["n"], figures["trained_on"]["n"]) == (0, 8, 32)
    result = cli("train", "--config", searched / "config.yaml", "--out", "again")
    assert result.returncode == 0, result.stderr
    found, again = read_card(searched), read_card(tmp_path / "again")
    assert (again.net, again.preprocess) == (found.net, found.preprocess)
    columns = [[row.split(",")[0] for row in _lines(run / "predictions.csv")] for run in (searched, tmp_path / "again")]
    assert columns[0] == columns[1]


def test_a_search_can_begin_with_what_another_found(searched: Path, trained: Trained, home: Path) -> None:
    found = search(SearchConfig(str(trained[1]), str(searched), 1000.0), timer=Clockwork())
    assert found.path is None


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_an_engine_that_is_not_installed_is_one_line(
    cli: Cli, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, data = trained
    find = PathFinder.find_spec
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *args: None if name == "openvino" else find(name, *args))
    monkeypatch.delitem(sys.modules, "openvino", raising=False)  # what is imported is not looked for
    asked = ("search", data, "--from", folder, "--latency", "1us", "--engine", "openvino", "--out", "out")
    result = cli(*asked)
    assert is_one_line_error(result, "--engine openvino: is not installed", "pip install 'mobilenets[openvino]'")
    assert not (tmp_path / "out").exists()


def test_a_search_from_what_is_no_run_is_one_line(cli: Cli, trained: Trained, tmp_path: Path) -> None:
    folder, data = trained
    for wrong in (tmp_path / "gone", folder / "model.safetensors"):
        result = cli("search", data, "--from", wrong, "--latency", "1us", "--out", "out")
        assert is_one_line_error(result, f"--from {wrong}", "no run folder")
    assert not (tmp_path / "out").exists()


def test_photographs_that_are_gone_are_one_line(cli: Cli, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text("path,label\ndaisy/0.jpg,daisy\nrose/0.jpg,rose\n")
    result = cli("search", "photos.csv", "--from", trained[0], "--latency", "1us", "--out", "out")
    assert is_one_line_error(result, "photos.csv, line 2: daisy/0.jpg: no such file")
    assert not (tmp_path / "out").exists()


def _in_the_second_step(state: dict[str, Any]) -> bool:
    return len(state["steps"]) == 1


def _in_the_last_training(state: dict[str, Any]) -> bool:
    return state["epochs"] is not None


@pytest.mark.usefixtures("by_clockwork")
def test_a_search_stopped_by_ctrl_c_again_and_again_goes_on_to_the_same_weights(
    cli: Cli, searched: Path, latency_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(latency_home))
    out = tmp_path / "out"
    _assert_stopped(_command(searched, out), out, _in_the_second_step)
    again = interrupted(lambda step: _in_the_last_training(_journal(out)), "search", "--resume", "--out", out)
    _assert_says_how_to_go_on(again.returncode, again.stdout, again.stderr, out)
    assert resume(out, timer=Clockwork()).path == out
    _assert_equal(searched, out)
    assert is_one_line_error(cli("search", "--resume", "--out", out), "complete", "another --out")


class Stopped(Clockwork):
    """Ctrl-C comes in the middle of the `chunks`-th measurement."""

    def __init__(self, chunks: int) -> None:
        super().__init__()
        self.chunks = chunks

    def measure(self, parts: Sequence[Part], effort: Effort) -> Measured:
        self.chunks -= 1
        if not self.chunks:
            raise KeyboardInterrupt
        return super().measure(parts, effort)


def test_ctrl_c_while_blocks_are_timed_keeps_those_that_were(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    config = SearchConfig(**json.loads((searched / "search.json").read_text())["asked"])
    out = tmp_path / "out"
    assert search(
        config, out, Stopped(NETWORK_TIMES + 2)
    ).interrupted  # the two ends, a chunk of blocks, half of another
    assert "accuracy" not in _journal(out)["seed"]  # that comes after
    (table,) = (tmp_path / "home" / "latency").iterdir()
    kept = json.loads(table.read_text())["ms"]
    assert len(kept) == 2 + CHUNK
    assert resume(out, timer=Clockwork()).path == out
    known = json.loads(table.read_text())["ms"]
    assert len(known) > len(kept)
    assert kept.items() <= known.items()
    _assert_equal(searched, out)


def _estimate(ms: float, spread: float = 0.0) -> Estimate:
    return Estimate(ms / 1000, (1 - spread) * ms / 1000, (1 + spread) * ms / 1000)


class Ends(Clockwork):
    """Measures the run's own network and the smallest as it is told, each time anew; further networks as Clockwork.

    `stop`: Ctrl-C comes instead of what follows.
    """

    def __init__(self, *rows: tuple[Estimate, Estimate], stop: bool = False) -> None:
        super().__init__()
        self.stop = stop
        self.rows = [row for row in rows for _ in range(NETWORK_TIMES)]

    def measure(self, parts: Sequence[Part], effort: Effort) -> Measured:
        if self.stop and not self.rows:
            raise KeyboardInterrupt
        measured = super().measure(parts, effort)
        return Measured(list(self.rows.pop(0)), measured.reference) if self.rows else measured


def _search(trained: Trained, out: Path, budget_ms: float, timer: Clockwork) -> SearchResult:
    return search(SearchConfig(str(trained[1]), str(trained[0]), budget_ms, tune=1, epochs=1), out, timer)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_budget_beyond_doubt_below_the_smallest_network_is_refused(
    trained: Trained, tmp_path: Path, home: Path
) -> None:
    timer = Ends((_estimate(0.4), _estimate(0.3)))
    with pytest.raises(UserError, match=r"out of reach of .*, which takes 0\.4 ms; the smallest possible is 0\.3 ms"):
        _search(trained, tmp_path / "out", 0.286, timer)
    assert not timer.rows  # once was enough


def test_a_smaller_network_that_measures_slower_is_measured_again_and_never_out_of_reach(
    trained: Trained, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise, sound = (_estimate(0.408), _estimate(0.593)), (_estimate(0.4), _estimate(0.05))
    result = _search(trained, tmp_path / "one", 0.39, Ends(noise, sound, stop=True))
    assert (result.path, result.interrupted) == (tmp_path / "one", True)  # it had begun
    assert "busy" not in capsys.readouterr().err
    home.rename(tmp_path / "old")
    result = _search(trained, tmp_path / "two", 0.39, Ends(noise, noise, stop=True))
    assert (result.path, result.interrupted) == (tmp_path / "two", True)
    assert ": the smallest network takes 0.593 to 0.593 ms; searching all the same" in capsys.readouterr().err


def test_a_budget_within_what_a_busy_machine_can_tell_is_told_after_one_more_try(
    trained: Trained, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsure = _estimate(0.38, 0.2), _estimate(0.1, 0.01)
    timer = Ends(unsure, unsure)
    assert _search(trained, tmp_path / "out", 0.4, timer).path is None
    assert not timer.rows
    told = "search: too busy to measure 0.4 ms: the run takes 0.304 to 0.456 ms; taken to be within it\n"
    assert capsys.readouterr().err.endswith(told)


def _command(searched: Path, out: Path) -> list[str]:
    """What its page says to search again with."""
    lines = unescape((searched / "search.html").read_text("utf-8")).splitlines()
    (command,) = [line.removesuffix("</pre>") for line in lines if line.startswith("mobilenets search ")]
    return [*shlex.split(command)[1:], "--out", str(out)]


def _journal(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "checkpoint" / "search.json").read_text("utf-8")))


def _assert_stopped(command: list[str], out: Path, when: Callable[[dict[str, Any]], bool]) -> None:
    """A command that gets Ctrl-C, as a terminal sends it to all of its processes, once `when` is true, can go on.

    `when` sees what the search has written down so far.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "mobilenets", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            if when(_journal(out)):
                os.killpg(process.pid, signal.SIGINT)
                break
        time.sleep(0.01)
    said, errors = process.communicate(timeout=120)
    _assert_says_how_to_go_on(process.returncode, said, errors, out)


def _assert_says_how_to_go_on(code: int | None, said: str, errors: str, out: Path) -> None:
    assert code == 130, errors
    assert said == f"interrupted; go on with: mobilenets search --resume --out {out}\n"
    assert "Traceback" not in errors
    assert not (out / "search.json").exists()


def _assert_equal(one: Path, other: Path) -> None:
    """The same weights, bit for bit."""
    first, second = (read_tensors(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name], err_msg=name)
