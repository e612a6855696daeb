"""A thousand bodies that nobody meant to send: each gets a status, and the service goes on."""

import base64
import contextlib
import json
import random
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenets.serving.body import _files
from mobilenets.serving.limits import Refusal
from serving.service import Service, picture, serving, write_model

STATUSES = {200, 400, 413, 415, 422}
SEEDS = [picture(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")]
TYPES = [
    "image/jpeg",
    "application/octet-stream",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "application/json",
    "a/b; c",
    "é",
]


def _form(data: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return head + data + b"\r\n--b--\r\n"


def _body(chance: random.Random) -> bytes:
    """A picture or a form with bytes changed, cut out or doubled; or noise."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(2000))
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(1, 30)):
        i = min(int(chance.expovariate(1 / 100)), len(data))  # mostly in the headers
        j = i + chance.randrange(8)
        data[i:j] = chance.choice([b"", bytes(data[i:j]) * 2, chance.randbytes(j - i), b"\xff\xff\xff\xff"])
    body = bytes(data)
    if chance.random() < 0.3:
        body = _form(body)
        body = body[: chance.randrange(len(body))] if chance.random() < 0.5 else body
    return _as_json(body, chance) if chance.random() < 0.3 else body


def _as_json(body: bytes, chance: random.Random) -> bytes:
    """JSON with it in base64, sometimes as a data URL, whole or with a few bytes changed."""
    head = chance.choice(["", "data:image/png;base64,", "data:,", "http:"])
    text = bytearray(
        json.dumps({chance.choice(["image", "images", "x"]): head + base64.b64encode(body).decode()}).encode()
    )
    for _ in range(chance.randrange(3)):
        text[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(text)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(write_model(tmp_path_factory.mktemp("served") / "model.onnx")) as service:
        yield service


def test_a_thousand_fuzzed_bodies_leave_it_serving(service: Service) -> None:
    chance = random.Random(0)
    seen = set()
    with httpx.Client(timeout=300) as client:
        for _ in range(1000):
            headers = {"Content-Type": chance.choice(TYPES).encode()}
            response = client.post(f"{service.url}/predict", content=_body(chance), headers=headers)
            assert response.status_code in STATUSES, response.text
            assert "error" in response.json() or response.status_code == 200
            seen.add(response.status_code)
    assert service.still_serves()
    assert len(seen) >= 4


@pytest.mark.parametrize(
    "noise", [b"", b"\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / HTTP/9.9\r\n\r\n", b"a/b; c" * 100]
)
def test_what_is_no_http_leaves_it_serving(service: Service, noise: bytes) -> None:
    with service.connect() as client:
        client.sendall(noise)
    with service.connect() as client:
        client.sendall(noise)
        client.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            client.recv(100)
    assert service.still_serves()


@given(st.lists(st.tuples(st.text("ab/ 图.", min_size=1, max_size=9), st.binary(max_size=300)), min_size=1, max_size=4))
@settings(max_examples=100)
def test_a_form_gives_back_the_files_a_client_put_in(files: list[tuple[str, bytes]]) -> None:
    request = httpx.Request("POST", "http://x/", files=[("image", file) for file in files])
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    assert [(upload.name, upload.data) for upload in _files(request.read(), boundary)] == files


@given(st.binary(max_size=300), st.binary(max_size=10))
@settings(max_examples=200)
def test_a_malformed_form_is_refused_and_nothing_else(data: bytes, boundary: bytes) -> None:
    for body in (data, _form(data), _form(data)[: len(data)]):
        with contextlib.suppress(Refusal):
            list(_files(body, boundary))
