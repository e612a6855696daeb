"""The service as its clients see it: a process, sockets, real pictures."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from mobilenets import load
from serving.service import PATIENCE_S, Service, bomb, picture, serving, write_model
from small import CLASSES


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(write_model(tmp_path_factory.mktemp("served") / "model.onnx"), engine="auto") as service:
        yield service


def _refused(response: httpx.Response, status: int, code: str) -> bool:
    content = response.json()
    assert (response.status_code, content["code"]) == (status, code), response.text
    assert content.keys() == {"error", "code"}
    assert "\n" not in content["error"]
    assert "/" not in content["error"].replace("multipart/form-data", "")
    return True


def test_the_answer_is_that_of_predict(service: Service) -> None:
    data = picture()
    answer = service.post(data).json()
    expected = load(service.folder / "model.onnx", "onnxruntime").predict(data)
    (result,) = answer["results"]
    assert (answer["model"], result["name"], result["label"]) == ("test", None, expected.label)
    assert [row["label"] for row in result["top"]] == [label for label, _ in expected.top]
    assert [row["probability"] for row in result["top"]] == pytest.approx([p for _, p in expected.top], abs=1e-5)


def test_top_says_how_many_classes(service: Service) -> None:
    response = service.post(picture(), params={"top": 2})
    assert len(response.json()["results"][0]["top"]) == 2
    assert _refused(service.post(picture(), params={"top": 0}), 422, "parameter")


def test_a_form_brings_several_pictures_answered_in_order(service: Service) -> None:
    pictures = [picture("PNG", seed=seed) for seed in range(5)]
    files = [("image", (f"图 {i}.png", data)) for i, data in enumerate(pictures)]
    answer = service.post(files=files, data={"comment": "no photo"}).json()
    assert [result["name"] for result in answer["results"]] == [f"图 {i}.png" for i in range(5)]
    single = [service.post(data).json()["results"][0]["label"] for data in pictures]
    assert [result["label"] for result in answer["results"]] == single


def test_one_bad_picture_among_several_is_told_in_its_place(service: Service) -> None:
    files = [("image", ("a.jpg", picture())), ("image", ("b.txt", b"words")), ("image", ("c.jpg", picture()[:700]))]
    response = service.post(files=files)
    good, no_picture, damaged = response.json()["results"]
    assert response.status_code == 200
    assert good["label"] in CLASSES
    assert (no_picture["code"], damaged["code"]) == ("not-an-image", "damaged")


def test_what_curl_calls_a_form_may_be_a_picture(service: Service) -> None:
    response = service.post(picture(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (b"", {}, 400, "no-file"),
        (b"%PDF-1.7 not a photo", {"Content-Type": "application/pdf"}, 415, "not-an-image"),
        (b'{"image": "base64"}', {"Content-Type": "application/json"}, 415, "not-an-image"),
        (b'{"image": "base64"', {"Content-Type": "application/json"}, 400, "malformed"),
        (b"no JSON", {"Content-Type": "application/json"}, 400, "malformed"),
        (b"[1, 2]", {"Content-Type": "application/json"}, 400, "malformed"),
        (b'{"file": "AAAA"}', {"Content-Type": "application/json"}, 400, "malformed"),
        (b'{"image": 7}', {}, 400, "malformed"),
        (b'{"images": "AAAA"}', {}, 400, "malformed"),
        (b'{"image": "no base64!"}', {}, 400, "malformed"),
        (b'{"image": "https:\\/\\/a.b\\/c.jpg"}', {}, 400, "malformed"),
        (b'{"image": "data:image/png,%89PNG"}', {}, 400, "malformed"),
        (b'{"image": ""}', {}, 400, "no-file"),
        (b'{"images": []}', {}, 400, "no-file"),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400, "malformed"),
        (json.dumps({"images": ["AAAA"] * 17}).encode(), {}, 413, "too-large"),
        (b"data:image/jpeg;base64,???", {}, 400, "malformed"),
        (b"data:image/jpeg;base64," + base64.b64encode(picture()[:900]), {}, 422, "damaged"),
        (picture()[:900], {"Content-Type": "image/jpeg"}, 422, "damaged"),
        (b"--x\r\nno form", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "malformed"),
        (b"anything", {"Content-Type": "multipart/form-data"}, 400, "malformed"),
        (b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "no-file"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_picture_gets_its_own_status(
    service: Service, data: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    assert _refused(service.post(data, headers=headers), status, code)
    assert service.still_serves()


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain", None])
def test_json_with_base64_is_answered_as_the_bytes_are(service: Service, kind: str | None) -> None:
    data = picture("PNG")
    text = base64.b64encode(data).decode()
    headers = {"Content-Type": kind} if kind else {}
    expected = service.post(data).json()["results"]
    wrapped = "\r\n".join(textwrap.wrap(text, 76))
    url_safe = base64.urlsafe_b64encode(data).decode().rstrip("=")
    for form in (text, wrapped, url_safe, f"data:image/png;base64,{text}", f"data:;base64,{text}"):
        body = json.dumps({"image": form, "comment": "red"}).encode()
        assert service.post(body, headers=headers).json()["results"] == expected
    assert service.post(f"data:image/png;base64,{text}\n".encode(), headers=headers).json()["results"] == expected


def test_json_brings_several_pictures_answered_in_order(service: Service) -> None:
    pictures = [picture("PNG", seed=seed) for seed in range(3)]
    body = {"images": [base64.b64encode(data).decode() for data in pictures]}
    results = service.post(json=body, params={"top": 1}).json()["results"]
    single = [service.post(data, params={"top": 1}).json()["results"][0]["label"] for data in pictures]
    assert [result["label"] for result in results] == single


def test_a_picture_that_is_called_json_is_a_picture(service: Service) -> None:
    assert service.post(picture(), headers={"Content-Type": "application/json"}).status_code == 200


def test_a_wrong_body_is_told_what_to_send(service: Service) -> None:
    def told(body: dict[str, object]) -> str:
        return str(service.post(json=body).json()["error"])

    assert told({"file": "AAAA"}).startswith("The JSON has no 'image', it has 'file': send {")
    assert "fetches none" in told({"image": "https://example.org/rose.jpg"})
    assert "no valid base64" in told({"image": "roses, red"})


def test_base64_is_bounded_as_sent(service: Service) -> None:
    body = json.dumps({"image": base64.b64encode(bytes(16_000_000)).decode()}).encode()
    assert len(body) > 20_000_000
    assert _refused(service.post(body), 413, "too-large")
    image = base64.b64encode(bomb(10_000)).decode()
    assert _refused(service.post(json.dumps({"image": image}).encode()), 413, "too-many-pixels")
    assert service.still_serves()


# --- other pages ----------------------------------------------------------------------------------------

_ASK = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}


def _preflight(service: Service, **headers: str) -> httpx.Response:
    asked = {**_ASK, "Access-Control-Request-Headers": "content-type", **headers}
    return httpx.options(f"{service.url}/predict", headers=asked)


def test_without_the_option_other_pages_are_refused_and_told_which_it_is(service: Service) -> None:
    response = _preflight(service)
    assert _refused(response, 405, "origin")
    assert "--allow-origin" in response.json()["error"]
    answer = service.post(picture(), headers={"Origin": _ASK["Origin"]})
    assert not [name for name in (*response.headers, *answer.headers) if name.startswith("access-control-")]


def test_allowed_origins_are_answered_and_no_others(tmp_path: Path) -> None:
    options = ("--allow-origin", _ASK["Origin"], "--allow-origin", "https://shop.example")
    with serving(write_model(tmp_path / "model.onnx"), *options) as service:
        response = _preflight(service)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == _ASK["Origin"]
        assert "POST" in response.headers["access-control-allow-methods"]
        assert "content-type" in response.headers["access-control-allow-headers"].lower()
        for data, status in ((picture(), 200), (b"words", 415)):
            answer = service.post(data, headers={"Origin": "https://shop.example"})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (
                status,
                "https://shop.example",
            )
        refused = _preflight(service, Origin="https://other.example")
        assert _refused(refused, 400, "origin")
        answer = service.post(picture(), headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_all_origins_may_be_allowed(tmp_path: Path) -> None:
    with serving(write_model(tmp_path / "model.onnx"), "--allow-origin", "*") as service:
        assert _preflight(service).headers["access-control-allow-origin"] == "*"
        assert service.post(picture(), headers={"Origin": "null"}).headers["access-control-allow-origin"] == "*"


def test_more_pictures_than_a_request_may_hold_are_refused(service: Service) -> None:
    files = [("image", (f"{i}.jpg", picture())) for i in range(17)]
    assert _refused(service.post(files=files), 413, "too-large")


def test_fifty_megabytes_are_refused_by_their_header(service: Service) -> None:
    """The client has sent nothing but headers when it reads the refusal."""
    with service.connect() as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n")
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert service.still_serves()


def test_a_client_that_sends_fifty_megabytes_anyway_reads_the_refusal(service: Service) -> None:
    assert _refused(service.post(bytes(50_000_000)), 413, "too-large")
    assert service.still_serves()


def test_fifty_megabytes_of_unknown_length_are_refused_on_the_way(service: Service) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield bytes(1_000_000)

    response = service.post(chunks())
    assert _refused(response, 413, "too-large")
    assert service.still_serves()


def test_a_decompression_bomb_is_refused_by_its_header(service: Service) -> None:
    data = bomb(10_000)
    assert len(data) < 200_000
    assert _refused(service.post(data), 413, "too-many-pixels")
    assert _refused(service.post(data[:999]), 413, "too-many-pixels")  # of this there is nothing to decode
    assert service.still_serves()


def test_cut_connections_leave_it_serving(service: Service) -> None:
    for sent in (
        b"",
        b"POST /pre",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" + picture()[:500],
    ):
        for _ in range(20):
            with service.connect() as client:
                client.sendall(sent)
    assert service.still_serves()


def test_clients_that_leave_before_their_answer_leave_it_serving(service: Service) -> None:
    data = picture(size=(2000, 1500))
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    for _ in range(20):
        with service.connect() as client:
            client.sendall(head + data)
    assert service.still_serves()


def test_requests_at_once_are_answered_together_and_rightly(service: Service) -> None:
    pictures = [picture(seed=seed) for seed in range(8)]
    alone = [service.post(data).json()["results"][0]["top"] for data in pictures]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(lambda i: service.post(pictures[i % 8]).json()["results"][0]["top"], range(160)))
    for i, top in enumerate(together):
        assert [row["label"] for row in top] == [row["label"] for row in alone[i % 8]]
        assert [row["probability"] for row in top] == pytest.approx([r["probability"] for r in alone[i % 8]], abs=1e-5)
    text = service.get("/metrics").text
    batches = float(re.findall(r"^mobilenets_batch_pictures_count (\S+)", text, re.MULTILINE)[0])
    answered = float(re.findall(r"^mobilenets_batch_pictures_sum (\S+)", text, re.MULTILINE)[0])
    assert batches < answered


def test_metrics_are_prometheus_text_and_count(service: Service) -> None:
    def count() -> float:
        text = service.get("/metrics").text
        found = re.findall(r'^mobilenets_requests_total\{route="/predict",status="200"\} (\S+)', text, re.MULTILINE)
        return float(found[0]) if found else 0

    before = count()
    service.post(picture())
    assert count() == before + 1
    assert "mobilenets_waiting_pictures 0.0" in service.get("/metrics").text


def test_strangers_cannot_name_metrics(service: Service) -> None:
    assert _refused(service.get("/wp-login.php"), 404, "no-route")
    assert "wp-login" not in service.get("/metrics").text


def test_the_model_says_what_it_is_and_health_that_it_lives(service: Service) -> None:
    model = service.get("/model").json()
    assert model["classes"] == list(CLASSES)
    assert model["size"] == 32
    assert not model["explains"]
    assert not model["finds_alike"]
    assert service.get("/health").json() == {"status": "ok"}


def test_explaining_without_a_network_in_torch_is_refused(service: Service) -> None:
    assert _refused(service.post(picture(), params={"explain": "true"}), 400, "no-explanation")


def test_openapi_describes_bodies_answers_and_refusals(service: Service) -> None:
    spec = service.get("/openapi.json").json()
    post = spec["paths"]["/predict"]["post"]
    assert {"multipart/form-data", "image/*", "application/json", "text/plain"} <= post["requestBody"]["content"].keys()
    assert {"200", "400", "408", "413", "415", "422", "503", "504"} <= post["responses"].keys()
    assert {"/predict", "/model", "/health", "/metrics"} == spec["paths"].keys()


def test_the_page_and_its_files_come_with_protective_headers(service: Service) -> None:
    for name in ("", "app.js", "predictor.js", "style.css", "icon.svg"):
        response = service.get(f"/{name}")
        assert response.status_code == 200
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in response.headers
    assert "/predict" in service.get("/openapi.json").text


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/..%2f..%2fetc/passwd", "/model.onnx", "/__init__.py", "//etc"]
)
def test_no_other_file_is_given_out(service: Service, path: str) -> None:
    with service.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 404")


def test_no_answer_names_a_path_of_the_server(service: Service) -> None:
    answers = [service.get(path) for path in ("/", "/model", "/health", "/metrics", "/openapi.json", "/x")]
    answers += [service.post(data) for data in (picture(), b"", b"x", picture()[:600], bomb(8_000))]
    for answer in answers:
        assert str(service.folder) not in answer.text
        assert "site-packages" not in answer.text


def test_another_method_is_refused(service: Service) -> None:
    assert _refused(service.get("/predict"), 405, "no-route")


def _slow_clients(service: Service) -> tuple[socket.socket, socket.socket]:
    """One that has sent a part of a body, one that has sent a part of a request's first line."""
    slow_body, slow_head = service.connect(), service.connect()
    slow_body.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nabc")
    slow_head.sendall(b"POST /predict HT")
    return slow_body, slow_head


