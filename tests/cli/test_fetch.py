"""`mobilenets fetch flowers` against a mirror on this machine."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """What it is asked for is no line of the command's."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment that names a mirror, whose archive is another than the published one."""
    folder = tmp_path / "served"
    folder.mkdir()
    with tarfile.open(folder / "flower_photos.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("flower_photos/LICENSE.txt"), io.BytesIO())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {"MOBILENETS_FLOWERS_URL": f"http://127.0.0.1:{server.server_port}/flower_photos.tgz"}
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_mirror_is_asked_but_not_trusted(cli, mirror: dict[str, str], tmp_path: Path) -> None:
    result = cli("fetch", "flowers", "--out", "flowers", env=mirror)
    assert (result.returncode, result.stdout) == (2, "")
    error = result.stderr.splitlines()[-1]
    assert mirror["MOBILENETS_FLOWERS_URL"] in error
    assert "has not the published sha256:4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c" in error
    assert not (tmp_path / "flowers").exists()
    assert not list((tmp_path / "home" / "data").glob("[!.]*"))


def test_an_archive_the_mirror_has_not_is_told_with_its_place(cli, mirror: dict[str, str], tmp_path: Path) -> None:
    missing = {"MOBILENETS_FLOWERS_URL": mirror["MOBILENETS_FLOWERS_URL"] + ".old"}
    result = cli("fetch", "flowers", env=missing)
    assert (result.returncode, result.stdout) == (2, "")
    (error,) = result.stderr.splitlines()
    assert "HTTP 404" in error
    assert f"put it at {tmp_path / 'home' / 'data' / 'flower_photos.tgz'}" in error


@pytest.mark.parametrize("arguments", [[], ["cars"], ["flowers", "--val", "much"]])
def test_wrong_use_is_told_in_one_line(cli, arguments: list[str]) -> None:
    result = cli("fetch", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
