"""What `write_report` leaves in a run folder."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.artifact import ModelCard
from mobilenets.errors import UserError
from mobilenets.evaluate import plots
from mobilenets.evaluate.metrics import score
from mobilenets.evaluate.report import write_report
from mobilenets.preprocess import Preprocess
from mobilenets.spec import cost
from mobilenets.spec.build import build

HISTORY = "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,images_per_s\n"


def run_folder(folder: Path, classes: Sequence[str], epochs: int = 0, n: int = 60, right: float = 2.0) -> Path:
    """A run folder of made-up probabilities; the photographs it names do not exist."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % len(classes)
    logits = rng.normal(size=(n, len(classes)))
    logits[np.arange(n), labels] += right
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    net = build("mobilenet_v2", width=0.25, num_classes=len(classes))
    provenance = {"tag": "imagenet", "source": "https://example.org/<weights>"}
    card = ModelCard("photos & co", net, tuple(classes), Preprocess(size=96), {}, provenance)
    folder.mkdir()
    (folder / "card.json").write_text(card.to_json(), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(score(probabilities, labels, classes)), encoding="utf-8")
    if epochs:
        rows = (f"{e},0.1,{2 / e},{1 - 0.5 / e},{2.2 / e},{0.9 - 0.5 / e},80\n" for e in range(1, epochs + 1))
        (folder / "history.csv").write_text(HISTORY + "".join(rows))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "label", "predicted", *classes])
    for i, row in enumerate(probabilities):
        table.writerow([folder.parent / "photos" / f"{i}.png", classes[labels[i]], classes[row.argmax()], *row])
    (folder / "predictions.csv").write_text(text.getvalue(), encoding="utf-8")
    return folder


def wrong_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] != row["predicted"]]
    return sorted(rows, key=lambda row: -float(row[row["predicted"]]))


