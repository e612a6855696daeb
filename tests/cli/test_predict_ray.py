"""`mobilenets predict --ray`: a folder of parts with every picture once, whatever dies, and nothing done twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from conftest import is_one_line_error
from mobilenets.arch import build
from mobilenets.bulk.shards import MANIFEST, SIZE, ModelFiles, chunks, claim, make_manifest, write_part
from mobilenets.errors import UserError
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import build_index, model_id
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.opening import load
from mobilenets.runtime.predictor import Failure, Predictor
from mobilenets.tasks import TASKS
from mobilenets.tasks.classify.answers import FIELDS, Prediction
from mobilenets.tasks.multilabel.answers import LabelSet

PICTURES = 9 * SIZE + 7


def _model(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=3)).eval()
    torch.nn.init.normal_(model.classifier.weight, 0, 20.0)
    export_onnx(model, ModelCard("tiny", model.net, ("a", "b", "c"), Preprocess(size=64)), path)
    return path


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model, a list of many pictures, among them one that is none and one whose name is no text, and the truth."""
    folder = tmp_path_factory.mktemp("album")
    rng = np.random.default_rng(0)
    names = [*(f"{i}.jpg" for i in range(20)), "broken.jpg", os.fsdecode(b"\xff.jpg")]
    for name in names:
        pixels = rng.normal(rng.uniform(0, 255, 3), 40, (300, 400, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name, format="JPEG")
    (folder / "broken.jpg").write_bytes(b"broken")
    model, source, truth = _model(folder / "model.onnx"), folder / "list", folder / "truth.jsonl"
    source.write_bytes(b"".join(os.fsencode(folder / names[i % len(names)]) + b"\n" for i in range(PICTURES)))
    command = [sys.executable, "-m", "mobilenets", "predict", str(model), "-", "--format=jsonl", "--engine=onnxruntime"]
    with source.open() as paths, truth.open("w") as results:
        subprocess.run(command, stdin=paths, stdout=results, stderr=subprocess.DEVNULL)
    return model, source, truth


def _start(album: tuple[Path, Path, Path], out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "mobilenets", "predict", str(album[0]), "-", "--ray", f"--out={out}", *options]
    with album[1].open() as paths:
        return subprocess.Popen(
            command,
            stdin=paths,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),  # whatever pytest was pinned to
        )


def _parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*"))


