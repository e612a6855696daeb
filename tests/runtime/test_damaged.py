"""Model files that are cut off, damaged or of another format: every engine refuses them by name, and none crashes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.exporting.job import export
from mobilenets.exporting.targets.table import TARGETS, exporter
from mobilenets.runtime.engines.torch import TorchEngine
from small import card_of, network

# What is run, by which engine, and whether its converter is an extra.
ENGINES = [
    pytest.param("onnx", "onnxruntime", id="onnxruntime"),
    pytest.param("onnx", "openvino", id="openvino-onnx"),
    pytest.param("openvino", "openvino", id="openvino"),
    *(pytest.param(t, t, marks=pytest.mark.exports, id=t) for t in ("executorch", "litert", "ncnn")),
]
FLIPPED = 42
# Opens every file named on its standard input and, where that is allowed, predicts; a line for each.
OPEN_EACH = """
import sys
from pathlib import Path
import numpy as np
from mobilenets.errors import UserError
from mobilenets.runtime.registry import open_engine
from mobilenets.system.quiet import own_outputs
own_outputs()  # as the command line
for line in sys.stdin:
    path = Path(line.rstrip("\\n"))
    try:
        engine = open_engine(path, sys.argv[1], None if sys.argv[1] == "executorch" else 1)
        size = engine.card.preprocess.size
        print("ran", engine(np.zeros((1, size, size, 3), np.uint8)).shape, flush=True)
    except UserError as error:
        print("refused", " ".join(str(error).split()), flush=True)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A small network exported to a target, once."""
    folder = tmp_path_factory.mktemp("exports")
    model = network(blocks=4)

    def path(target: str) -> Path:
        if not (folder / target).exists():
            export(TorchEngine(model, card_of(model)), target, exporter(target), folder / target, [])
        return folder / target / TARGETS[target].file

    return path


def outcomes(engine: str, files: list[Path]) -> list[str]:
    names = "".join(f"{file}\n" for file in files)
    result = subprocess.run(
        [sys.executable, "-c", OPEN_EACH, engine], input=names, capture_output=True, text=True, timeout=300
    )
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"{files[min(len(lines), len(files) - 1)]}: {result.returncode} {result.stderr}"
    assert result.stderr == ""
    return lines


def copies(source: Path, damaged: Path, folder: Path, contents: list[bytes]) -> list[Path]:
    """A copy of the export `source` for each of `contents`, which takes the place of its file `damaged`."""
    made = []
    for i, content in enumerate(contents):
        place = folder / damaged.name / str(i)
        place.mkdir(parents=True)
        for file in source.parent.iterdir():
            (place / file.name).write_bytes(content if file.name == damaged.name else file.read_bytes())
        made.append(place / source.name)
    return made


def predict(model: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    Image.new("RGB", (40, 40)).save(folder / "photo.png")
    command = [sys.executable, "-m", "mobilenets", "predict", str(model), str(folder / "photo.png"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def parts_of(path: Path) -> list[Path]:
    return [file for file in (path, path.with_suffix(".bin")) if file.exists()]


@pytest.mark.parametrize(("target", "engine"), ENGINES)
def test_a_file_that_is_no_whole_model_is_refused_by_name(
    target: str, engine: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    path = exported(target)
    others = [exported(other).read_bytes() for other in ("onnx", "openvino") if other != target]
    for part in parts_of(path):
        whole = part.read_bytes()
        cut = [whole[:n] for n in (0, 1, 100, len(whole) // 10, len(whole) // 2, len(whole) - 20)]
        strange = [b"no model\n" * 1000, b"\x89PNG\r\n\x1a\n" + bytes(5000), np.random.default_rng(0).bytes(len(whole))]
        contents = [*cut, *strange, *others] if part == path else [*cut, *strange[:2]]  # as weights any bytes will do
        files = copies(path, part, tmp_path, contents)
        for file, outcome in zip(files, outcomes(engine, files), strict=True):
            assert outcome.startswith(f"refused {file.with_suffix('')}"), (part.name, file.parent.name, outcome)


@pytest.mark.parametrize(("target", "engine"), ENGINES)
def test_bytes_that_were_changed_crash_no_engine(
    target: str, engine: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    """Changed weights are weights like any others, except in ncnn's folder, which has sums; the rest is refused."""
    path = exported(target)
    rng = np.random.default_rng(0)
    whole = path.read_bytes()
    contents = []
    for start, end in [(0, len(whole)), (0, min(4000, len(whole))), (max(0, len(whole) - 9000), len(whole))]:
        for length in [8, 1000] * (FLIPPED // 6):
            at = int(rng.integers(start, end - length))
            contents.append(whole[:at] + rng.bytes(length) + whole[at + length :])
    kinds = [outcome.split()[0] for outcome in outcomes(engine, copies(path, path, tmp_path, contents))]
    assert set(kinds) <= {"refused", "ran"}
    assert kinds.count("refused") > len(kinds) / 10
    if target == "ncnn":
        assert set(kinds) == {"refused"}


@pytest.mark.parametrize(("target", "engine"), ENGINES)
def test_predict_tells_of_a_cut_file_in_one_line(
    target: str, engine: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    path = exported(target)
    (file,) = copies(path, path, tmp_path, [path.read_bytes()[:-1000]])
    result = predict(file, tmp_path, "--engine", engine)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"mobilenets predict: {file.with_suffix('')}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("target", "engine"), ENGINES)
def test_a_whole_file_is_predicted_without_a_word_from_its_engine(
    target: str, engine: str, exported: Callable[[str], Path]
) -> None:
    assert outcomes(engine, [exported(target)]) == ["ran (1, 3)"]


def test_a_pt2_is_never_opened(exported: Callable[[str], Path], tmp_path: Path) -> None:
    result = predict(exported("torch"), tmp_path)
    assert result.returncode == 2
    assert "loading one would run expressions of the file" in result.stderr
    assert result.stderr.count("\n") == 1
