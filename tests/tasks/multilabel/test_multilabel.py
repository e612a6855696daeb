"""Several labels a photograph: split, trained, exported, verified, predicted with, evaluated and served."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

import mobilenets as mn
from conftest import is_one_line_error
from four import short_weights, write_colours
from mobilenets.data.samples import Samples
from mobilenets.data.sources.read import read_splits
from mobilenets.errors import DataError, ModelFileError, UsageError
from mobilenets.model_card import ModelCard, read_card
from mobilenets.report.run_report import write_report
from mobilenets.serving.among import Among
from mobilenets.serving.app import make_app
from mobilenets.tasks.multilabel import Multilabel
from mobilenets.tasks.multilabel.loss import MAX_WEIGHT, BinaryCrossEntropy
from mobilenets.tasks.multilabel.predictions import LabelError, label_errors
from mobilenets.tasks.multilabel.targets import names_of
from mobilenets.training.probe.sigmoid_head import fit_sigmoid_head
from mobilenets.training.recipe import ProbeRecipe

LABELS = ("green", "red")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photographs that are red, green, both or neither, and `list.csv` that says so."""
    return write_colours(tmp_path_factory.mktemp("colours")).parent


@pytest.fixture(scope="module")
def weights(photographs: Path) -> Path:
    return short_weights(photographs / "weights.safetensors")


@pytest.fixture(scope="module")
def run(photographs: Path, weights: Path) -> mn.Run:
    """A probe, on a network that knows nothing: its features tell colours apart all the same."""
    return mn.train(
        photographs / "list.csv", out=photographs / "run", weights=weights, recipe="probe", size=32, device="cpu"
    )


# --- the split and what is learned ----------------------------------------------------------------------


def _listed(folder: Path, *sets: str) -> Path:
    """A CSV of photographs with these labels."""
    lines = ["path,labels"]
    for i, text in enumerate(sets):
        (folder / f"{i}.png").touch()
        lines.append(f"{i}.png,{text}")
    (folder / "sets.csv").write_text("\n".join(lines) + "\n")
    return folder / "sets.csv"


def _share(part: Samples, texts: tuple[str, ...], name: str) -> int:
    return sum(name in names_of(texts[k]) for k in part.labels)


def test_each_label_validates_in_proportion_the_rare_ones_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = np.array(["common", "usual", "rare", "single"])
    has = rng.random((300, 4)) < (0.6, 0.3, 0.05, 0.0)
    has[7, 3] = True
    splits = read_splits(_listed(tmp_path, *(";".join(names[row]) for row in has)))
    for k, name in enumerate(names[:3]):
        assert _share(splits.val, splits.classes, name) == pytest.approx(
            0.2 * has[:, k].sum(), abs=0.15 * has[:, k].sum()
        )
    assert _share(splits.train, splits.classes, "single") == 1, "what is not trained on is useless"


def test_every_label_is_trained_on_though_all_its_photographs_have_rarer_ones(tmp_path: Path) -> None:
    data = _listed(tmp_path, "a;x", "a", "b;x", "b", "c;x", "c", "d", "d", "d", "d", "d;a")
    for seed in range(40):
        splits = read_splits(data, val=0.5, seed=seed)
        assert all(_share(splits.train, splits.classes, name) for name in "abcdx")


def test_labels_that_only_validation_photographs_have_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0.png").touch()
    (tmp_path / "1.png").touch()
    (tmp_path / "x.csv").write_text("path,labels,split\n0.png,a;b,train\n1.png,a;c,val\n")
    with pytest.raises(DataError, match="no training photo has 'c', which others have"):
        read_splits(tmp_path / "x.csv")


def test_photographs_without_any_label_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 2 photos has a label"):
        read_splits(_listed(tmp_path, "", ""))


