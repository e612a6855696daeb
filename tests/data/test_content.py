"""What tells one photograph's content from another's, read without waiting for ever."""

import os
from pathlib import Path

import pytest

from mobilenets.data.content import UNKNOWN_SIZE, content_digests
from mobilenets.data.sample import Sample


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among files")
def test_pipes_and_devices_have_no_content_and_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "own.jpg").write_bytes(b"photo")
    samples = [Sample(tmp_path / name, 0) for name in ("pipe.jpg", "zero.jpg", "own.jpg")]
    sizes, digests = content_digests(samples)
    assert sizes.tolist() == [UNKNOWN_SIZE, UNKNOWN_SIZE, 5]
    assert digests.any(1).tolist() == [False, False, True]
