"""The flower archive: fetched from a server, verified, unpacked without trust, split."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from mobilenets.data.flowers import DIGEST, fetch_flowers
from mobilenets.errors import UserError

CLASSES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")


def _photo(shade: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(content, "JPEG")
    return content.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and digest of a small archive of the published one's layout, with some things it should not have."""
    folder = tmp_path / "served"
    folder.mkdir()
    archive = folder / "flower_photos.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        _add(tar, "flower_photos/LICENSE.txt", b"CC-BY")
        for name in CLASSES:
            for i in range(10):
                _add(tar, f"flower_photos/{name}/{i}.jpg", _photo(i))
        _add(tar, "flower_photos/daisy/../../../escaped.jpg", _photo(0))
        _add(tar, "flower_photos/..\\..\\daisy/escaped.jpg", _photo(0))
        _add(tar, "flower_photos/C:/escaped.jpg", _photo(0))
        _add(tar, "flower_photos/daisy/link.jpg", b"", tarfile.SYMTYPE, "/etc/passwd")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    digest = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    yield f"http://127.0.0.1:{server.server_port}/flower_photos.tgz", digest
    server.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_photographs_are_split_by_class(served: tuple[str, str], tmp_path: Path) -> None:
    url, digest = served
    counts = fetch_flowers(tmp_path / "flowers", 0.2, url=url, digest=digest)
    assert counts == dict.fromkeys(CLASSES, (8, 2))
    files = [p for p in (tmp_path / "flowers").rglob("*") if p.is_file()]
    assert len(files) == 50
    assert {p.parts[-3] for p in files} == {"train", "val"}


def test_nothing_is_written_outside_and_links_are_left_out(served: tuple[str, str], tmp_path: Path) -> None:
    url, digest = served
    fetch_flowers(tmp_path / "deep" / "flowers", url=url, digest=digest)
    assert not list(tmp_path.rglob("escaped.jpg"))
    assert not list(tmp_path.rglob("link.jpg"))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["flowers"]


def test_the_seed_decides_the_split(served: tuple[str, str], tmp_path: Path) -> None:
    url, digest = served
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fetch_flowers(tmp_path / name, seed=seed, url=url, digest=digest)
    held_out = [
        sorted(p.relative_to(tmp_path / n).as_posix() for p in (tmp_path / n / "val").rglob("*")) for n in "abc"
    ]
    assert held_out[0] == held_out[1] != held_out[2]


def test_another_archive_than_the_published_one_is_refused(served: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=DIGEST):
        fetch_flowers(tmp_path / "flowers", url=served[0])
    assert not (tmp_path / "flowers").exists()


def test_an_existing_folder_is_never_touched(served: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    with pytest.raises(UserError, match="exists already"):
        fetch_flowers(tmp_path / "flowers", url=served[0], digest=served[1])


def test_a_file_that_is_no_archive_is_told(tmp_path: Path, home: Path) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data" / "flower_photos.tgz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"flower_photos\.tgz: cannot be unpacked"):
        fetch_flowers(tmp_path / "flowers")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--val", "2"], "--val"), (["--seed", "-1"], "--seed"), (["--out", "."], "."), ([], "flower_photos.tgz")],
)
def test_the_command_line_answers_in_one_line(cli, tmp_path: Path, arguments: list[str], named: str) -> None:
    closed = {"MOBILENETS_FLOWERS_URL": "http://127.0.0.1:9/flower_photos.tgz"}
    result = cli("fetch", "flowers", *arguments, env=closed)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert named in result.stderr
    assert not (tmp_path / "flowers").exists()
