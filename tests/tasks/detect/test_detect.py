"""A detector from photos with boxes: trained, resumed, predicted with, evaluated, and refused what it cannot do."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import mobilenets as mn
from command import run_command
from conftest import Cli, is_one_line_error
from mobilenets.arch import build
from mobilenets.arch.anchors import anchors
from mobilenets.data.augment import Augment
from mobilenets.model_card import DETECT, ModelCard, read_card, read_tensors
from mobilenets.preprocess import Preprocess
from mobilenets.tasks import task_of
from mobilenets.tasks.detect import Detect
from mobilenets.tasks.detect.boxes import decode, encode
from mobilenets.tasks.detect.head import decoded, framed
from mobilenets.tasks.detect.own_anchors import describe, matched, own_head, own_overlap
from mobilenets.tasks.detect.targets import Box, text_of
from mobilenets.training.settings import Settings
from small import write_random
from stopped import interrupted

CLASSES = ("disc", "square")
QUICK = ("--size", "64", "--recipe", "finetune", "--epochs", "4", "--precision", "fp32", "--device", "cpu")
QUICK += ("--set", "batch_size=8", "--set", "head_steps=6")
SIZE = (80, 60)


def draw(folder: Path, count: int, seed: int = 0) -> Path:
    """Photos of discs and squares on noise, and `list.csv` with their boxes; every fourth shows nothing."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [["path", "boxes"]]
    for i in range(count):
        image = Image.fromarray(rng.integers(90, 160, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
        boxes = []
        for _ in range(rng.integers(1, 3) if i % 4 else 0):
            side = rng.integers(14, 26)
            x, y = rng.integers(0, SIZE[0] - side), rng.integers(0, SIZE[1] - side)
            kind = int(rng.integers(2))
            pen = ImageDraw.Draw(image)
            (pen.rectangle if kind else pen.ellipse)(
                (x, y, x + side, y + side), (40, 40, 220) if kind else (220, 40, 40)
            )
            corners = np.array([x, y, x + side, y + side]) / (2 * SIZE)
            boxes.append(Box(CLASSES[kind], *corners.tolist()))
        image.save(folder / f"{i:02d}.png")
        lines.append([f"{i:02d}.png", text_of(boxes)])
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder / "list.csv"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("drawn"), 40)


@pytest.fixture(scope="module")
def weights(data: Path) -> Path:
    net = build("mobilenet_v3_small", width=0.35, num_classes=3)
    return write_random(data.parent / "weights.safetensors", net, ("a", "b", "c"), 64)


@pytest.fixture(scope="module")
def run(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("detector") / "run"
    done = run_command(["train", str(data), "--out", str(out), "--weights", str(weights), *QUICK], Path.cwd(), {}, None)
    assert done.returncode == 0, done.stderr
    assert "of the boxes have a matching one" in done.stderr
    return out


def test_a_run_folder_describes_a_detector(run: Path) -> None:
    card = read_card(run)
    assert (card.task, card.classes, card.net.num_classes) == ("detect", CLASSES, 3)
    assert card.net.name == "ssdlite_mobilenet_v3_small"
    assert (card.preprocess.fit, card.preprocess.crop, card.preprocess.size) == ("squash", 1.0, 64)
    assert len(card.thresholds) == 2
    assert json.loads((run / "metrics.json").read_text()) == card.metrics
    assert {"mAP", "mAP_ci95", "mAP50", "AR100", "false_alarms", "confusion_with_background"} <= card.metrics.keys()
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {"train_anchor_accuracy", "val_mAP", "val_loss"} <= rows[0].keys()
    assert (run / "report.html").exists()
    assert "head_steps: 6" in (run / "config.yaml").read_text()


def test_the_loss_falls(run: Path) -> None:
    with (run / "history.csv").open() as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < losses[0]
    assert not (run / "checkpoint" / "head").exists()


def test_predictions_hold_what_the_figures_are_made_of(run: Path, data: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["n"] == 8
    finished = np.zeros((len(rows), 100, 6))
    finished[..., 5] = -1
    for own, row in zip(finished, rows, strict=True):
        for k, (name, score, *box) in enumerate(json.loads(row["found"])):
            own[k] = (*box, score, CLASSES.index(name))
    again = Detect(CLASSES, tuple(row["threshold"] for row in metrics["per_class"].values()))
    figures = again.score(finished, np.arange(len(rows)), [row["label"] for row in rows])
    assert figures["mAP"] == pytest.approx(metrics["mAP"], abs=0.01)
    confusions = figures["confusion_with_background"], metrics["confusion_with_background"]
    np.testing.assert_allclose(*confusions, atol=3)  # an IoU at the limit, of rounded edges


def test_a_training_that_was_stopped_or_is_repeated_comes_to_the_same_weights(
    run: Path, data: Path, weights: Path, tmp_path: Path, cli: Cli
) -> None:
    repeated, anew = ("--config", run / "config.yaml"), (data, "--weights", weights, *QUICK)
    for name, step, command in (("head", 6, repeated), ("body", 11, anew)):
        out = tmp_path / name
        assert interrupted(lambda number, at=step: number == at, "train", *command, "--out", out).returncode == 130
        assert cli("train", "--resume", "--out", out).returncode == 0
        ours, theirs = read_tensors(run / "model.safetensors"), read_tensors(out / "model.safetensors")
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name}: {key}")


def test_boxes_are_told_in_pixels_of_the_photo_whatever_reads_it(run: Path, data: Path, cli: Cli) -> None:
    photo = data.parent / "01.png"
    done = cli("predict", run, photo, "--format", "jsonl", "--engine", "torch")
    (line,) = done.stdout.splitlines()
    answer = json.loads(line)
    assert answer.keys() == {"path", "objects"}
    detector = mn.load(run, "onnxruntime")
    found = detector.predict(photo)
    assert len(found.objects) == len(answer["objects"])
    for ours, theirs in zip(found.to_dict()["objects"], answer["objects"], strict=True):
        assert ours["label"] == theirs["label"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
        assert ours["box"] == pytest.approx(theirs["box"], abs=0.2)
    assert found.size == SIZE
    pixels = detector.predict(np.asarray(Image.open(photo)))
    assert pixels.to_dict() == found.to_dict()
    with photo.open("rb") as file:
        assert detector.predict(file).to_dict() == found.to_dict()
    assert detector.predict(photo.read_bytes()).to_dict() == found.to_dict()
    table = cli("predict", run, photo, "--format", "csv", "--engine", "torch").stdout.splitlines()
    assert table[0] == "path,objects,label,score,error"


def test_it_is_evaluated_on_photos_with_boxes(run: Path, tmp_path: Path, cli: Cli) -> None:
    other = draw(tmp_path / "other", 10, seed=5)
    done = cli("evaluate", run, other, "--json", "--engine", "onnxruntime")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["n"] == 10
    assert 0 <= figures["mAP"] <= 1
    shown = cli("evaluate", run, other, "--engine", "onnxruntime").stdout
    assert "mAP50" in shown
    assert "square" in shown


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--set", "mixup=0.2"], "mixup"),
        (["--set", "augment.trivial=true"], "augment.trivial"),
        (["--set", "augment.erase=0.5"], "augment.erase"),
        (["--fit", "crop"], "--fit crop"),
        (["--crop", "0.9"], "--crop 0.9"),
        (["--balance", "sampler"], "balance"),
    ],
)
def test_what_boxes_do_not_go_with_is_refused_in_one_line(
    data: Path, tmp_path: Path, options: list[str], what: str, cli: Cli
) -> None:
    done = cli("train", data, "--out", tmp_path / "run", "--weights", "none", "--recipe", "finetune", *options)
    assert is_one_line_error(done, what)


def test_the_head_decodes_as_the_numpy_of_the_runtime() -> None:
    net = build("ssdlite_mobilenet_v2", num_classes=4)
    there = anchors(net, 96)
    rng = np.random.default_rng(0)
    said = rng.normal(0, 1, (2, len(there), 8)).astype(np.float32)
    outputs = np.concatenate([said, np.broadcast_to(there, (2, *there.shape))], 2)
    found = np.concatenate([end.numpy() for end in decoded(torch.from_numpy(outputs))], 2)
    np.testing.assert_allclose(found[..., :4], decode(said[..., 4:], there), atol=1e-5)
    scores = np.exp(said[..., :4]) / np.exp(said[..., :4]).sum(2, keepdims=True)
    np.testing.assert_allclose(found[..., 4:], scores[..., 1:], atol=1e-6)
    np.testing.assert_allclose(decode(encode(found[0, :, :4], there), there), found[0, :, :4], atol=1e-4)


def test_boxes_go_where_augmentation_shows_their_objects() -> None:
    augment = Augment(crop_scale=(0.4, 1.0), crop_ratio=(0.5, 2.0), vflip=0.5, rot90=True, zoom_out=2.0)
    preprocess = Preprocess(size=64, crop=1.0, fit="squash")
    box, checked = np.array([0.3, 0.2, 0.6, 0.7]), 0
    for seed in range(40):
        image = Image.new("RGB", (120, 90), (60, 60, 60))
        ImageDraw.Draw(image).rectangle([round(v) for v in (box * (120, 90, 120, 90) - (0, 0, 1, 1))], (250, 250, 250))
        view = augment(image, preprocess, np.random.default_rng(seed))
        target = torch.tensor([[*box, 1.0, 0.0]], dtype=torch.float32)
        row = framed(target, torch.from_numpy(view.frame[None])).numpy()[0]
        rows, columns = np.nonzero(view.pixels[:, :, 0] > 180)
        if row[4] < 0:
            continue
        checked += 1
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 64
        np.testing.assert_allclose(row[:4], seen, atol=0.035)
    assert checked > 20


def test_a_box_whose_centre_is_cut_off_is_none() -> None:
    target = torch.tensor([[0.0, 0.0, 0.4, 0.4, 2.0, 0.0]])
    right_half = torch.tensor([[2.0, 0.0, -1.0, 0.0, 1.0, 0.0]])
    assert framed(target, right_half)[0, 4] == -1
    wide = torch.tensor([[0.3, 0.0, 0.9, 0.4, 2.0, 0.0]])
    assert framed(wide, right_half)[0].tolist() == pytest.approx([0.0, 0.0, 0.8, 0.4, 2.0, 0.0])


def test_anchors_are_made_for_small_boxes_where_boxes_are_small() -> None:
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 0.85, (300, 2)), rng.uniform(0.05, 0.13, (300, 1)) * rng.uniform(0.8, 1.2, (300, 2))
    boxes = np.concatenate([corner, corner + side], 1)
    net = build("ssdlite_mobilenet_v2", num_classes=2)
    own = replace(net, head=own_head(net, boxes)).checked()
    assert own.ssd.strides == (8, 16, 32)
    assert matched(net, 320, boxes) < 0.3
    assert matched(own, 320, boxes) > 0.9
    assert describe(own, 320, boxes)[1]
    line, is_enough = describe(own, 96, boxes)
    assert not is_enough
    assert "pixels at 96; --size" in line
    tiny = boxes.copy()
    tiny[:, 2:] = tiny[:, :2] + (boxes[:, 2:] - boxes[:, :2]) / 10
    line, is_enough = describe(replace(net, head=own_head(net, tiny)).checked(), 320, tiny, 4000)
    assert not is_enough
    assert "--tile 2" in line
    many = replace(net, head=own_head(build("ssdlite_mobilenet_v2", num_classes=40), boxes)).ssd
    assert [level.count for level in many.levels] == [3, 6, 6, 6, 6, 6, 6]


