"""The examples run, with the arguments that their first lines show, on real files and a small network."""

import csv
import io
import json
import runpy
from pathlib import Path

import pytest

import mobilenets as mn
from conftest import write_photos
from mobilenets.runtime.opening import load
from mobilenets.training.run import train
from serving.service import serving

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY = {"model": "mobilenet_v3_small", "weights": "none", "width": 0.35, "size": 32, "recipe": "finetune", "epochs": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("examples") / "photos", ("daisy", "rose", "tulip"), 10)


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return train(data, data.parent / "runs" / "photos", **TINY).path


def _example(name: str) -> dict[str, object]:
    return runpy.run_path(str(EXAMPLES / name))


def test_predict_writes_a_row_for_every_photo(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "rose" / "broken.jpg").write_bytes(b"no photo")
    _example("predict.py")["main"](str(run), str(data))
    out = capsys.readouterr()
    (data / "rose" / "broken.jpg").unlink()
    rows = list(csv.DictReader(io.StringIO(out.out)))
    assert [row["path"] for row in rows] == sorted(map(str, data.rglob("*.jpg")))
    assert {row["label"] for row in rows} <= {"daisy", "rose", "tulip", "unknown"}
    assert "broken.jpg" in out.err


def test_training_prints_the_accuracy_of_the_run_it_wrote(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _example("train_own_photos.py")["main"](str(data), str(tmp_path / "run"), **TINY)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    out = capsys.readouterr().out
    assert f"accuracy {metrics['accuracy']:.3f}" in out
    wrong = metrics["n"] - round(metrics["accuracy"] * metrics["n"])
    assert out.count("look at ") == min(wrong, 10)


def test_plain_onnxruntime_gives_the_answer_of_this_package(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a photograph that is neither square nor small, so that resize and crop count."""
    from PIL import Image

    photo = data.parent / "wide.png"
    Image.effect_noise((301, 187), 90).convert("RGB").save(photo)
    _example("plain_onnxruntime.py")["main"](str(run / "model.onnx"), str(photo))
    printed = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    expected = load(run / "model.onnx", engine="onnxruntime").predict(photo)
    assert [(name, float(p)) for name, p in printed] == [(name, pytest.approx(p, abs=1e-4)) for name, p in expected.top]


def test_the_client_asks_a_real_server_and_says_what_it_refused(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, other = data / "rose" / "000.jpg", data.parent / "notes.txt"
    other.write_text("no photo")
    with serving(run / "model.onnx") as service:
        assert _example("serve_client.py")["main"](service.url, str(photo), str(other)) == 1
    out = capsys.readouterr()
    assert out.out.startswith(f"{photo}: {load(run / 'model.onnx', engine='onnxruntime').predict(photo).label} (")
    assert out.err.startswith(f"{other}: ")


def test_the_export_is_shipped_where_it_agrees(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _example("export_to_phone.py")["main"](str(run), "onnx") == 0
    out = capsys.readouterr().out
    assert "100.0% of 6 photos get the same class" in out
    assert f"ship {run / 'exports' / 'onnx'}" in out


def test_an_option_of_the_export_that_does_not_exist_is_refused(run: Path) -> None:
    with pytest.raises(mn.UserError, match="int9"):
        _example("export_to_phone.py")["main"](str(run), "onnx", "--int9")


def test_every_cell_of_the_notebook_runs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace, as Jupyter would, with a network that trains in seconds."""
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "tutorial.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for number, source in enumerate(cells):
        exec(compile(source, f"tutorial.ipynb, cell {number}", "exec"), names)
        if number == 0:
            names |= {"DATA": data, "OPTIONS": TINY}
    assert len(names["answers"]) == 6
    assert names["seen"].heat.max() == pytest.approx(1)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((EXAMPLES / "tutorial.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") for cell in notebook["cells"])


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_an_example_is_run_by_these_tests(example: Path) -> None:
    assert f'_example("{example.name}")' in Path(__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_an_example_says_how_it_is_run(example: Path) -> None:
    assert f"python examples/{example.name} " in example.read_text(encoding="utf-8").split('"""')[1]
