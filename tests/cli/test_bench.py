"""`mobilenets bench`: rows as documented, consistent with each other; wrong use in one line."""

import json
from pathlib import Path

import pytest
import torch

from mobilenets.artifact import ModelCard, write_safetensors
from mobilenets.cli.main import main
from mobilenets.export.onnx import export_onnx
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.spec import build
from mobilenets.spec.cost import total

FIELDS = {
    "model", "engine", "precision", "threads", "batch", "median_ms", "p10_ms", "p90_ms", "images_per_s", "load_ms",
    "peak_mb", "bytes", "mmacs", "share_of_ceiling",
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


def test_a_run_is_measured_in_every_engine(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        assert row["images_per_s"] == pytest.approx(2000 / row["median_ms"])
        assert row["mmacs"] == pytest.approx(total(build("mobilenet_v3_small", width=0.35, num_classes=2), 32)[1] / 1e6)
        assert 20 < row["peak_mb"] < 4000
        assert 0 < row["share_of_ceiling"] < 1
    sizes = {row["engine"]: row["bytes"] for row in rows}
    assert sizes["onnxruntime"] == (run / "model.onnx").stat().st_size
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_one_engine_in_a_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(run), "--engine", "onnxruntime"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["model", "engine", "precision"]
    assert "onnxruntime" in lines[1]
    assert "GMAC/s" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing: no such file, folder or published name"),
        (["RUN", "--engine", "steam"], "--engine steam: no such engine"),
        (["RUN", "--threads", "0"], "--threads: 0 is too few"),
        (["RUN", "--engine", "ncnn"], "nothing there that ncnn can run"),
        (["DAMAGED"], "not a"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    run: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged.onnx").write_bytes((run / "model.onnx").read_bytes()[:1000])
    names = {"RUN": run, "DAMAGED": tmp_path / "damaged.onnx"}
    assert main(["bench", *(str(names.get(a, a)) for a in arguments)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error