def test_small_objects_are_not_shown_smaller() -> None:
    small, large = ([text_of([Box("tree", 0.1, 0.1, 0.1 + side, 0.1 + side)])] for side in (0.08, 0.3))
    assert Detect().recipe(100, small)["augment.zoom_out"] == 1.0
    assert Detect().recipe(100, large)["augment.zoom_out"] == 2.5
    assert Detect().recipe(5000, large)["augment.zoom_out"] == 1.0


def test_what_is_taken_for_one_object_is_like_the_boxes() -> None:
    """Boxes that never overlap, side by side, and one behind the other; another class is another object."""
    apart, near = (Box("tree", 0.1, 0.1, 0.3, 0.3), Box("tree", 0.5, 0.1, 0.7, 0.3)), Box("tree", 0.1, 0.22, 0.3, 0.42)
    task = Detect(("bird", "tree"))

    def overlap(*boxes: Box) -> float:
        return own_overlap(task.targets([text_of(boxes)]).reshape(1, -1, 6))

    assert overlap(*apart) == 0.3
    assert overlap(apart[0], near) == pytest.approx(0.08 / 0.32 + 0.2, abs=0.01)
    assert overlap(apart[0], Box("bird", 0.1, 0.22, 0.3, 0.42)) == 0.3
    assert overlap(apart[0], apart[0]) == 0.55, "one that is drawn twice"


