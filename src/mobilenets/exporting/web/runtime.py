"""onnxruntime-web, the runtime of the web export: from the npm registry, verified, kept in the cache folder."""

from __future__ import annotations

import base64
import os
import tarfile
from pathlib import Path

from mobilenets.errors import DownloadError
from mobilenets.system.cache_dir import cache_folder
from mobilenets.system.download import fetch, matches

VERSION = "1.30.0"
# What `npm view onnxruntime-web@1.30.0 dist.integrity` prints.
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
REGISTRY = "https://registry.npmjs.org"

# In the package → in the exported folder. Many servers do not know that .mjs is JavaScript; all know .js.
FILES = {
    "package/dist/ort.wasm.bundle.min.mjs": "onnxruntime.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "onnxruntime.wasm",
}
_MAX_BYTES = 64 * 2**20  # four times the larger of them


def runtime_files() -> dict[str, bytes]:
    """The runtime's files by the name they have in an exported folder; fetched on first use (33 MB).

    Raises
    ------
    UserError
        No network, or the package kept is not the published one; it names file, origin and place.
    """
    name = f"onnxruntime-web-{VERSION}.tgz"
    url = f"{registry()}/onnxruntime-web/-/{name}"
    digest = f"sha512:{base64.b64decode(INTEGRITY.removeprefix('sha512-')).hex()}"
    archive = fetch(url, cache_folder("npm") / name, digest)
    if not matches(archive, digest):  # one that was put there by hand
        raise DownloadError(f"{archive}: is not the package of {REGISTRY}; delete it, or put the one from {url} there")
    with tarfile.open(archive) as package:
        return {target: _read(package, source) for source, target in FILES.items()}


def registry() -> str:
    """The npm registry's address: `npm_config_registry`, the `registry` of the user's .npmrc, or npm's own."""
    for name, value in os.environ.items():
        if name.lower() == "npm_config_registry" and value:
            return value.rstrip("/")
    config = Path(os.environ.get("NPM_CONFIG_USERCONFIG") or "~/.npmrc").expanduser()
    if config.is_file():
        for line in config.read_text(encoding="utf-8", errors="replace").splitlines():
            key, found, value = line.partition("=")
            if found and key.strip() == "registry" and value.strip():
                return value.strip().strip("\"'").rstrip("/")
    return REGISTRY


def _read(package: tarfile.TarFile, name: str) -> bytes:
    """One regular file of the package, as bytes: nothing is unpacked, so no name in it becomes a path."""
    member = package.getmember(name)
    file = package.extractfile(member) if member.isreg() and member.size <= _MAX_BYTES else None
    if file is None:
        raise DownloadError(f"{package.name!s}: {name} in it is no file of a usable size; delete the package")
    return file.read()