@pytest.mark.parametrize("balanced", [False, True])
def test_the_probe_is_one_logistic_regression_for_each_label(balanced: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6)).astype(np.float32)
    truth = x[:, :3] + rng.normal(size=(120, 3)) > (0, 1, -1)
    head = fit_sigmoid_head(x, truth, ProbeRecipe(strengths=(0.1,)), 0, balanced)
    z = (x - x.mean(0)) / (x.std(0) + 1e-6)
    for k in range(3):
        alone = LogisticRegression(C=0.1, class_weight="balanced" if balanced else None, tol=1e-6).fit(z, truth[:, k])
        assert head.probabilities(x)[:, k] == pytest.approx(alone.predict_proba(z)[:, 1], abs=2e-3)


def test_rare_labels_weigh_more_within_bounds() -> None:
    targets = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    labels = np.repeat([0, 1, 2], [20, 1, 59])  # 20, 1 and 0 of 80
    zero = torch.zeros(1, 3)
    for balanced, weight in ((False, 3**0.5), (True, 3.0)):
        loss = BinaryCrossEntropy(labels, targets, balanced)
        there, absent = (3 * float(loss(zero, wanted)) / np.log(2) for wanted in (torch.ones(1, 3), zero))
        assert there == pytest.approx(weight + 2 * MAX_WEIGHT)
        assert absent == pytest.approx(3)
    assert loss.right(torch.tensor([[1.0, -1, -1], [1, 1, -1]]), targets[[0, 0]]) == 1


# --- a run ----------------------------------------------------------------------------------------------


