"""The page that asks for labels: what it is told, what it may write, and that `train` reads that."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from conftest import write_photos
from mobilenets.data.sources.read import read_splits
from mobilenets.errors import DataError
from mobilenets.runtime.engines.torch import TorchEngine
from mobilenets.runtime.predictor import Predictor
from mobilenets.serving.app import make_app
from mobilenets.serving.label_list import LabelList
from small import card_of, network

CLASSES = ("rose", "tulip")


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    """A list of twelve photos, as `label-next` writes it."""
    write_photos(tmp_path / "photos", CLASSES, 6)
    paths = sorted((tmp_path / "photos").rglob("*.jpg"))
    with (tmp_path / "next.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "why"), *((path, "", "typical") for path in paths)])
    return tmp_path / "next.csv"


@pytest.fixture
def client(wanted: Path) -> Iterator[TestClient]:
    model = network()
    labels = LabelList(wanted, wanted.with_name("labels.csv"), CLASSES)
    with TestClient(make_app(Predictor(TorchEngine(model, card_of(model))), labels=labels, origins=["*"])) as client:
        yield client


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_labels_given_on_the_page_are_a_csv_that_train_reads(client: TestClient, wanted: Path) -> None:
    listed = client.get("/label/list").json()
    assert listed["classes"] == list(CLASSES)
    assert {photo["label"] for photo in listed["photos"]} == {None}
    for number, photo in enumerate(rows(wanted)[1:]):
        name = Path(photo[0]).parent.name
        assert client.put(f"/label/photo/{number}", json={"label": name}).status_code == 200
    splits = read_splits(wanted.with_name("labels.csv"))
    assert splits.classes == CLASSES
    assert len(splits.train) + len(splits.val) == 12
    assert all(sample.path.parent.name == splits.classes[sample.label] for sample in splits.train)


def test_each_answer_is_there_at_once_and_can_be_changed_and_taken_back(client: TestClient, wanted: Path) -> None:
    labels = wanted.with_name("labels.csv")
    client.put("/label/photo/3", json={"label": " thistle, wild "})
    assert rows(labels) == [["path", "label"], [rows(wanted)[4][0], "thistle, wild"]]
    listed = client.get("/label/list").json()
    assert listed["classes"] == [*CLASSES, "thistle, wild"]  # a new class is offered from then on
    assert listed["photos"][3]["label"] == "thistle, wild"
    client.put("/label/photo/3", json={"label": "rose"})
    assert rows(labels)[1:] == [[rows(wanted)[4][0], "rose"]]
    client.put("/label/photo/3", json={"label": None})
    assert rows(labels) == [["path", "label"]]


def test_labels_of_an_earlier_list_stay_and_name_the_classes(wanted: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\nold/1.jpg,daisy\n", encoding="utf-8")
    thousand = [str(i) for i in range(1000)]  # a published network's: no key for each
    labels = LabelList(wanted, tmp_path / "labels.csv", thousand)
    assert labels.to_dict()["classes"] == ["daisy"]
    labels.give(0, "rose")
    assert [row[1] for row in rows(tmp_path / "labels.csv")] == ["label", "daisy", "rose"]


def test_photos_are_shown_as_small_jpegs_whatever_they_are(client: TestClient, wanted: Path) -> None:
    Image.new("I;16", (3000, 600), 40_000).save(rows(wanted)[1][0].replace(".jpg", ".tif"), "TIFF")
    Path(rows(wanted)[1][0].replace(".jpg", ".tif")).replace(rows(wanted)[1][0])
    response = client.get("/label/photo/0")
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).size == (1024, 205)


@pytest.mark.parametrize(
    ("number", "content", "status"),
    [
        ("99", b'{"label": "rose"}', 404),
        ("-1", b'{"label": "rose"}', 404),
        ("x", b'{"label": "rose"}', 422),
        ("0", b"rose", 400),
        ("0", b'{"name": "rose"}', 400),
        ("0", b'{"label": 3}', 400),
        ("0", b'{"label": ""}', 422),
        ("0", b'{"label": "a\\nb"}', 422),
        ("0", b'{"label": "' + b"a" * 201 + b'"}', 422),
        ("0", b" " * 5000, 413),
    ],
)
def test_what_is_no_label_changes_nothing(
    client: TestClient, wanted: Path, number: str, content: bytes, status: int
) -> None:
    response = client.put(f"/label/photo/{number}", content=content)
    assert response.status_code == status
    assert response.json().keys() == {"error", "code"}
    assert not wanted.with_name("labels.csv").exists()


def test_a_photo_that_is_gone_is_told_in_its_place(client: TestClient, wanted: Path) -> None:
    Path(rows(wanted)[1][0]).unlink()
    assert client.get("/label/photo/0").json()["code"] == "damaged"
    assert client.get("/label/photo/1").status_code == 200


def test_no_other_page_may_write_even_where_all_may_ask(client: TestClient) -> None:
    """A browser asks first, as a PUT is no simple request."""
    headers = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "PUT"}
    assert client.options("/label/photo/0", headers=headers).status_code == 400
    headers["Access-Control-Request-Method"] = "POST"
    assert client.options("/predict", headers=headers).status_code == 200


def test_the_page_and_its_files_are_there(client: TestClient) -> None:
    page = client.get("/label").text
    assert "default-src 'none'" in page
    for name in ("label.js", "label.css", "style.css", "i18n.js", "icon.svg"):
        assert client.get(f"/{name}").status_code == 200, name


def test_its_words_are_there_and_the_html_says_the_english_ones(client: TestClient) -> None:
    page, script, words = (client.get(name).text for name in ("/label", "/label.js", "/i18n.js"))
    english = dict(re.findall(r'^    "?([\w-]+)"?: "(.*)",$', words.partition("\n  zh:")[0], re.MULTILINE))
    for key, text in re.findall(r'data-i18n="([^"]+)"[^>]*>([^<]+)<', page):
        assert text == english[key]
    assert {*re.findall(r'"(label[A-Z]\w+)"', script)} <= english.keys()
    assert {*re.findall(r'(?:find|querySelector)\("#([\w-]+)"\)', script)} <= {*re.findall(r'id="([\w-]+)"', page)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name,why\na.jpg,typical\n", "has no column 'path'"),
        ("path,label,why\n", "no photo in it"),
        ("path,label,why\n,,typical\n", "line 2: an empty path"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "list.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        LabelList(tmp_path / "list.csv", tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("path,label,split\na.jpg,rose,val\n", "its column 'split' would be lost"),
        ("path,label\na.jpg,\n", "line 2: an empty path or label"),
    ],
)
def test_a_csv_that_would_lose_something_is_not_written_to(wanted: Path, content: str, told: str) -> None:
    labels = wanted.with_name("labels.csv")
    labels.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        LabelList(wanted, labels)
    assert labels.read_text(encoding="utf-8") == content
