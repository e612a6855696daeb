"""`mobilenets bench`: rows as documented, consistent with each other; wrong use in one line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mobilenets.arch import build, published
from mobilenets.arch.cost import total
from mobilenets.benchmarking.ceilings import Ceilings
from mobilenets.benchmarking.family import choose, sweep
from mobilenets.benchmarking.latency import doubt, measure
from mobilenets.benchmarking.tasks import tasks_of, write_random
from mobilenets.benchmarking.worker import Task
from mobilenets.cli.main import main
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard, read_card, write_safetensors
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.base import FLOAT, HALF

SMALL = "mobilenet_v3_small"
FIELDS = {
    "model", "engine", "precision", "threads", "batch", "quiet_ms", "quiet_low_ms", "quiet_high_ms", "median_ms",
    "p10_ms", "p90_ms", "images_per_s", "load_ms", "peak_mb", "bytes", "mmacs", "share_of_ceiling",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run")
    net = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2)).eval()
    card = ModelCard("small", net.net, ("a", "b"), Preprocess(size=32))
    write_safetensors(folder / "model.safetensors", {k: v.numpy() for k, v in net.state_dict().items()}, card)
    export_onnx(net, card, folder / "model.onnx")
    return folder


class Scripted:
    """Stands in for a worker where latencies matter: a call takes 0.1 ms for every million multiply-adds.

    Up to `noise` times that is added to each, from a seed.
    """

    noise = 0.02

    def __init__(self, task: Task, open: object = None) -> None:
        self.task, self.load_ms = task, 1.0
        card = read_card(task.path)
        self.macs = total(card.net, card.preprocess.size)[1]
        self._rng = np.random.default_rng(0)

    def run(self, times: int) -> list[float]:
        return [1e-10 * self.macs * (1 + self.noise * self._rng.random()) for _ in range(times)]

    def peak_mb(self) -> float | None:
        return None

    def close(self) -> None:
        pass


class Busy(Scripted):
    noise = 20.0


def test_a_run_is_measured_in_every_engine(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the real clock: what holds on whatever machine, idle or busy."""
    picture = tmp_path / "bench.png"
    threads = torch.get_num_threads()
    assert main(["bench", str(run), "--threads", "1", "--batch", "2", "--json", "--save", str(picture)]) == 0
    assert torch.get_num_threads() == threads
    rows = json.loads(capsys.readouterr().out)
    assert {row["engine"] for row in rows} >= {"onnxruntime", "openvino", "torch"}
    for row in rows:
        assert set(row) == FIELDS
        assert (row["model"], row["precision"], row["threads"], row["batch"]) == (str(run), "float32", 1, 2)
        assert 0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"]
        assert 0 < row["quiet_low_ms"] <= row["quiet_ms"] <= row["quiet_high_ms"]
        assert row["images_per_s"] == pytest.approx(2000 / row["median_ms"])
        assert row["mmacs"] == pytest.approx(total(build("mobilenet_v3_small", width=0.35, num_classes=2), 32)[1] / 1e6)
        assert 20 < row["peak_mb"] < 4000
        assert row["share_of_ceiling"] is None or 0 < row["share_of_ceiling"] <= 1
    sizes = {row["engine"]: row["bytes"] for row in rows}
    assert sizes["onnxruntime"] == (run / "model.onnx").stat().st_size
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_one_engine_in_a_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(run), "--engine", "onnxruntime"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["model", "engine", "precision"]
    assert "onnxruntime" in lines[1]
    assert "GMAC/s" in lines[-1]


