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
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Cli, is_one_line_error
from mobilenets.artifact import ModelCard, read_card, read_tensors, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.search.job import resume, search
from mobilenets.search.journal import Journal
from mobilenets.search.latency import CHUNK
from mobilenets.search.layout import resized
from mobilenets.spec import build

Trained = tuple[Path, Path]


def test_a_run_that_is_fast_enough_is_nothing_to_do(cli: Cli, trained: Trained, tmp_path: Path) -> None:
    folder, data = trained
    result = cli("search", data, "--from", folder, "--latency", "1s", "--out", "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("nothing to do: the run takes 0.")
    assert not (tmp_path / "out").exists()


def test_wrong_use_is_one_line(cli: Cli, trained: Trained) -> None:
    folder, data = trained
    assert is_one_line_error(cli("search"), "DATA", "--from runs/photos")
    assert is_one_line_error(cli("search", data, "--latency", "1ms"), "--from RUN")
    assert is_one_line_error(cli("search", data, "--from", folder), "--latency MS")
    assert is_one_line_error(cli("search", data, "--from", folder, "--latency", "fast"), "fast", "2.0ms")
    assert is_one_line_error(cli("search", "--resume"), "--out")
    assert is_one_line_error(cli("search", data, "--resume", "--out", "x"), "DATA", "leave it out")
    assert is_one_line_error(cli("search", "--resume", "--threads", "2", "--out", "x"), "--threads")


def test_a_budget_an_engine_or_data_that_cannot_be_is_one_line(cli: Cli, trained: Trained) -> None:
    folder, data = trained
    asked = ("--from", folder, "--latency")
    assert is_one_line_error(cli("search", data, *asked, "1us"), "--latency", "smallest possible is")
    assert is_one_line_error(cli("search", data, *asked, "1ms", "--engine", "litert"), "--engine litert", "openvino")
    assert is_one_line_error(cli("search", "gone", *asked, "1us"), "gone: no such file or folder")


def test_what_evolve_cannot_do_is_one_line(cli: Cli, trained: Trained) -> None:
    folder, data = trained
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


def test_the_commands_that_its_report_recommends_work_on_what_was_found(
    cli: Cli, searched: Path, trained: Trained, tmp_path: Path
) -> None:
    page = unescape((searched / "report.html").read_text("utf-8"))
    evaluate = f"mobilenets evaluate {searched} DATA"
    train = f"# train this network on\nmobilenets train --config {searched / 'config.yaml'} --out NEW_FOLDER"
    audit = f"mobilenets audit {trained[1]} --html audit.html"
    assert all(command in page for command in (evaluate, train, audit))
    judged = cli("evaluate", searched, trained[1], "--json")
    assert (judged.returncode, json.loads(judged.stdout)["n"]) == (0, 40)
    result = cli("train", "--config", searched / "config.yaml", "--out", "again")
    assert result.returncode == 0, result.stderr
    found, again = read_card(searched), read_card(tmp_path / "again")
    assert (again.net, again.preprocess) == (found.net, found.preprocess)
    columns = [[row.split(",")[0] for row in _lines(run / "predictions.csv")] for run in (searched, tmp_path / "again")]
    assert columns[0] == columns[1]


def test_a_search_can_begin_with_what_another_found(cli: Cli, searched: Path, trained: Trained) -> None:
    result = cli("search", trained[1], "--from", searched, "--latency", "1s")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("nothing to do")


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_an_engine_that_is_not_installed_is_one_line(cli: Cli, trained: Trained, tmp_path: Path) -> None:
    folder, data = trained
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *args: None if name == 'openvino' else find(name, *args)\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    asked = ("search", data, "--from", folder, "--latency", "1us", "--engine", "openvino", "--out", "out")
    result = cli(*asked, env={"PYTHONPATH": path})
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


def _before_the_first_step(journal: dict[str, Any]) -> bool:
    return bool(journal["plan"]) and not journal["steps"]


def _in_the_second_step(journal: dict[str, Any]) -> bool:
    return len(journal["steps"]) == 1


def _in_the_last_training(journal: dict[str, Any]) -> bool:
    return journal["epochs"] is not None


@pytest.mark.parametrize("when", [_before_the_first_step, _in_the_second_step, _in_the_last_training])
def test_a_search_stopped_by_ctrl_c_goes_on_to_the_same_weights(
    cli: Cli,
    searched: Path,
    latency_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: Callable[[dict[str, Any]], bool],
) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(latency_home))
    out = tmp_path / "out"
    _assert_stopped(_command(searched, out), out, lambda: when(_journal(out)))
    assert resume(out).path == out
    _assert_equal(searched, out)
    assert is_one_line_error(cli("search", "--resume", "--out", out), "complete", "another --out")


def test_ctrl_c_while_blocks_are_timed_keeps_those_that_were(
    searched: Path, latency_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (complete,) = (latency_home / "latency").iterdir()
    table = tmp_path / "home" / "latency" / complete.name
    content = json.loads(complete.read_text())
    blocks = [key for key in content["ms"] if not key.startswith("network")]
    for key in blocks[: CHUNK + 6]:
        del content["ms"][key]
    before = len(content["ms"])
    table.parent.mkdir(parents=True)
    table.write_text(json.dumps(content))
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))

    def timed() -> dict[str, float]:
        return dict(json.loads(table.read_text())["ms"])

    out = tmp_path / "out"
    _assert_stopped(_command(searched, out), out, lambda: len(timed()) > before)
    assert "accuracy" not in _journal(out)["seed"]  # that comes after
    kept = timed()
    assert resume(out).path == out
    assert len(timed()) > len(kept) > before
    assert kept.items() <= timed().items()
    again = search(Journal.read(out).ask, tmp_path / "again").path
    assert again is not None
    _assert_equal(again, out)


def _command(searched: Path, out: Path) -> list[str]:
    """What its page says to search again with."""
    lines = unescape((searched / "search.html").read_text("utf-8")).splitlines()
    (command,) = [line.removesuffix("</pre>") for line in lines if line.startswith("mobilenets search ")]
    return [*shlex.split(command)[1:], "--out", str(out)]


def _journal(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "checkpoint" / "search.json").read_text("utf-8")))


def _assert_stopped(command: list[str], out: Path, when: Callable[[], bool]) -> None:
    """A command that gets Ctrl-C, as a terminal sends it to all of its processes, once `when` is true, can go on."""
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
            if when():
                os.killpg(process.pid, signal.SIGINT)
                break
        time.sleep(0.01)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert said == f"interrupted; go on with: mobilenets search --resume --out {out}\n"
    assert "Traceback" not in errors
    assert not (out / "search.json").exists()


def _assert_equal(one: Path, other: Path) -> None:
    """The same weights, bit for bit."""
    first, second = (read_tensors(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name], err_msg=name)
