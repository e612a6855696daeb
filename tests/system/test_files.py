"""Files are written whole or not at all."""

import errno
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mobilenets.system.files import write_atomic


def test_text_is_written_as_utf8_and_replaces_the_old(tmp_path: Path) -> None:
    file = tmp_path / "card.json"
    write_atomic(file, "old and longer")
    write_atomic(file, "雏菊")
    assert file.read_bytes() == "雏菊".encode()
    assert list(tmp_path.iterdir()) == [file]


def test_a_reader_never_sees_a_half_written_file(tmp_path: Path) -> None:
    file = tmp_path / "data"
    versions = {bytes([k]) * 300_000 for k in range(4)}
    write_atomic(file, min(versions))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for version in versions:
                write_atomic(file, version)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(file.read_bytes() in versions for _ in range(200))
    finally:
        stop.set()
        writer.join()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    # RLIMIT_FSIZE makes the kernel refuse the write half way, as a full disk does.
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from mobilenets.system.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomic(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except OSError as error: print(error.errno, error.filename)\n"
    )
    file = tmp_path / "model"
    file.write_bytes(b"old")
    result = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(errno.EFBIG), str(file)]
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_folder_is_reported_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(tmp_path / "nowhere" / "card.json", "{}")
    assert caught.value.filename == str(tmp_path / "nowhere" / "card.json")
