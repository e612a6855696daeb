"""Training for 8 bits: the simulation is the file; a network that 8 bits ruin is repaired; the better file is kept."""

import copy
import itertools
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenets.cli.main import main
from mobilenets.data.sample import Sample
from mobilenets.exporting.int8.calibration import Calibration, read_calibration
from mobilenets.exporting.int8.qat import simulated, train_for_int8
from mobilenets.exporting.int8.qdq import quantize_onnx
from mobilenets.exporting.job import export
from mobilenets.exporting.targets.table import quantizer
from mobilenets.exporting.verify import INT8, table
from mobilenets.nn.io import write_network
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.system.progress import reported_to
from small import CLASSES, card_of, coloured, learned, network, noise

SIZE = 32
BLOCKS = 4
STEPS = 120
TARGETS = ["onnx", pytest.param("litert", marks=pytest.mark.exports)]


def usual() -> MobileNet:
    """The first blocks of a V3-Small, which have learned which colour is brightest."""
    return learned("mobilenet_v3_small", SIZE, BLOCKS)


def hard(factor: float) -> MobileNet:
    """That network, hard to round: one channel between blocks is larger by `factor`, and divided by it behind."""
    model = copy.deepcopy(usual())
    with torch.no_grad():
        for before, after in zip(model.blocks[:-1], model.blocks[1:], strict=True):
            if not before.residual and not after.residual:
                channel = before.project.norm.weight.abs().argmax()
                before.project.norm.weight[channel] *= factor
                before.project.norm.bias[channel] *= factor
                after.expand.conv.weight[:, channel] /= factor
    return model