@pytest.mark.slow
def test_the_family_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "family.png"
    arguments = ["bench", "--family", "mobilenet_v3_small_minimal", "--engine", "openvino", "--save", str(picture)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["model", "width", "size", "top-1"]
    assert lines[1].split()[:5] == ["mobilenet_v3_small_minimal", "1", "224", "61.9", "*"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_row_is_what_its_calls_took(run: Path) -> None:
    (row,) = measure([Task("small", run / "model.onnx", "onnxruntime", 1, 2)], start=Scripted)
    ms = total(build("mobilenet_v3_small", width=0.35, num_classes=2), 32)[1] / 1e7
    assert row.quiet_ms == pytest.approx(ms, rel=0.01)
    assert row.median_ms == pytest.approx(1.01 * ms, rel=0.01)
    assert (row.mmacs, row.peak_mb, row.share_of_ceiling) == (pytest.approx(10 * ms), None, None)
    assert doubt([row]) is None


@pytest.mark.parametrize(("reached", "share"), [(2.0, 0.5), (0.5, None)], ids=["idle", "busy"])
def test_a_ceiling_that_a_model_passes_is_none(run: Path, reached: float, share: float | None) -> None:
    """Scripted calls come to 10 giga multiply-adds a second, for each of two photos."""
    ceilings = Ceilings({"float32": 20 * reached, "bfloat16": None, "int8": None}, 10.0)
    (row,) = measure([Task("small", run / "model.onnx", "onnxruntime", 1, 2)], ceilings, start=Scripted)
    assert row.share_of_ceiling == (None if share is None else pytest.approx(share, rel=0.01))


def test_rows_that_other_work_disturbed_say_so(run: Path) -> None:
    tasks = [Task("small", run / "model.onnx", name, 1, 1) for name in ("onnxruntime", "openvino")]
    rows = measure(tasks, start=Busy)
    told = doubt(rows)
    assert told is not None
    assert told.startswith("too busy to measure ")
    assert told.endswith("rows that are closer are in no certain order")


@pytest.mark.parametrize("half", ["bfloat16", None])
def test_what_is_measured_is_float32_half_or_both(
    run: Path, tmp_path: Path, half: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mobilenets.benchmarking.tasks.find_half", lambda engine: half if engine == "openvino" else None
    )

    def measured(precision: str) -> set[tuple[str, str, str]]:
        tasks = tasks_of(str(run), [], 1, 1, tmp_path, precision)
        return {(task.path.name, task.engine, task.precision) for task in tasks}

    whole = {(name, engine, FLOAT) for name, engine, _ in measured("float32")}
    assert ("model.onnx", "onnxruntime", FLOAT) in whole
    assert measured("float32") == whole
    assert measured("half") == {("model.onnx", "openvino", HALF)}  # refused as it is opened, where there is none
    assert measured("auto") == whole | ({("model.onnx", "openvino", HALF)} if half else set())


def test_a_row_says_what_was_computed_in(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobilenets.benchmarking.latency.find_half", lambda engine: "bfloat16")
    told = []
    for stored in ("float32", "float16", "int8"):
        folder = tmp_path / stored
        folder.mkdir()
        (folder / "model.onnx").write_bytes((run / "model.onnx").read_bytes())
        (folder / "verify.json").write_text(json.dumps({"precision": stored}))
        tasks = [Task("small", folder / "model.onnx", "openvino", 1, 1, how) for how in (FLOAT, HALF)]
        told += [row.precision for row in measure(tasks, start=Scripted)]
    assert told == ["float32", "bfloat16", "float16 weights", "bfloat16", "int8", "int8 and bfloat16"]


def test_the_family_is_measured_against_published_accuracy() -> None:
    chosen = choose(["mobilenet_v3_small*"])
    assert len(chosen) == sum(len(sizes) for sizes in published.V3_SMALL.values()) + 1  # and the minimalistic one
    ends = [one for one in chosen if one.size in (96, 256) or (one.model, one.width) != (SMALL, 1)]
    points = sweep(ends, "onnxruntime", 1, 1, None, start=Scripted)
    latencies = [point.row.quiet_ms for point in points]
    assert latencies == sorted(latencies)
    assert latencies == pytest.approx([point.row.mmacs / 10 for point in points], rel=0.03)
    for point in points:
        faster = [other for other in points if other.row.quiet_ms < point.row.quiet_ms]
        assert point.pareto == all(other.published.top1 < point.published.top1 for other in faster)
    by_size = {p.published.size: p for p in points if (p.published.width, p.published.model) == (1, SMALL)}
    assert by_size[96].row.quiet_ms < by_size[256].row.quiet_ms
    assert by_size[96].published.top1 == published.V3_SMALL[1.0][96]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing: no such file, folder or published name"),
        ([], "give a MODEL, or --family"),
        (["RUN", "--threads", "0"], "--threads: 0 is too few"),
        (["RUN", "--batch", "0"], "--batch: 0 is too few"),
        (["RUN", "--engine", "ncnn"], "nothing there that ncnn can run"),
        (["EMPTY"], "nothing there that"),
        (["DAMAGED"], "damaged.onnx: not a"),
        (["RUN", "DAMAGED", "--engine", "onnxruntime"], "damaged.onnx: not a"),
        (["RUN", "--save", "READONLY/bench.png"], "bench.png: the folder"),
        (["RUN", "--save", "RUN/model.onnx"], "model.onnx: exists already"),
        (["RUN", "--save", "MISSING/bench.png"], "there is no folder"),
        (["--family", "resnet*"], "resnet*: no model of that name has a published accuracy"),
        (["--family", "--engine", "torch"], "--engine torch: does not run .onnx"),
        (["--family", "--engine", "onnxruntime", "--engine", "openvino"], "leave out --engine openvino"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    run: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "damaged.onnx").write_bytes((run / "model.onnx").read_bytes()[:1000])
    for name in ("empty", "readonly"):
        (tmp_path / name).mkdir()
    (tmp_path / "readonly").chmod(0o500)
    if os.access(tmp_path / "readonly", os.W_OK):  # the superuser writes everywhere
        writable = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: "readonly" not in str(path) and writable(path, mode))
    places = {
        "RUN": run, "DAMAGED": tmp_path / "damaged.onnx", "EMPTY": tmp_path / "empty",
        "READONLY": tmp_path / "readonly", "MISSING": tmp_path / "missing",
    }  # fmt: skip
    words = [str(places[a.partition("/")[0]] / a.partition("/")[2]) if a.partition("/")[0] in places else a
             for a in arguments]  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    assert main(["bench", *words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err.splitlines()[-1]
    assert "Traceback" not in output.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_detector_is_measured_as_one_at_its_own_size(tmp_path: Path) -> None:
    (file,) = write_random(build("ssdlite_mobilenet_v3_small", width=0.35), None, [tmp_path / "d.safetensors"])
    card = read_card(file)
    assert (card.task, len(card.classes), card.net.num_classes) == ("detect", 90, 91)
    assert (card.preprocess.size, card.preprocess.fit) == (320, "squash")
