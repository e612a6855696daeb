"""`/similar`: the photos most like one, over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import mobilenets as mn
from conftest import write_photos
from serving.service import CLIENT, Service, picture, serving, write_model


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("served")
    album = write_photos(folder / "album", ("rose", "tulip"), 4)
    with serving(write_model(folder / "model.onnx"), "--among", str(album)) as service:
        yield service


def ask(service: Service, content: bytes | None = None, **options: object) -> httpx.Response:
    return httpx.post(f"{service.url}/similar", content=content, **CLIENT, **options)


def test_it_finds_what_the_command_finds(service: Service) -> None:
    photo = service.folder / "album" / "rose" / "002.jpg"
    response = ask(service, photo.read_bytes(), params={"top": 3}).json()
    (result,) = response["results"]
    album = service.folder / "album"
    wanted = mn.similar(service.folder / "model.onnx", photo, among=album, top=3, engine="onnxruntime")
    assert [match["path"] for match in result["similar"]] == [Path(match.path).name for match in wanted.matches]
    found = [match["similarity"] for match in result["similar"]]
    assert found == pytest.approx([match.similarity for match in wanted.matches], abs=1e-5)
    assert found[0] == pytest.approx(1, abs=1e-5)
    assert str(service.folder) not in str(response)  # folders of the server are its own


def test_several_photos_are_answered_in_order_and_a_bad_one_in_its_place(service: Service) -> None:
    files = [("image", ("a.jpg", picture())), ("image", ("b.txt", b"words"))]
    good, bad = ask(service, files=files).json()["results"]
    assert (good["name"], len(good["similar"])) == ("a.jpg", 8)  # there are no more
    assert (bad["name"], bad["code"]) == ("b.txt", "not-an-image")


def test_wrong_use_is_told(service: Service) -> None:
    assert ask(service, b"").json()["code"] == "no-file"
    for top in (0, 101):
        assert ask(service, picture(), params={"top": top}).status_code == 422


def test_it_is_described_and_predict_answers_beside_it(service: Service) -> None:
    spec = service.get("/openapi.json").json()
    assert "/similar" in spec["paths"]
    assert service.get("/model").json()["finds_alike"]
    assert service.still_serves()