def test_slow_clients_do_not_hold_up_others(tmp_path: Path) -> None:
    """They are waited for twice as long as the answer to another is."""
    with serving(write_model(tmp_path / "model.onnx"), "--timeout", str(2 * PATIENCE_S)) as service:
        slow_body, slow_head = _slow_clients(service)
        assert service.still_serves()
        for client in (slow_body, slow_head):
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)


def test_slow_clients_are_refused(tmp_path: Path) -> None:
    with serving(write_model(tmp_path / "model.onnx"), "--timeout", "1") as service:
        slow_body, slow_head = _slow_clients(service)
        assert slow_body.recv(4096).startswith(b"HTTP/1.1 408")
        assert slow_head.recv(4096) == b""  # closed: there is no request to answer
        assert service.still_serves()


def test_more_work_than_there_is_room_for_is_refused_at_once_with_a_time_to_come_back(tmp_path: Path) -> None:
    with serving(write_model(tmp_path / "model.onnx"), "--max-waiting", "2") as service:
        slow = bomb(5_000)  # quickly sent, and a long time decoded
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: service.post(slow), range(16)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert 0 < len(refused) < 16
        for answer in refused:
            assert _refused(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) >= 1
        assert service.still_serves()
        several = {"files": [("image", picture())] * 3}
        assert _refused(service.post(**several), 413, "too-large"), "there would never be room for three"
        assert service.get("/model").json()["limits"]["pictures"] == 2