def test_a_card_says_what_is_taken_for_one_object() -> None:
    net = build("ssdlite_mobilenet_v2", num_classes=2)
    boxes, scores = np.array([[[0, 0, 0.4, 0.4], [0, 0.16, 0.4, 0.56]]], np.float32), np.array([[[0.9], [0.8]]])
    for max_overlap, count in ((0.3, 1), (0.55, 2)):  # they overlap by 0.43
        own = replace(net, head=replace(net.ssd, max_overlap=max_overlap)).checked()
        card = ModelCard.from_json(ModelCard("finder", own, ("tree",), Preprocess(), task=DETECT).to_json())
        task = task_of(card)
        assert task.suppression is not None
        assert task.suppression.max_overlap == max_overlap
        found = task.finished(boxes, scores.astype(np.float32))
        assert int((found[0, :, 5] >= 0).sum()) == count


def test_an_epoch_of_few_photos_shows_them_several_times_but_where_epochs_are_asked_for() -> None:
    texts = [text_of([Box("tree", 0.1, 0.1, 0.2, 0.2)])]
    usual = Detect().recipe(50, texts)
    planned, asked = Settings("trees").make_recipe({}, usual), Settings("trees", epochs=7).make_recipe({}, usual)
    assert (planned.repeats, asked.repeats, asked.epochs) == (8, 1, 7)
    assert planned.epochs * planned.repeats >= 300
    assert Detect().recipe(5000, texts)["repeats"] == 1


def test_large_boxes_keep_the_usual_maps_and_long_ones_get_longer_anchors() -> None:
    net = build("ssdlite_mobilenet_v2", num_classes=2)
    large = own_head(net, np.array([[0.1, 0.1, 0.6, 0.8], [0.3, 0.2, 0.9, 0.9]]))
    assert large.strides == (16, 32)
    assert large.levels[0].ratios == (2.0, 3.0)
    assert own_head(net, np.array([[0.1, 0.1, 0.9, 0.3]])).levels[0].ratios == (2.0, 4.0)
