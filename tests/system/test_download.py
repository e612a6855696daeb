"""Downloads from a real server on this machine that misbehaves in every way networks do."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mobilenets.errors import UserError
from mobilenets.system import download
from mobilenets.system.download import fetch, matches

CONTENT = bytes(range(256)) * 1200  # 300 kB: several chunks
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
OTHER = "sha256:" + "0" * 64


class Server(ThreadingHTTPServer):
    """Answers by the request's path, and keeps what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.stop = threading.Event()

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{behaviour}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        behaviour = self.path.split("/")[1]
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        getattr(self, f"_{behaviour}")(start)

    def _head(self, code: int, length: int | None, **headers: str) -> None:
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _rest(self, start: int, end: int = len(CONTENT)) -> None:
        """The bytes from `start` on, of which only those before `end` are sent."""
        if start >= len(CONTENT):
            self._head(416, 0)
            return
        content_range = {"Content_Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
        self._head(206 if start else 200, len(CONTENT) - start, **content_range)
        self.wfile.write(CONTENT[start:end])

    def _good(self, start: int) -> None:
        self._rest(start)

    def _cut(self, start: int) -> None:
        """Every connection breaks off after 100 kB."""
        self._rest(start, start + 100_000)

    def _cut_always(self, start: int) -> None:
        self._rest(start, start + 1000)

    def _no_range(self, start: int) -> None:
        """Breaks off the first time, then sends everything again."""
        self._head(200, len(CONTENT))
        self.wfile.write(CONTENT if start else CONTENT[:100_000])

    def _wrong_range(self, start: int) -> None:
        if start:
            self._head(206, 10, Content_Range=f"bytes 0-9/{len(CONTENT)}")
            self.wfile.write(CONTENT[:10])
        else:
            self._head(200, len(CONTENT))
            self.wfile.write(CONTENT if self.server.ranges.count(None) > 1 else CONTENT[:100_000])

    def _unknown_length(self, start: int) -> None:
        self._head(200, None)
        self.wfile.write(CONTENT)

    def _stall(self, start: int) -> None:
        self._head(200, len(CONTENT))
        self.wfile.write(CONTENT[:5000])
        self.wfile.flush()
        self.server.stop.wait(300)

    def _slow(self, start: int) -> None:
        self._head(200, len(CONTENT))
        for i in range(0, len(CONTENT), 30_000):
            self.wfile.write(CONTENT[i : i + 30_000])
            self.wfile.flush()
            time.sleep(0.05)

    def _missing(self, start: int) -> None:
        self._head(404, 0)

    def _busy(self, start: int) -> None:
        self._head(503, 0)

    def _hub(self, start: int) -> None:
        """As the hub does: the digest with the redirect, the file somewhere else."""
        self._head(302, 0, Location="/good/file.bin", X_Linked_ETag=f'"{SHA256[7:]}"')

    def _wrong_hub(self, start: int) -> None:
        self._head(302, 0, Location="/good/file.bin", X_Linked_ETag=f'"{OTHER[7:]}"')

    def _google(self, start: int) -> None:
        """As Google's storage does: two hashes with the file, in headers of the same name."""
        self._hashed(hashlib.md5(CONTENT).digest(), "identity")

    def _wrong_google(self, start: int) -> None:
        self._hashed(bytes(16), "identity")

    def _packed_google(self, start: int) -> None:
        """The hash is of the compressed file, which is sent unpacked."""
        self._hashed(bytes(16), "gzip")

    def _hashed(self, md5: bytes, stored: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("X-Goog-Stored-Content-Encoding", stored)
        self.send_header("X-Goog-Hash", "crc32c=n03x6A==")
        self.send_header("X-Goog-Hash", f"md5={base64.b64encode(md5).decode()}")
        self.end_headers()
        self.wfile.write(CONTENT)

    def _local_file(self, start: int) -> None:
        self._head(302, 0, Location="file:///etc/hostname")

    def _endless(self, start: int) -> None:
        self._head(200, 2**40)
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.stop.set()
    running.shutdown()
    thread.join()
    running.server_close()


def _left(folder: Path) -> list[str]:
    """Names of the files in `folder`, but for the lock."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


@pytest.mark.parametrize("digest", ["", SHA256, SHA256[:15], MD5, MD5[:12]])
def test_a_file_arrives_whole_under_its_name(server: Server, tmp_path: Path, digest: str) -> None:
    path = tmp_path / "new" / "folder" / "file.bin"
    assert fetch(server.url("good"), path, digest) == path
    assert path.read_bytes() == CONTENT
    assert _left(path.parent) == ["file.bin"]


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"kept")
    fetch(server.url("good"), path, SHA256)
    assert path.read_bytes() == b"kept"
    assert server.ranges == []


def test_a_broken_connection_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    fetch(server.url("cut"), tmp_path / "file.bin", SHA256)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]


def test_a_download_given_up_is_gone_on_with_by_the_next_call(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(UserError, match="broke off at 2000 of 307200 bytes"):
        fetch(server.url("cut_always"), path, SHA256, attempts=2)
    assert _left(tmp_path) == ["file.bin.part"]
    fetch(server.url("good"), path, SHA256)
    assert path.read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=2000-"
    assert _left(tmp_path) == ["file.bin"]


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    fetch(server.url("no_range"), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_part_than_asked_for_is_not_appended(server: Server, tmp_path: Path) -> None:
    fetch(server.url("wrong_range"), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", None]


def test_a_partial_file_longer_than_the_file_is_started_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    fetch(server.url("good"), tmp_path / "file.bin", SHA256)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_file_of_unknown_length_arrives_too(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("unknown_length"), tmp_path / "file.bin", SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("digest", [OTHER, OTHER[:15], "md5:12345678"])
def test_a_file_with_another_digest_is_thrown_away(server: Server, tmp_path: Path, digest: str) -> None:
    with pytest.raises(UserError, match=rf"file\.bin: what {server.url('good')} sent has not the published {digest}"):
        fetch(server.url("good"), tmp_path / "file.bin", digest)
    assert _left(tmp_path) == []


def test_a_partial_file_of_something_else_is_found_out(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"from another server")
    with pytest.raises(UserError, match="has not the published"):
        fetch(server.url("good"), tmp_path / "file.bin", SHA256)
    assert fetch(server.url("good"), tmp_path / "file.bin", SHA256).read_bytes() == CONTENT


def test_the_digest_that_comes_with_the_hubs_redirect_is_checked(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("hub"), tmp_path / "file.bin").read_bytes() == CONTENT
    with pytest.raises(UserError, match=f"has not the published {OTHER}"):
        fetch(server.url("wrong_hub"), tmp_path / "other.bin")
    assert _left(tmp_path) == ["file.bin"]


def test_the_md5_that_googles_storage_states_is_checked(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("google"), tmp_path / "file.bin").read_bytes() == CONTENT
    with pytest.raises(UserError, match=f"has not the published md5:{'0' * 32}"):
        fetch(server.url("wrong_google"), tmp_path / "other.bin")
    assert _left(tmp_path) == ["file.bin"]


def test_the_md5_of_a_file_stored_compressed_says_nothing_of_what_arrives(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("packed_google"), tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_published_digest_goes_before_the_servers_own(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("wrong_hub"), tmp_path / "file.bin", SHA256).read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_given_up_in_time(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"file\.bin: cannot be fetched .*timed out"):
        fetch(server.url("stall"), tmp_path / "file.bin", SHA256, timeout=0.2, attempts=2)
    assert not server.stop.is_set()  # it would have been silent for longer


def test_a_missing_file_is_told_with_origin_and_place(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with pytest.raises(UserError) as told:
        fetch(server.url("missing"), path, SHA256)
    for part in ("file.bin", server.url("missing"), "HTTP 404", f"put it at {path}"):
        assert part in str(told.value)
    assert len(server.ranges) == 1
    assert _left(tmp_path) == []


def test_a_busy_server_is_asked_again_before_it_is_given_up(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(server.url("busy"), tmp_path / "file.bin")
    assert len(server.ranges) == 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/file.bin", "no-scheme/file.bin", "gopher://127.0.0.1/file.bin", "http://", "http://[/"]
)
def test_no_server_and_no_address_are_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match=r"file\.bin: cannot be fetched from"):
        fetch(url, tmp_path / "file.bin")
    assert _left(tmp_path) == []


def test_a_redirect_to_a_local_file_is_not_followed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(server.url("local_file"), tmp_path / "file.bin")
    assert _left(tmp_path) == []


def test_a_server_may_not_fill_the_disk(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sends more than 1073741824 bytes"):
        fetch(server.url("endless"), tmp_path / "file.bin")
    assert _left(tmp_path) == []


def test_a_server_that_does_not_say_how_much_may_not_either(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    with pytest.raises(UserError, match="sends more than 100000 bytes"):
        fetch(server.url("unknown_length"), tmp_path / "file.bin")
    assert _left(tmp_path) == []


def _in_threads(server: Server, path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(fetch, server.url("slow"), path, SHA256) for _ in range(4)]
        assert [future.result() for future in done] == [path] * 4


def _in_processes(server: Server, path: Path) -> None:
    code = (
        "import sys, pathlib; from mobilenets.system.download import fetch;"
        "fetch(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])"
    )
    command = [sys.executable, "-c", code, server.url("slow"), str(path), SHA256]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(300) for process in running] == [0, 0, 0]


@pytest.mark.parametrize("at_once", [_in_threads, _in_processes])
def test_of_several_at_once_one_fetches_and_the_others_wait(
    server: Server, tmp_path: Path, at_once: Callable[[Server, Path], None]
) -> None:
    at_once(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None]
    assert _left(tmp_path) == ["file.bin"]


def test_those_that_waited_for_a_wrong_file_fetch_it_themselves(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(fetch, server.url("slow"), path, OTHER) for _ in range(3)]
        errors = [future.exception() for future in done]
    assert all(isinstance(error, UserError) for error in errors), errors
    assert server.ranges == [None] * 3
    assert _left(tmp_path) == []


def test_a_digests_first_digits_suffice(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert matches(tmp_path / "file", SHA256[:12])
    assert matches(tmp_path / "file", MD5)
    assert not matches(tmp_path / "file", OTHER)