def test_limits_are_options(tmp_path: Path) -> None:
    options = ("--max-mb", "0.1", "--max-megapixels", "0.01")
    with serving(write_model(tmp_path / "model.onnx"), *options) as service:
        assert service.post(picture("PNG", (90, 90))).status_code == 200
        assert _refused(service.post(picture("PNG", (120, 120))), 413, "too-many-pixels")
        assert _refused(service.post(bytes(100_001)), 413, "too-large")


def test_requests_in_progress_are_answered_before_it_stops(tmp_path: Path) -> None:
    with serving(write_model(tmp_path / "model.onnx")) as service:
        data = picture()
        with service.connect() as client:
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n"
            client.sendall(head.encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 100")  # it reads the body
            client.sendall(data[:99])
            service.process.send_signal(signal.SIGTERM)
            while service.accepts():  # until nobody else is let in: it is about to stop
                time.sleep(0.01)
            client.sendall(data[99:])
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        _, errors = service.process.communicate(timeout=300)
        assert (service.process.returncode, errors) == (0, "")


def test_ctrl_c_stops_it_in_one_line(tmp_path: Path) -> None:
    with serving(write_model(tmp_path / "model.onnx")) as service:
        service.process.send_signal(signal.SIGINT)
        _, errors = service.process.communicate(timeout=300)
        assert service.process.returncode == 130
        assert errors.splitlines() == ["mobilenets serve: interrupted"]


STOPPED_EARLY = """
import asyncio, os, sys, uvicorn
from mobilenets.cli.main import main

places = {"loop": (asyncio.BaseEventLoop, "__init__"), "logging": (uvicorn.Config, "configure_logging")}
owner, name = places[sys.argv[1]]
make = getattr(owner, name)

def stopping(made):
    os.kill(os.getpid(), int(sys.argv[2]))
    make(made)

setattr(owner, name, stopping)
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("making", ["loop", "logging"])
@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 130, ["mobilenets serve: interrupted"]), (signal.SIGTERM, 0, [])],
)
def test_a_signal_while_it_begins_stops_it_as_quietly(
    tmp_path: Path, making: str, number: int, code: int, told: list[str]
) -> None:
    model = write_model(tmp_path / "model.onnx")
    command = [sys.executable, "-c", STOPPED_EARLY, making, str(int(number)), "serve", str(model), "--port", "0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stderr.splitlines()) == (code, told)


def test_it_listens_on_this_machine_only(service: Service) -> None:
    listening = Path(f"/proc/{service.process.pid}/net/tcp")
    if not listening.exists():
        pytest.skip("the system does not list its sockets")
    port = f"{service.port:04X}"
    local = [line.split()[1] for line in listening.read_text().splitlines()[1:] if line.split()[3] == "0A"]
    assert [address for address in local if address.endswith(f":{port}")] == [f"0100007F:{port}"]


def test_a_port_in_use_is_one_line(service: Service) -> None:
    command = [*service.process.args[:-2], "--port", str(service.port)]  # type: ignore[index]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert str(service.port) in line
    assert "in use" in line