def report(folder: Path) -> str:
    """The page that is written; any warning on the way is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(folder)
    return (folder / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Which elements a page has, and whether each that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_run_gets_two_pictures_and_a_page_and_no_other_file(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], epochs=3)
    before = {p.name for p in folder.iterdir()}
    report(folder)
    assert {p.name for p in folder.iterdir()} - before == {"curves.png", "confusion.png", "report.html"}
    for name in ("curves.png", "confusion.png"):
        assert Image.open(folder / name).format == "PNG"


def test_the_page_tells_every_figure_of_metrics_json(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=1.0)
    metrics = json.loads((folder / "metrics.json").read_text())
    page = report(folder)
    low, high = metrics["accuracy_ci95"]
    assert f"{100 * metrics['accuracy']:.1f} % accuracy" in page
    assert f"95 % interval {100 * low:.1f} % to {100 * high:.1f} %, from 60 validation photographs" in page
    assert f"{100 * metrics['balanced_accuracy']:.1f} %" in page
    for key in ("macro_f1", "auroc", "log_loss"):
        assert f"<b>{metrics[key]:.3f}</b>" in page
    assert f"<b>{100 * metrics['ece']:.1f} %</b>" in page
    assert "top-5" not in page  # says nothing of two classes


def test_top_5_takes_the_place_of_auroc_where_there_are_many_classes(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run", list("abcdefg")))
    assert "top-5 accuracy" in page
    assert "AUROC" not in page


def test_an_auroc_that_is_not_defined_is_left_out(tmp_path: Path) -> None:
    assert "AUROC" not in report(run_folder(tmp_path / "run", ["daisy", "rose"], n=1))


def test_the_page_says_what_the_model_is_and_what_to_run_next(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "my run", ["daisy", "rose"]))
    params, _ = cost.total(build("mobilenet_v2", width=0.25, num_classes=2), 96)
    assert "mobilenet_v2" in page
    assert f"{params:,} parameters" in page
    assert "https://example.org/&lt;weights&gt;" in page
    assert "<td>input: size</td><td>96</td>" in page
    assert f"mobilenets predict &#x27;{tmp_path}/my run&#x27; PHOTO.jpg" in page  # quoted for the shell


def test_the_page_needs_no_other_file_and_is_well_formed(tmp_path: Path) -> None:
    page = Page(report(run_folder(tmp_path / "run", ["daisy", "rose"], epochs=3)))
    assert page.open == []
    assert "script" not in page.tags
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)


def test_a_probe_has_no_history_and_no_curves(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"])
    assert "Learning curves" not in report(folder)
    assert not (folder / "curves.png").exists()
    (folder / "history.csv").write_text(HISTORY)
    assert "Learning curves" not in report(folder)


def test_a_single_epoch_is_enough_for_curves(tmp_path: Path) -> None:
    assert "Learning curves" in report(run_folder(tmp_path / "run", ["daisy", "rose"], epochs=1))


def test_names_are_data_and_never_markup_or_formulas(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "a & \"b\" 'c'", "$\\frac{$", "x_$y$", "label", "line\nbreak"]
    page = report(run_folder(tmp_path / "run", names, right=0.0))
    assert "<script" not in page
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in page
    assert "<bdi>a &amp; &quot;b&quot; &#x27;c&#x27;</bdi>" in page
    assert Page(page).open == []


def test_the_most_frequent_confusion_comes_first(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose", "tulip"])
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["confusion"] = [[15, 4, 1], [0, 20, 0], [0, 10, 10]]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    table = report(folder).split("Most frequent confusions")[1].split("</table>")[0]
    rows = [re.sub("<[^>]*>", " ", row).split() for row in table.split("<tr>")[2:]]
    assert rows == [
        ["tulip", "rose", "10", "50.0", "%"],
        ["daisy", "rose", "4", "20.0", "%"],
        ["daisy", "tulip", "1", "5.0", "%"],
    ]


def test_nothing_wrong_means_no_mistakes_to_show(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run", ["daisy", "rose"], right=50.0))
    assert "every photograph was recognised" in page
    assert "Most confident mistakes" not in page


def test_the_twelve_most_confident_mistakes_are_shown_as_small_pictures_where_they_exist(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=0.0)
    wrong = wrong_rows(folder)
    assert len(wrong) > 12
    (tmp_path / "photos").mkdir()
    for row in wrong[:2]:
        Image.new("RGB", (900, 600), "teal").save(row["path"])
    Path(wrong[2]["path"]).write_text("not a picture")
    page = report(folder)
    figures = page.split("<figure>")[1:]
    assert len(figures) == 12
    assert ["data:image/jpeg" in figure for figure in figures] == [True] * 2 + [False] * 10
    for row, figure in zip(wrong, figures, strict=False):
        assert f"photos/{Path(row['path']).name}" in figure
        assert f"{100 * float(row[row['predicted']]):.1f} % sure" in figure
    assert len(page) < 400_000


def test_names_no_font_can_write_become_numbers_with_a_legend_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plots, "find_font", lambda text: None)
    page = report(run_folder(tmp_path / "run", ["猫", "cat", "ねこ"]))
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert "2 of the class names" in errors[0]
    assert "On the picture, class 0: <bdi>猫</bdi>, class 2: <bdi>ねこ</bdi>." in page


def test_latin_greek_and_cyrillic_names_need_no_font_of_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plots, "find_font", lambda text: None)
    assert "On the picture" not in report(run_folder(tmp_path / "run", ["Gänseblümchen", "ρόδο", "тюльпан"]))
    assert capsys.readouterr().err == ""


def test_a_font_that_matplotlib_cannot_read_counts_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "emoji.ttf").write_bytes(b"no outlines")
    monkeypatch.setattr(plots, "find_font", lambda text: str(tmp_path / "emoji.ttf"))
    assert plots.labels_of(["猫"])[0].text == "class 0"


def test_long_names_are_cut_in_the_middle(tmp_path: Path) -> None:
    first, second = plots.labels_of(["collection of 2021 part " * 9 + end for end in ("one", "two")])
    assert len(first.text) <= 28
    assert first.text != second.text


@pytest.mark.parametrize(("classes", "least"), [(2, 250), (13, 700), pytest.param(250, 2600, marks=pytest.mark.slow)])
def test_the_matrix_grows_with_its_classes_up_to_a_limit(classes: int, least: int) -> None:
    names = plots.labels_of([f"plant {k}" for k in range(classes)])
    picture = Image.open(io.BytesIO(plots.draw_confusion(np.eye(classes, dtype=np.int64) * 1234, names)))
    assert least <= min(picture.size)
    assert max(picture.size) < 3200


def test_a_class_without_photographs_is_no_division_by_zero() -> None:
    plots.draw_confusion(np.array([[3, 1], [0, 0]]), plots.labels_of(["daisy", "rose"]))


@pytest.mark.parametrize("name", ["card.json", "metrics.json", "predictions.csv"])
def test_an_unfinished_run_is_named_as_such(tmp_path: Path, name: str) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"])
    (folder / name).unlink()
    with pytest.raises(UserError, match=name):
        write_report(folder)
    assert not (folder / "report.html").exists()
