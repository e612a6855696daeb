"""The page of a detector: its figures, and what was missed and falsely found, as pictures."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.arch import build
from mobilenets.model_card import DETECT, ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.report.run_report import write_report
from mobilenets.tasks.detect import Detect
from mobilenets.tasks.detect.metrics import confusion_of
from mobilenets.tasks.detect.predictions import box_errors, photo_boxes
from mobilenets.tasks.detect.targets import Box, text_of

CLASSES = ("cat & co", "dog", "hen")
THRESHOLDS = (0.3, 0.4, 0.5)


def random_answers(folder: Path, photos: int, seed: int = 0) -> tuple[list[str], list[str], np.ndarray]:
    """Paths and label texts of photos, and boxes that were found: most of the true ones, some of another class."""
    rng = np.random.default_rng(seed)
    paths, texts, found = [], [], np.zeros((photos, 100, 6))
    found[..., 5] = -1
    for i, own in enumerate(found):
        corner = rng.uniform(0, 0.6, (5, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.4, (5, 2))], 1).round(5)
        kinds = rng.integers(0, 3, 5)
        texts.append(text_of(Box(CLASSES[k], *box) for k, box in zip(kinds[:3], boxes[:3].tolist(), strict=True)))
        own[:4, :4] = (boxes[1:] + rng.normal(0, 0.02, (4, 4))).clip(0, 1).round(5)
        own[:4, 4] = np.sort(rng.uniform(0.1, 1, 4))[::-1].round(6)
        own[:4, 5] = np.where(rng.random(4) < 0.7, kinds[1:], rng.integers(0, 3, 4))
        paths.append(str(folder / f"{i}.jpg"))
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(paths[-1])
    return paths, texts, found


def predictions_csv(paths: list[str], texts: list[str], found: np.ndarray) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "label", "found"])
    for path, label, row in zip(paths, texts, found, strict=True):
        table.writerow([path, label, *Detect().record(row, CLASSES)])
    return text.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    paths, texts, found = random_answers(tmp_path / "photos", 12)
    metrics = Detect(CLASSES, THRESHOLDS).score(found, np.arange(12), texts)
    net = build("ssdlite_mobilenet_v3_small", width=0.35, num_classes=4)
    preprocess = Preprocess(size=96, crop=1.0, fit="squash")
    card = ModelCard(net.name, net, CLASSES, preprocess, metrics, task=DETECT, thresholds=THRESHOLDS)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "card.json").write_text(card.to_json())
    (folder / "predictions.csv").write_text(predictions_csv(paths, texts, found))
    return folder


def test_the_errors_are_those_that_the_confusion_matrix_counts(tmp_path: Path) -> None:
    paths, texts, found = random_answers(tmp_path, 30, seed=1)
    photos = photo_boxes(predictions_csv(paths, texts, found), CLASSES)
    misses, alarms = box_errors(photos, np.array(THRESHOLDS))
    truth = Detect(CLASSES).targets(texts).reshape(30, -1, 6)
    confusion = confusion_of(found, truth, np.array(THRESHOLDS))
    background = len(CLASSES)
    for truth_class in range(background):
        for answer in range(background + 1):
            if answer != truth_class:
                other = None if answer == background else answer
                same = [miss for miss in misses if (miss.number, miss.other) == (truth_class, other)]
                assert len(same) == confusion[truth_class, answer]
    assert [sum(alarm.number == k for alarm in alarms) for k in range(background)] == [
        confusion[:, k].sum() - confusion[k, k] for k in range(background)
    ]
    assert confusion[:-1, :-1].sum() > confusion.diagonal().sum(), "some were taken for another class"
    scores = [alarm.score for alarm in alarms]
    assert scores == sorted(scores, reverse=True)
    areas = [(miss.box[2:] - miss.box[:2]).prod() for miss in misses]
    assert areas == sorted(areas, reverse=True)


def test_a_box_below_the_threshold_is_a_miss_whose_score_is_told() -> None:
    row = 'path,label,found\na.jpg,"[[""dog"",0,0,0.5,1]]","[[""dog"",0.25,0,0,0.5,0.9]]"\n'
    (miss,), alarms = box_errors(photo_boxes(row, CLASSES), np.array(THRESHOLDS))
    assert (miss.number, miss.score, miss.other) == (1, 0.25, None)
    assert not alarms


def test_what_lies_in_a_box_that_does_not_count_is_neither() -> None:
    row = 'path,label,found\na.jpg,"[[""dog"",0,0,1,1,""ignore""]]","[[""dog"",0.9,0.1,0.1,0.2,0.2]]"\n'
    assert box_errors(photo_boxes(row, CLASSES), np.array(THRESHOLDS)) == ([], [])


def test_the_page_has_cocos_figures_curves_and_the_worst_of_what_is_wrong(run: Path) -> None:
    write_report(run)
    page = (run / "report.html").read_text()
    for what in ("mAP75", "mAP, small", "AR100", "AR, large", "false alarms", "Confusion matrix", "background"):
        assert what in page
    assert "cat &amp; co" in page
    assert "cat & co" not in page
    assert re.search(r"[\d.]+ % of the boxes have an anchor", page)
    assert page.count('class="chart"') == 3, "a curve for each class"
    for heading in ("Worst misses", "Worst false alarms"):
        section = page.split(f"<h2>{heading}</h2>")[1].split("<h2")[0]
        assert 1 <= section.count("data:image/jpeg") <= 20
    assert "mobilenets explain" not in page, "which does not apply"
    assert len(page) < 1_000_000


def test_photos_that_are_gone_leave_the_page_without_their_pictures(run: Path) -> None:
    for path in (run.parent / "photos").iterdir():
        path.unlink()
    write_report(run)
    page = (run / "report.html").read_text()
    assert "no photo" in page
    assert "data:image/jpeg" not in page


def test_nothing_found_and_nothing_there_is_a_page_too(run: Path) -> None:
    found = np.zeros((2, 100, 6))
    found[..., 5] = -1
    card = ModelCard.from_json((run / "card.json").read_text())
    card.metrics.update(Detect(CLASSES, THRESHOLDS).score(found, np.arange(2), ["[]", "[]"]))
    (run / "card.json").write_text(card.to_json())
    (run / "predictions.csv").write_text(predictions_csv(["a.jpg", "b.jpg"], ["[]", "[]"], found))
    write_report(run)
    page = (run / "report.html").read_text()
    assert "Worst misses" not in page
    assert "have an anchor" not in page
