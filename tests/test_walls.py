"""What is imported when: the rooms without torch, the command line. The walls are a contract in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

from mobilenets.arch import build
from mobilenets.cli import COMMANDS, module_of
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.model_card import ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess

SOURCE = Path(__file__).parents[1] / "src" / "mobilenets"
HEAVY = {"torch", "sklearn", "matplotlib", "scipy", "yaml", "onnx", "safetensors", "h5py", "openvino", "ncnn", "captum"}


@pytest.mark.parametrize(
    "module",
    ["mobilenets", "mobilenets.system.memory", "mobilenets.arch.build", "mobilenets.preprocess.decode",
     "mobilenets.model_card", "mobilenets.runtime.classifier", "mobilenets.runtime.engines.onnxruntime",
     "mobilenets.cli.main", "mobilenets.serving.app", "mobilenets.tasks.classify.metrics",
     "mobilenets.explaining.overlay", "mobilenets.data.sources.read", "mobilenets.data.split"],
)  # fmt: skip
def test_what_predicts_and_evaluates_imports_without_torch(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(m.split('.')[0] for m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(result.stdout.split())


def test_the_room_of_preprocessing_imports_without_torch_but_for_the_graphs_of_others() -> None:
    own = {"torch", "onnx", "openvino"}  # each in the dress of one runtime, imported where that runtime is used
    names = [p.stem for p in (SOURCE / "preprocess").glob("*.py") if p.stem not in own]
    imports = "; ".join(f"import mobilenets.preprocess.{name}" for name in names)
    code = f"import sys; {imports}; print(*sorted(m.split('.')[0] for m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(result.stdout.split())


def _imported_by(*arguments: str) -> set[str]:
    """Modules that the command line imports for these arguments, beside those that Python starts with."""
    code = (
        "import sys; before = {*sys.modules}\n"
        "from mobilenets.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*{*sys.modules} - before, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(result.stderr.split())


def test_help_imports_nothing_but_the_list_of_commands() -> None:
    ours = {"mobilenets", *(f"mobilenets.{name}" for name in ("_version", "cli", "cli.main", "cli.overview", "errors"))}
    assert _imported_by("--help") <= {*ours, "__future__"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_no_other_command_and_no_arrays(command: str) -> None:
    imported = _imported_by(command, "--help")
    own = {command, "predict"} if command == "explain" else {command}  # it shares a number with predict
    assert {name for name in COMMANDS if f"mobilenets.cli.{module_of(name)}" in imported} == own
    assert not {"numpy", "PIL", "onnxruntime", "tqdm"} & imported


def test_predicting_a_jpeg_imports_no_other_reader_and_nothing_that_only_many_pictures_need(photos: Path) -> None:
    model = MobileNet(build("mobilenet_v3_small", width=0.35, num_classes=2)).eval()
    file = photos / "model.onnx"
    export_onnx(model, ModelCard("small", model.net, ("a", "b"), Preprocess(size=32)), file)
    imported = _imported_by("predict", str(file), str(photos / "daisy" / "000.jpg"))
    assert "PIL.JpegImagePlugin" in imported
    unneeded = {
        "PIL.PngImagePlugin",
        "PIL._avif",
        "PIL.ImageCms",
        "mobilenets.arch.v3",
        "mobilenets.runtime.autoselect",
    }
    assert not (unneeded | {"tqdm", "openvino", "torch"}) & imported