def _wait_for_parts(out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(_parts(out)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _assert_same(found: list[dict], truth: Path) -> None:
    """The rows in their order; probabilities up to the rounding of another number of threads."""
    wanted = [json.loads(line) for line in truth.read_text("utf-8").splitlines()]
    assert [row["path"] for row in found] == [row["path"] for row in wanted]
    assert [row.get("label") for row in found] == [row.get("label") for row in wanted]
    assert [row.get("error") for row in found] == [row.get("error") for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.get("probability", 0) == pytest.approx(other.get("probability", 0), abs=1e-5)


def _rows(out: Path) -> list[dict]:
    return [json.loads(line) for part in _parts(out) for line in part.read_text("utf-8").splitlines()]


def _workers(parent: int) -> list[int]:
    """Ray's processes under `parent` that predict."""
    table = subprocess.run(["ps", "-e", "-o", "pid=,sess=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    return [int(pid) for pid, _, what in rows if what.startswith("ray::") and "Worker" in what]


@pytest.mark.ray
def test_a_killed_worker_costs_nothing_but_time(album: tuple[Path, Path, Path], tmp_path: Path) -> None:
    process = _start(album, tmp_path / "out", "--format=jsonl")
    _wait_for_parts(tmp_path / "out", 2)
    workers = _workers(process.pid)
    assert len(workers) >= 2
    os.kill(workers[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 1, stderr
    assert "could not be read" in stderr
    assert "Traceback" not in stderr
    assert f"{PICTURES} photos" in stdout
    _assert_same(_rows(tmp_path / "out"), album[2])


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_job_does_the_rest_and_nothing_twice(
    album: tuple[Path, Path, Path], tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = _start(album, out, "--format=jsonl")
    _wait_for_parts(out, 3)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert stderr.count("interrupted") == 1
        assert "Traceback" not in stderr
    time.sleep(1)  # what Ray had under way may still come
    finished = {part: part.stat().st_mtime_ns for part in _parts(out)}
    assert len(finished) < 10
    process = _start(album, out, "--format=jsonl")
    _, stderr = process.communicate(timeout=200)
    assert "are there already" in stderr
    assert {part: part.stat().st_mtime_ns for part in finished} == finished
    _assert_same(_rows(out), album[2])


@pytest.mark.ray
def test_parquet_reads_as_one_table(album: tuple[Path, Path, Path], tmp_path: Path) -> None:
    import pyarrow.dataset

    process = _start(album, tmp_path / "out")
    assert process.communicate(timeout=200)
    rows = pyarrow.dataset.dataset(_parts(tmp_path / "out")).to_table().to_pylist()
    for row in rows:
        for name in [name for name, value in row.items() if value is None]:
            del row[name]
    wanted = album[2].read_text("utf-8").replace("\\udcff", "\\\\udcff")
    (tmp_path / "truth").write_text(wanted, "utf-8")
    _assert_same(rows, tmp_path / "truth")


@pytest.mark.ray
def test_with_an_index_workers_tell_the_unknown_as_predict_does(album: tuple[Path, Path, Path], tmp_path: Path) -> None:
    model, source, _ = album
    engine = OnnxRuntimeEngine(shutil.copy(model, tmp_path / "model.onnx"), 1)
    paths = [str(model.parent / f"{i}.jpg") for i in range(20)]
    pixels = np.stack([Predictor(engine).pixels(path) for path in paths])
    train = ImageFeatures.of(engine.with_features(pixels)[1].vectors, np.arange(20) % 3, paths)
    build_index(train, train, model_id(engine.card)).write(tmp_path / "index.safetensors")
    process = _start((tmp_path / "model.onnx", source, source), tmp_path / "out", "--accept=0.5")
    assert process.communicate(timeout=200)
    rows = pyarrow.parquet.read_table(_parts(tmp_path / "out")[0]).to_pylist()[:20]
    one = load(tmp_path / "model.onnx", "onnxruntime", threads=1, accept=0.5)
    for row, wanted in zip(rows, map(one.predict, paths), strict=True):
        assert (row["label"], tuple(row["nearest"])) == (wanted.label, wanted.nearest)
        assert row["known"] == pytest.approx(wanted.known)


# --- without Ray ----------------------------------------------------------------------------------------


def test_another_model_or_source_is_refused_by_name(tmp_path: Path) -> None:
    folder, paths = tmp_path / "out", ["a.jpg", "b.jpg"]
    claim(folder, make_manifest(ModelFiles(b"model"), paths, "jsonl", None))
    claim(folder, make_manifest(ModelFiles(b"model"), paths, "jsonl", None))
    for other, name in (
        (make_manifest(ModelFiles(b"another"), paths, "jsonl", None), "model"),
        (make_manifest(ModelFiles(b"model"), paths[::-1], "jsonl", None), "source"),
        (make_manifest(ModelFiles(b"model"), paths, "parquet", None), "--format"),
        (make_manifest(ModelFiles(b"model"), paths, "jsonl", 3), "--top"),
        (make_manifest(ModelFiles(b"model", b"index"), paths, "jsonl", None), "index"),
        (make_manifest(ModelFiles(b"model", None, 0.9), paths, "jsonl", None), "--accept"),
    ):
        with pytest.raises(UserError, match=f"another {name}"):
            claim(folder, other)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="exists already"):
        claim(tmp_path, make_manifest(ModelFiles(b"model"), ["a.jpg"], "jsonl", None))
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model": 3}'])
def test_a_damaged_manifest_is_no_licence_to_write(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(UserError, match="another"):
        claim(tmp_path, make_manifest(ModelFiles(b"model"), ["a.jpg"], "jsonl", None))


def test_parts_cover_every_path_once_in_order(tmp_path: Path) -> None:
    paths = [f"{i}.jpg" for i in range(2 * SIZE + 1)]
    manifest = make_manifest(ModelFiles(b"model"), paths, "jsonl", None)
    parts = list(chunks(paths, manifest.size))
    assert len(parts) == manifest.parts == 3
    assert [path for part in parts for path in part] == paths
    assert manifest.missing(tmp_path) == [0, 1, 2]
    write_part(manifest.path(tmp_path, 1), [Failure(path, "gone") for path in parts[1]], None, FIELDS)
    assert manifest.missing(tmp_path) == [0, 2]


def test_a_part_is_what_predict_prints(tmp_path: Path) -> None:
    results = [Prediction("玫瑰.jpg", "a", 0.75, (("a", 0.75), ("b", 0.25))), Failure(os.fsdecode(b"\xff"), "broken")]
    write_part(tmp_path / "part.jsonl", results, 1, FIELDS)
    rows = [json.loads(line) for line in (tmp_path / "part.jsonl").read_text("utf-8").splitlines()]
    best = {"label": "a", "probability": 0.75}
    assert rows[0] == {"path": "玫瑰.jpg", **best, "top": [best]}
    assert rows[1] == {"path": os.fsdecode(b"\xff"), "error": "broken"}


def test_a_table_has_what_an_answer_has_of_each_task(tmp_path: Path) -> None:
    known = Prediction("a.jpg", None, 0.75, (("a", 0.75),), 0.01, ("b/1.jpg", "b/2.jpg"))
    labels = LabelSet("a.jpg", ("a",), (("a", 0.75), ("b", 0.25)))
    for answer, fields in ((known, FIELDS), (labels, TASKS["multilabel"].fields)):
        write_part(tmp_path / "part.parquet", [answer, Failure("b.jpg", "broken")], None, fields)
        first, second = pyarrow.parquet.read_table(tmp_path / "part.parquet").to_pylist()
        assert first == {"path": "a.jpg", **dict.fromkeys(fields), **answer.to_dict(), "error": None}
        assert {name for name, value in second.items() if value is not None} == {"path", "error"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--out", "o"], ["--out", "--ray"]),
        (["--format", "parquet"], ["parquet", "--ray"]),
        (["--ray"], ["--out"]),
        (["--ray", "--out", "o", "--format", "csv"], ["csv", "parquet"]),
        (["--ray", "--out", "o", "--threads", "2"], ["--threads"]),
        (["--ray", "--out", "o", "--engine", "torch"], ["torch", "onnxruntime"]),
    ],
)
def test_wrong_combinations_are_refused_in_a_line(cli, tmp_path: Path, options: list[str], names: list[str]) -> None:
    assert is_one_line_error(cli("predict", "model.onnx", "photos", *options), *names)
