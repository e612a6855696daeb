"""What `write_report` leaves in a run folder."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import shutil
import sys
import tarfile
import warnings
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.arch import cost
from mobilenets.arch.build import build
from mobilenets.auditing.audit import audit, audit_splits
from mobilenets.auditing.kinds import KINDS
from mobilenets.data.sources.read import read_samples, read_splits
from mobilenets.errors import UserError
from mobilenets.explaining.gradcam import Explainer
from mobilenets.model_card import ModelCard
from mobilenets.preprocess import Preprocess
from mobilenets.report import plots
from mobilenets.report.run_report import write_report
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.tasks.classify.calibration import calibrate, coverage, threshold_for
from mobilenets.tasks.classify.metrics import score
from mobilenets.tasks.classify.predictions import Predictions
from small import network

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
    metrics = score(probabilities, labels, classes)
    card = ModelCard("photos & co", net, tuple(classes), Preprocess(size=96), metrics, provenance)
    folder.mkdir()
    (folder / "card.json").write_text(card.to_json(), encoding="utf-8")
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


def card_of(folder: Path) -> ModelCard:
    return ModelCard.from_json((folder / "card.json").read_text(encoding="utf-8"))


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
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):  # SVG's empty elements close themselves
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_run_gets_two_pictures_and_a_page_and_no_other_file(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], epochs=3)
    before = {p.name for p in folder.iterdir()}
    report(folder)
    assert {p.name for p in folder.iterdir()} - before == {"curves.png", "confusion.png", "report.html"}
    for name in ("curves.png", "confusion.png"):
        assert Image.open(folder / name).format == "PNG"


def test_the_page_tells_every_figure(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=1.0)
    metrics = card_of(folder).metrics
    page = report(folder)
    low, high = metrics["accuracy_ci95"]
    assert f"{100 * metrics['accuracy']:.1f} % accuracy" in page
    assert f"95 % interval {100 * low:.1f} % to {100 * high:.1f} %, from 60 validation photos" in page
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
    assert f"mobilenets predict &#39;{tmp_path}/my run&#39; PHOTO.jpg" in page  # quoted for the shell


def test_the_page_needs_no_other_file_and_is_well_formed(tmp_path: Path) -> None:
    page = Page(report(run_folder(tmp_path / "run", ["daisy", "rose"], epochs=3)))
    assert page.open == []
    assert "script" not in page.tags
    assert any(source.startswith("data:image/") for source in page.sources)
    for source in page.sources:  # pictures within the page, and links to places in it
        assert source.startswith("data:image/") or (source[0] == "#" and source[1:] in page.ids)


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
    assert "<bdi>a &amp; &#34;b&#34; &#39;c&#39;</bdi>" in page
    assert Page(page).open == []


def test_the_most_frequent_confusion_comes_first(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose", "tulip"])
    card = card_of(folder)
    card.metrics["confusion"] = [[15, 4, 1], [0, 20, 0], [0, 10, 10]]
    (folder / "card.json").write_text(card.to_json(), encoding="utf-8")
    table = report(folder).split("Most frequent confusions")[1].split("</table>")[0]
    rows = [re.sub("<[^>]*>", " ", row).split() for row in table.split("<tr>")[2:]]
    assert rows == [
        ["tulip", "rose", "10", "50.0", "%"],
        ["daisy", "rose", "4", "20.0", "%"],
        ["daisy", "tulip", "1", "5.0", "%"],
    ]


def test_nothing_wrong_means_no_mistakes_to_show(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run", ["daisy", "rose"], right=50.0))
    assert "every photo was recognised" in page
    assert "Most confident mistakes" not in page


def test_the_twelve_most_confident_mistakes_are_shown_as_small_pictures_where_they_exist(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=0.0)
    wrong = wrong_rows(folder)
    assert len(wrong) > 12
    (tmp_path / "photos").mkdir()
    for row in wrong[:2]:
        Image.new("RGB", (900, 600), "teal").save(row["path"])
    Path(wrong[2]["path"]).write_text("not a photo")
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


@pytest.mark.parametrize("name", ["card.json", "predictions.csv"])
def test_an_unfinished_run_is_named_as_such(tmp_path: Path, name: str) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"])
    (folder / name).unlink()
    with pytest.raises(UserError, match=name):
        write_report(folder)
    assert not (folder / "report.html").exists()


def photographs(folder: Path, side: int = 300) -> None:
    """Draw every photograph a run folder names, as noise: the worst there is for JPEG."""
    rng = np.random.default_rng(0)
    noise = [folder.parent / f"noise{k}.png" for k in range(4)]
    for path in noise:
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(path, compress_level=0)
    (folder.parent / "photos").mkdir(exist_ok=True)
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        for i, row in enumerate(csv.DictReader(file)):
            Path(row["path"]).hardlink_to(noise[i % 4])


def test_a_number_of_the_matrix_leads_to_its_photographs_without_a_script(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=1.0)
    photographs(folder)
    counts = card_of(folder).metrics["confusion"]
    page = report(folder)
    assert f'<a href="#c0-1" aria-label="{counts[0][1]} × daisy answered rose">{counts[0][1]}</a>' in page
    section = page.split('id="c0-1"')[1].split("</section>")[0]
    assert f"{counts[0][1]} × <bdi>daisy</bdi> taken for <bdi>rose</bdi>" in section
    shown = [row["path"] for row in wrong_rows(folder) if row["label"] == "daisy"][:8]
    assert section.count("data:image/jpeg") == len(shown)
    assert all(f"photos/{Path(path).name}" in section for path in shown)


@pytest.mark.parametrize(("classes", "pictures"), [(2, 24 + 32), (12, 24 + 60), (300, 24 + 15)])
def test_the_page_stays_below_three_megabytes_whatever_the_data(tmp_path: Path, classes: int, pictures: int) -> None:
    folder = run_folder(tmp_path / "run", [f"plant {k}" for k in range(classes)], epochs=2, n=900, right=1.0)
    photographs(folder)
    page = report(folder)
    assert page.count("data:image/jpeg") >= pictures
    assert len(page) < 2_000_000  # leaves as much again for the heat maps of 24
    assert (folder / "confusion.png").exists() == (classes < 300)  # nobody could read that


def test_what_the_model_must_beat_stands_beside_its_accuracy(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"])
    assert "linear probe" not in report(folder)
    (folder / "probe.json").write_text('{"val_accuracy": 0.8125}')
    page = report(folder)
    assert re.search("linear probe.*?81.2 %", page)
    assert re.search("largest class.*?50.0 %", page)


def test_photographs_have_the_heat_of_their_answer_beside_them(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose", "tulip"], right=0.5)
    photographs(folder, 96)
    model = network("mobilenet_v2", width=0.25)
    card = ModelCard("small", model.net, ("daisy", "rose", "tulip"), Preprocess(size=64))
    write_report(folder, Explainer(TorchEngine(model, card)), latency_ms=4.25)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count('alt="heat map: ') == 24
    assert "4.2 ms for one photo" in page


def test_the_temperature_and_the_thresholds_are_those_of_the_photographs(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], n=200, right=1.5)
    page = report(folder)
    predictions = Predictions.parse((folder / "predictions.csv").read_text(encoding="utf-8"))
    result = calibrate(predictions.probabilities, predictions.labels)
    assert f"temperature is {result.temperature:.2f}" in page
    assert f"With temperature scaling it is {100 * result.after:.1f} %" in page
    threshold, share = threshold_for(coverage(predictions.probabilities, predictions.labels), 0.95)
    assert re.search(f"<td>95 %</td><td class=.n.>{100 * threshold:.1f} %</td><td class=.n.>{100 * share:.1f} %", page)


def test_every_picture_and_chart_says_in_words_what_it_shows(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run", ["daisy", "rose"], epochs=3))
    assert "validation accuracy from 40.0 % to 73.3 %, at best 73.3 %" in page
    assert 'aria-label="Reliability diagram: ' in page
    assert 'aria-label="Accuracy against coverage: ' in page
    assert 'alt=""' not in page


def faulty(folder: Path) -> Path:
    """Class folders of noise, in which some photographs are copies, cut short, flat, or all of these by name."""
    rng = np.random.default_rng(0)
    for name in ("daisy", "rose"):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (90, 90, 3), np.uint8)).save(folder / name / f"{i:02}.png")
    copied = (folder / "daisy" / "03.png").read_bytes()
    for i in range(5):
        (folder / "rose" / f"copy{i}.png").write_bytes(copied)
    (folder / "rose" / "<script>.jpg").write_bytes(copied[:900])
    for i in range(4):
        Image.new("RGB", (90, 90), (i, 20, 30)).save(folder / "rose" / f"flat{i}.png")
    return folder


def test_what_the_audit_of_the_data_found_is_shown_kind_by_kind_worst_first(tmp_path: Path) -> None:
    folder, data = run_folder(tmp_path / "run", ["daisy", "rose"]), faulty(tmp_path / "my photos")
    result = audit_splits(data, read_splits(data))
    write_report(folder, audit=result)
    page = (folder / "report.html").read_text(encoding="utf-8")
    section = page.split("What the audit of the data found")[1].split("<h2>Model")[0]
    assert "34 photos were looked at." in section
    kinds = section.split("<details>")[1:]
    shown = {re.sub("<[^>]*>", "", kind.split("</summary>")[0]): kind for kind in kinds}
    assert list(shown) == [
        f"{len(found)} {KINDS[kind][0]}" for kind, found in result.findings.items() if found
    ]  # in the audit's own order
    assert "<bdi>rose/&lt;script&gt;.jpg</bdi>" in shown["1 unreadable"]
    copies = shown["1 exact duplicates"]
    assert "6 files with the same pixels" in copies
    assert "and 4 more" in copies
    assert copies.count("data:image/jpeg") == 2
    assert shown["4 blank"].count("<figure") == 3
    assert "labelled daisy and rose" in shown["1 duplicates across classes"]
    assert "Nothing found: " in section
    assert "likely wrong labels" not in section.split("Nothing found: ")[1].split("</p>")[0]  # not looked for
    assert f"mobilenets audit &#39;{data}&#39; --html audit.html" in section
    assert Page(page).open == []
    assert "<script" not in page


def test_the_command_that_audits_again_splits_as_the_run_did(tmp_path: Path) -> None:
    folder, data = run_folder(tmp_path / "run", ["daisy", "rose"]), faulty(tmp_path / "photos")
    of_the_run = audit_splits(data, read_splits(data, val=0.25, seed=3), val=0.25, seed=3)
    write_report(folder, audit=of_the_run)
    page = html.unescape((folder / "report.html").read_text(encoding="utf-8"))
    command = re.findall(r"<code>(mobilenets audit .*?)</code>", page)[0]
    assert command == f"mobilenets audit {data} --val 0.25 --seed 3 --html audit.html"
    assert audit(data, val=0.25, seed=3).findings["leak"] == of_the_run.findings["leak"] == []
    assert audit(data, val=0.25).findings["leak"] != []  # another seed tears the copies apart


def test_a_mistake_says_what_the_audit_found_about_its_photograph(tmp_path: Path) -> None:
    data = faulty(tmp_path / "photos")
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=0.0)
    wrong = wrong_rows(folder)[:2]
    text = (folder / "predictions.csv").read_text(encoding="utf-8")
    for row, path in zip(wrong, [data / "rose" / "copy1.png", data / "rose" / "01.png"], strict=True):
        text = text.replace(row["path"] + ",", f"{path},")
    (folder / "predictions.csv").write_text(text, encoding="utf-8")
    write_report(folder, audit=audit_splits(data, read_splits(data)))
    first, second = (folder / "report.html").read_text(encoding="utf-8").split("<figure>")[1:3]
    assert "rose/copy1.png" in first
    assert '<a href="#data">audit</a>: exact duplicates, duplicates across classes' in first
    assert "rose/01.png" in second
    assert "audit" not in second


@pytest.mark.skipif(sys.platform != "linux", reason="only there may file names be any bytes")
def test_a_file_name_that_is_no_text_can_be_reported(tmp_path: Path) -> None:
    data = faulty(tmp_path / "photos")
    shutil.copy(data / "rose" / "01.png", os.fsencode(data / "rose") + b"/\xff.png")
    folder = run_folder(tmp_path / "run", ["daisy", "rose"])
    write_report(folder, audit=audit_splits(data, read_splits(data)))
    assert "rose/\\udcff.png" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_report_without_an_audit_says_nothing_of_the_data(tmp_path: Path) -> None:
    assert "audit of the data" not in report(run_folder(tmp_path / "run", ["daisy", "rose"]))


def test_photographs_that_are_no_files_are_shown_from_where_they_are(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", ["daisy", "rose"], right=0.0)
    shard = tmp_path / "photos.tar"
    rng, n = np.random.default_rng(0), 60
    with tarfile.open(shard, "w") as tar:
        for i in range(n):
            content = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (50, 50, 3), np.uint8)).save(content, "PNG")
            for suffix, data in (("png", content.getvalue()), ("cls", (b"daisy", b"rose")[i % 2])):
                member = tarfile.TarInfo(f"{i:03}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    _, samples = read_samples(shard)
    assert len(samples) == n
    model = network("mobilenet_v2", width=0.25)
    card = ModelCard("small", model.net, ("daisy", "rose", "tulip"), Preprocess(size=64))
    write_report(folder, Explainer(TorchEngine(model, card)), images=samples)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("no photo") == 0
    assert page.count('alt="heat map: ') == 24
    shard.unlink()
    write_report(folder, images=samples)
    assert "data:image/jpeg" not in (folder / "report.html").read_text(encoding="utf-8")  # gone, and no error


def test_of_very_many_classes_the_worst_are_in_sight_and_all_can_be_unfolded(tmp_path: Path) -> None:
    names = [f"plant {k:03}" for k in range(300)]
    folder = run_folder(tmp_path / "run", names, n=900, right=4.0)
    page = report(folder)
    assert "Confusion matrix" not in page  # nobody could read that
    assert '<h2 id="matrix">Most frequent confusions</h2>' in page  # where its photographs lead back to
    section = page.split("<h2>Classes</h2>")[1].split("<h2>")[0]
    first, every = section.split("<details>")
    metrics = card_of(folder).metrics["per_class"]
    shown = re.findall("<bdi>(.*?)</bdi>", first)
    assert len(shown) == 15
    assert max(metrics[name]["f1"] for name in shown) <= min(metrics[name]["f1"] for name in names if name not in shown)
    assert re.findall("<bdi>(.*?)</bdi>", every) == names
    assert len(page) < 100_000


def luminance(colour: np.ndarray) -> float:
    """Relative luminance of sRGB 0..255 (WCAG 2.2)."""
    c = colour / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: int) -> None:
    style = (Path(plots.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    block = style.split(":root {")[1 + theme].split("}")[0]
    colours = {
        name: np.array([int(value[i : i + 2], 16) for i in (0, 2, 4)], float)
        for name, value in re.findall(r"--(\w+): #(\w{6})", block)
    }
    full = 0.6 * colours["card"] + 0.4 * colours["accent"]  # the darkest cell of the matrix
    grounds = [("text", colours["back"]), ("text", colours["card"]), ("text", full)]
    grounds += [(name, colours[back]) for name in ("quiet", "accent") for back in ("back", "card")]
    for name, ground in grounds:
        low, high = sorted((luminance(colours[name]), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name