def test_a_run_has_its_figures_its_thresholds_and_what_it_predicted(run: mn.Run) -> None:
    card = read_card(run.path / "model.onnx")
    assert (card.task, card.classes, len(card.thresholds)) == ("multilabel", LABELS, 2)
    assert card == read_card(run.path) == run.card
    assert run.metrics["mAP"] > 0.9
    assert run.metrics["per_class"]["red"]["threshold"] == card.thresholds[1]
    with (run.path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == run.metrics["exact_match"]
    assert json.loads((run.path / "probe.json").read_text())["val_mAP"] == pytest.approx(run.metrics["mAP"], abs=0.02)


def test_the_report_has_each_label_with_its_threshold(run: mn.Run) -> None:
    page = (run.path / "report.html").read_text()
    assert f"mAP {100 * run.metrics['mAP']:.1f} %" in page
    for name, figures in run.metrics["per_class"].items():
        cells = (figures["ap"], figures["f1"], figures["precision"], figures["recall"])
        numbers = [*(f"{value:.3f}" for value in cells), f"{figures['threshold']:.2f}", str(figures["n"])]
        assert f"<bdi>{name}</bdi></td>" + "".join(f'<td class="n">{number}</td>' for number in numbers) in page


def test_the_report_shows_the_photographs_with_wrong_labels(run: mn.Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run.path, tmp_path / "run"))
    head, *rows = (folder / "predictions.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    swapped = [[path, "green" if "red" in truth else "red", *rest] for path, truth, *rest in cells]
    (folder / "predictions.csv").write_text("\n".join([head, *map(",".join, swapped)]) + "\n")
    write_report(folder)
    page = (folder / "report.html").read_text()
    assert f"{len(rows)} of {len(rows)} have a label too few or too many" in page
    assert page.count("missed <bdi>") + page.count("too many <bdi>") >= len(rows)
    assert page.split('id="known"')[0].count("data:image/jpeg") == 12
    assert "no photo</div>" not in page


def test_photographs_with_wrong_labels_come_by_their_loss() -> None:
    text = "path,label,predicted,a,b\n1,a,a,0.9,0.1\n2,|,a|b,0.6,0.7\n3,b,|,0.1,0.01\n"
    assert label_errors(text) == [
        LabelError(2, "3", (("b", 0.01),), ()),
        LabelError(1, "2", (), (("a", 0.6), ("b", 0.7))),
    ]


def test_cards_of_classes_have_no_thresholds_and_bad_ones_are_refused(run: mn.Run) -> None:
    card = run.card
    assert "thresholds" not in ModelCard(card.name, card.net, LABELS, card.preprocess).to_json()
    for wrong, told in (("[0.5]", "1 thresholds for 2 classes"), ("[0.5, 7]", "not from 0 to 1"), ('"x"', "not one")):
        content = {**json.loads(card.to_json()), "thresholds": json.loads(wrong)}
        with pytest.raises(ModelFileError, match=told):
            ModelCard.from_json(json.dumps(content))


def test_fine_tuning_starts_with_the_probe_and_keeps_what_validates_best(
    photographs: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = mn.train(
        photographs / "list.csv", out=photographs / "tuned", weights=weights, recipe="finetune", epochs=1, size=32,
        precision="fp32", device="cpu", changes={"batch_size": 16},
    )  # fmt: skip
    with (found.path / "history.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert {"train_exact_match", "val_mAP", "val_loss"} <= row.keys()
    probe = json.loads((found.path / "probe.json").read_text())
    assert found.metrics["mAP"] >= max(probe["val_mAP"], float(row["val_mAP"])) - 0.02
    assert (found.path / "curves.png").exists()
    assert "red" in capsys.readouterr().err, "a table of labels and parts"


@pytest.mark.parametrize(
    "target",
    ["onnx", "openvino", *(pytest.param(t, marks=pytest.mark.exports) for t in ("litert", "executorch", "ncnn"))],
)
def test_exports_are_verified_by_sets_of_labels(run: mn.Run, target: Any) -> None:
    result = run.export(target).verification
    assert result.n == run.metrics["n"], "the run's own validation photos"
    assert result.top1_agreement == 1
    assert result.accuracy_before == pytest.approx(run.metrics["mAP"])
    assert result.agrees


def test_answers_in_python_and_on_the_command_line(run: mn.Run, photographs: Path, cli: Any) -> None:
    photo = photographs / "06.png"
    answer = mn.load(run.path, "onnxruntime").predict(photo)
    shown = {}
    for form in ("table", "jsonl", "csv"):
        result = cli("predict", run.path, photo, "--format", form, "--engine", "onnxruntime")
        assert result.returncode == 0
        shown[form] = result.stdout.splitlines()
    first, p = answer.top[0]
    labels = ", ".join(answer.labels) or "none"
    assert shown["table"][1:3] == [f"labels: {labels}", f"label: {first:5}   prob: {p:.3f}"]
    line = json.loads(shown["jsonl"][0])
    assert (line["labels"], line["top"][0]["label"]) == (list(answer.labels), first)
    assert shown["csv"] == [
        "path,labels,label,probability,error,known,nearest",
        f"{photo},{'|'.join(answer.labels)},{first},{p:.6f},,{answer.known:.6f},{answer.nearest[0]}",
    ]


def test_the_thresholds_of_the_card_decide(run: mn.Run) -> None:
    row = np.array([0.4, 0.6], np.float32)
    for thresholds, labels in (((), ("red",)), ((0.3, 0.7), ("green",)), ((0.3, 0.3), ("red", "green"))):
        task = Multilabel(LABELS, thresholds)
        assert task.answer(None, row, LABELS).labels == labels
        assert task.answer(None, row, LABELS).cells(1)["labels"] == "|".join(labels)
    assert Multilabel(LABELS, (0.9, 0.9)).answer(None, row, LABELS).title == ("no label", "")


def test_a_sheet_shows_the_labels(run: mn.Run, photographs: Path) -> None:
    list(mn.predict(run.path, photographs / "06.png", save=photographs / "sheet.png", engine="onnxruntime"))
    assert Image.open(photographs / "sheet.png").width > 0


def test_a_run_is_evaluated_on_sets_and_on_folders_of_classes(
    run: mn.Run, photographs: Path, tmp_path: Path, cli: Any
) -> None:
    result = cli("evaluate", run.path, photographs / "list.csv", "--engine", "onnxruntime")
    assert "exact_match" in result.stdout
    assert "threshold" in result.stdout
    for name in LABELS:
        (tmp_path / "folders" / name).mkdir(parents=True)
    Image.open(photographs / "02.png").rotate(90).save(tmp_path / "folders" / "red" / "x.png")
    Image.open(photographs / "03.png").rotate(90).save(tmp_path / "folders" / "green" / "y.png")
    single = mn.evaluate(run.path, tmp_path / "folders", engine="onnxruntime").metrics
    assert (single["n"], single["labels_each"], single["classes"]) == (2, 1.0, list(LABELS))
    with pytest.raises(DataError, match="has the label 'blue', which is not among green, red"):
        mn.evaluate(run.path, _listed(tmp_path, "red;blue", "red"), engine="onnxruntime")


def test_it_is_served(run: mn.Run, photographs: Path) -> None:
    predictor, content = mn.load(run.path, "onnxruntime"), (photographs / "06.png").read_bytes()
    with TestClient(make_app(predictor)) as client:
        (answer,) = client.post("/predict", params={"top": 1}, content=content).json()["results"]
        described = client.get("/openapi.json").json()["components"]["schemas"]["Answer"]["properties"]
    assert answer["labels"] == list(predictor.predict(content).labels)
    assert len(answer["top"]) == 1
    assert {"labels", "top"} <= described.keys()


def test_what_is_made_for_classes_refuses_it_in_one_line(
    run: mn.Run, photographs: Path, tmp_path: Path, cli: Any
) -> None:
    data, out = photographs / "list.csv", tmp_path / "out"
    for command in (
        ("explain", run.path, photographs / "00.png"),
        ("search", data, "--from", run.path, "--latency", "1ms", "--out", out),
        ("train", data, "--from", run.path, "--out", out),
        ("train", data, "--set", "balance=sampler", "--out", out),
        ("export", run.path, "--to", "web", "--out", out),
        ("label-next", photographs, "--from", run.path, "--out", tmp_path / "next.csv"),
        ("evaluate", run.path, data, "--unknown", photographs / "00.png"),
        ("add-class", run.path, photographs, "--name", "new"),
        ("predict", run.path, photographs / "00.png", "--sort-into", out),
    ):
        result = cli(*command)
        assert result.returncode == 2
        assert "multilabel" in result.stderr.splitlines()[-1]
    assert is_one_line_error(cli("evaluate", run.path, photographs / "none.csv"), "none.csv")
    with pytest.raises(UsageError, match="answers 'multilabel'"):
        run.classifier()


# --- what training photographs are like -----------------------------------------------------------------


def test_a_photograph_unlike_all_others_has_no_labels_in_every_form(run: mn.Run, tmp_path: Path, cli: Any) -> None:
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[::3, :, 2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    answer = mn.load(run.path, "onnxruntime").predict(tmp_path / "stripes.png")
    assert answer.labels is None
    assert answer.known < 0.05
    assert answer.title == ("unknown", f"{answer.known:.3f}")
    shown = cli("predict", run.path, tmp_path / "stripes.png", "--engine", "onnxruntime").stdout.splitlines()
    assert shown[1].startswith("unknown (known: ")
    assert shown[2].startswith("label: ")
    line = json.loads(cli("predict", run.path, tmp_path / "stripes.png", "--format", "jsonl").stdout)
    assert line["labels"] is None
    assert len(line["nearest"]) == 3
    row = cli("predict", run.path, tmp_path / "stripes.png", "--format", "csv").stdout.splitlines()[1]
    assert row.split(",")[1] == "unknown"
    accepted = cli("predict", run.path, tmp_path / "stripes.png", "--accept", "1").stdout
    assert "unknown" not in accepted


def test_photographs_like_those_of_the_training_are_known(run: mn.Run, photographs: Path) -> None:
    answers = list(mn.predict(run.path, sorted(photographs.glob("*.png")), engine="onnxruntime"))
    assert np.mean([answer.labels is not None for answer in answers]) >= 0.9


def test_the_index_keeps_the_rarest_label_of_each(run: mn.Run) -> None:
    index = mn.load(run.path).index
    assert index is not None
    labels = dict(_listed_labels(run.path))
    rank = {(): 2, ("green",): 0, ("red",): 1, ("green", "red"): 0}  # 20 are green, 30 are red
    assert [rank[names_of(labels[path])] for path in index.paths] == index.labels.tolist()


def _listed_labels(folder: Path) -> list[tuple[str, str]]:
    with (folder / "data.csv").open() as file:
        return [(row["path"], row["labels" if "labels" in row else "label"]) for row in csv.DictReader(file)]


def test_the_photographs_most_like_one_are_found_among_the_training_photographs(run: mn.Run, photographs: Path) -> None:
    path = mn.load(run.path).index.paths[0]
    found = mn.similar(run.path, photographs / path, top=3)
    assert Path(found.matches[0].path).name == path
    assert found.matches[0].similarity == pytest.approx(1, abs=0.01)
    predictor = mn.load(run.path, "onnxruntime")
    index = predictor.index
    with TestClient(make_app(predictor, among=Among.of(index.reference.rows, index.paths))) as client:
        content = (photographs / path).read_bytes()
        (answer,) = client.post("/similar", params={"top": 2}, content=content).json()["results"]
        (known,) = client.post("/predict", content=content).json()["results"]
    assert answer["similar"][0]["path"] == path
    assert known["nearest"][0] == path


def test_the_report_shows_the_strangest_with_their_labels(run: mn.Run) -> None:
    page = (run.path / "report.html").read_text()
    assert "training photos least like the others" in page
    assert "<bdi>green, red</bdi>" in page.split('id="known"')[1]


# --- the audit ------------------------------------------------------------------------------------------


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """20 noisy photographs: 0 is a copy of 1 with another label, 2 a copy of 3 on the other side; two have no label."""
    rng = np.random.default_rng(3)
    lines = ["path,labels,split"]
    for i in range(20):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(tmp_path / f"{i:02d}.png")
        labels = "" if i in (8, 9) else "cat;dog" if i == 0 else "cat"
        lines.append(f"{i:02d}.png,{labels},{'val' if i in (3, 15, 16) else 'train'}")
    shutil.copy(tmp_path / "01.png", tmp_path / "00.png")
    shutil.copy(tmp_path / "03.png", tmp_path / "02.png")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "list.csv"


def test_an_audit_finds_rare_labels_contradictions_leaks_and_photographs_without_any(faulty: Path, cli: Any) -> None:
    result = cli("audit", faulty, "--weights", "none", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert {Path(f["path"]).name for f in found["no_labels"]} == {"08.png", "09.png"}
    assert [f["why"] for f in found["label_few"]] == ["dog: 1 photo", "cat: 18 photos"]
    (contradiction,) = found["duplicate_across_classes"]
    assert contradiction["labels"] == ["cat, dog", "cat"]
    assert [{Path(path).name for path in f["paths"]} for f in found["leak"]] == [{"02.png", "03.png"}]
    assert not {"imbalance", "likely_mislabelled"} & found.keys()
    table = cli("audit", faulty, "--weights", "none").stdout
    assert table.startswith("20 photos, 2 labels")
    assert "not looked for" not in table


def test_the_cleaned_list_is_read_as_labels_again(faulty: Path, tmp_path: Path, cli: Any) -> None:
    clean = tmp_path / "clean.csv"
    result = cli("audit", faulty, "--weights", "none", "--write-clean", clean)
    assert result.returncode == 0, result.stderr
    assert "2 copies with different labels, 1 copies" in result.stderr
    splits = read_splits(clean)
    assert len(splits.train) + len(splits.val) == 17
    assert set(splits.classes) == {"cat", "|"}


def test_a_run_reports_what_its_audit_found(run: mn.Run) -> None:
    page = (run.path / "report.html").read_text()
    assert "photos without labels" in page