@dataclass(frozen=True)
class Data:
    """A CSV with the parts of some photographs, and their samples."""

    csv: Path
    train: list[Sample]
    val: list[Sample]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Pictures whose class is their brightest colour: 96 to train on, 60 to validate with."""
    folder = tmp_path_factory.mktemp("data")
    parts = {"train": 96, "val": 60}
    for part in parts:
        (folder / part).mkdir()
    train, val = (coloured(folder / part, count, SIZE, seed=count) for part, count in parts.items())
    rows = [f"{s.path.relative_to(folder)},{CLASSES[s.label]},{s.path.parent.name}" for s in (*train, *val)]
    (folder / "data.csv").write_text("\n".join(["path,label,split", *rows]), encoding="utf-8")
    return Data(folder / "data.csv", train, val)


def calibration_of(engine: TorchEngine, data: Data) -> Calibration:
    return read_calibration(engine.card.preprocess, data.train, measured_on=engine.model)


@pytest.fixture(scope="module")
def engine(data: Data, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    """A network that 8 bits cost a quarter of its accuracy; which factor does, depends on what was learned."""
    folder, factor = tmp_path_factory.mktemp("factors"), 60.0
    while True:
        engine = TorchEngine(hard(factor), card_of(usual(), SIZE))
        write = partial(_write, calibration_of(engine, data))
        _, result = export(engine, "onnx", write, folder / f"{factor}", data.val, INT8)
        if result.lost > 0.25:
            return engine
        assert factor < 1e5
        factor *= 1.25


@pytest.mark.parametrize(
    ("name", "blocks", "skip_first_last"),
    [
        ("mobilenet_v1", 9, False),
        ("mobilenet_v2", 9, True),
        ("mobilenet_v3_small", BLOCKS, False),
        ("mobilenet_v4_conv_small", 3, False),
    ],
)
def test_the_simulation_gives_the_answers_of_the_file(
    name: str, blocks: int, skip_first_last: bool, tmp_path: Path
) -> None:
    model = usual() if name == "mobilenet_v3_small" else network(name, blocks=blocks)
    card = card_of(model, SIZE)
    pixels = noise(32, card.preprocess)
    calibration = Calibration(pixels, skip_first_last)
    quantize_onnx(model, card, tmp_path / "model.onnx", calibration)
    file = OnnxRuntimeEngine(tmp_path / "model.onnx")(pixels)
    with torch.inference_mode():
        simulation = simulated(model, card, calibration)(torch.from_numpy(pixels)).numpy()
    rounding = np.abs(TorchEngine(model, card)(pixels) - file).max(1).mean()
    assert rounding > 1e-3
    # Sums in another order now and then round the other way, and the layers behind carry that on.
    assert np.abs(simulation - file).max(1).mean() < 0.1 * rounding


@pytest.mark.parametrize("target", TARGETS)
def test_training_repairs_a_network_that_8_bits_ruin(
    target: str, engine: TorchEngine, data: Data, tmp_path: Path
) -> None:
    """Without a look at the validation photographs: they are not there meanwhile."""
    pixels = noise(16, engine.card.preprocess)
    np.testing.assert_allclose(engine(pixels), TorchEngine(usual(), engine.card)(pixels), atol=1e-3)
    calibration = calibration_of(engine, data)
    validation, aside = data.csv.parent / "val", tmp_path / "aside"

    def retrain() -> MobileNet:
        validation.rename(aside)
        trained = train_for_int8(engine.model, engine.card, data.train, calibration, minutes=60, steps=STEPS)
        aside.rename(validation)
        return trained

    quantize = quantizer(target)
    out = tmp_path / "out"
    path, result = export(engine, target, lambda m, c, p: quantize(m, c, p, calibration), out, data.val, INT8, retrain)
    other = result.other
    assert other is not None
    assert (result.trained, other.trained) == (True, False)
    assert other.lost > 0.2
    assert result.lost < other.lost - 0.1
    assert result.top1_agreement > other.top1_agreement + 0.1
    assert result.accuracy_before == other.accuracy_before
    written = json.loads((out / "verify.json").read_text(encoding="utf-8"))
    assert (written["accuracy_after"], written["other"]["accuracy_after"]) == (
        result.accuracy_after,
        other.accuracy_after,
    )
    lines = table(result)
    assert f"{target} int8 without training: not kept" in lines
    assert f"{target} int8 after training: kept" in lines
    assert sorted(p.name for p in out.iterdir()) == sorted([path.name, "verify.json"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_the_file_without_training_is_kept_where_training_does_not_help(
    engine: TorchEngine, data: Data, tmp_path: Path
) -> None:
    calibration = calibration_of(engine, data)
    write = partial(_write, calibration)
    _, result = export(engine, "onnx", write, tmp_path / "out", data.val, INT8, lambda: engine.model)
    assert result.other is not None
    assert (result.trained, result.other.trained) == (False, True)
    assert result.accuracy_after == result.other.accuracy_after


def test_what_loses_no_point_is_not_trained(data: Data, tmp_path: Path) -> None:
    """The labels are what the 8-bit file answers: so it cannot lose by them, however a processor rounds."""
    engine = TorchEngine(usual(), card_of(usual(), SIZE))
    write = partial(_write, calibration_of(engine, data))
    write(engine.model, engine.card, tmp_path / "model.onnx")
    answers = OnnxRuntimeEngine(tmp_path / "model.onnx")(
        np.stack([engine.card.preprocess.pixels(Image.open(sample.path)) for sample in data.val])
    ).argmax(1)
    samples = [Sample(sample.path, int(answer)) for sample, answer in zip(data.val, answers, strict=True)]
    _, result = export(engine, "onnx", write, tmp_path / "out", samples, INT8, _must_not_train)
    assert result.accuracy_after == 1
    assert result.lost <= 0
    assert (result.trained, result.other) == (False, None)


def test_ctrl_c_while_training_keeps_the_file_without_it(engine: TorchEngine, data: Data, tmp_path: Path) -> None:
    write = partial(_write, calibration_of(engine, data))
    with pytest.raises(KeyboardInterrupt):
        export(engine, "onnx", write, tmp_path / "out", data.val, INT8, _interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["model.onnx", "verify.json"]
    assert OnnxRuntimeEngine(tmp_path / "out" / "model.onnx").card == engine.card


def _write(calibration: Calibration, model: MobileNet, card: object, path: Path) -> None:
    quantizer("onnx")(model, card, path, calibration)


def _interrupt() -> MobileNet:
    """What a training does when Ctrl-C is pressed in it."""
    raise KeyboardInterrupt


def _must_not_train() -> MobileNet:
    pytest.fail("trained, though 8 bits lose nothing")


def test_it_ends_in_time_and_says_how_far_it_is(engine: TorchEngine, data: Data) -> None:
    """By a clock on which every step takes two seconds."""
    seconds, told = itertools.count(0, 2), []
    calibration = calibration_of(engine, data)
    with reported_to(lambda *progress: told.append(progress)):
        trained = train_for_int8(
            engine.model, engine.card, data.train, calibration, minutes=0.25, clock=lambda: float(next(seconds))
        )
    assert next(seconds) - 2 in (13, 14, 15)
    done, total, what = told[-1]
    assert (done, total) == (100, 100)
    assert what.startswith("training for 8 bits")
    assert not torch.equal(trained.classifier.weight, engine.model.classifier.weight)


def test_without_time_the_weights_stay(engine: TorchEngine, data: Data) -> None:
    same = train_for_int8(engine.model, engine.card, data.train, calibration_of(engine, data), minutes=0)
    pixels = noise(8, engine.card.preprocess)
    np.testing.assert_allclose(TorchEngine(same, engine.card)(pixels), engine(pixels), atol=1e-4)


def test_a_seed_and_a_number_of_steps_give_the_same_weights(engine: TorchEngine, data: Data) -> None:
    before = copy.deepcopy(engine.model.state_dict())
    train = partial(
        train_for_int8, engine.model, engine.card, data.train, calibration_of(engine, data), minutes=60, steps=3
    )
    one, again, other = train(seed=1), train(seed=1), train(seed=2)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    for name, tensor in engine.model.state_dict().items():  # the float network itself is left alone
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("minutes", ["0.02", "0"])
def test_the_command_shows_both_files_or_never_trains(
    minutes: str, engine: TorchEngine, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    write_network(tmp_path / "run" / "model.safetensors", engine.model, engine.card)
    command = ["export", str(tmp_path / "run"), "--to", "onnx", "--int8", "--data", str(data.csv)]
    assert main([*command, "--qat-minutes", minutes]) == 0
    told = capsys.readouterr()
    written = json.loads((tmp_path / "run" / "exports" / "onnx-int8" / "verify.json").read_text(encoding="utf-8"))
    if minutes == "0":
        assert (written["trained"], written["other"]) == (False, None)
        assert "training for 8 bits" not in told.err
    else:
        assert {written["trained"], written["other"]["trained"]} == {False, True}
        assert written["accuracy_after"] >= written["other"]["accuracy_after"]
        assert "training for 8 bits" in told.err
        assert told.out.count("before, ") == 2
