"""The web export without a browser: its preprocess pixel for pixel, and its runtime fetched safely or not at all."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from conftest import Cli, is_one_line_error
from mobilenets.errors import UserError
from mobilenets.exporting.web import folder, runtime
from mobilenets.features.embeddings import Embeddings
from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import build_index
from mobilenets.features.known import ACCEPT, is_accepted
from mobilenets.features.neighbours import unit
from mobilenets.model_card import write_safetensors
from mobilenets.preprocess import FITS, Preprocess
from preprocess.node import pixels_in_node
from small import card_of, network

NAME = f"onnxruntime-web-{runtime.VERSION}.tgz"


def _sizes(rng: np.random.Generator) -> list[tuple[int, int]]:
    """Ordinary, tall and wide pictures, strips beyond 8:1, single pixels, and sizes where nothing is resized."""
    ordinary = [tuple(map(int, rng.integers(1, 600, 2))) for _ in range(60)]
    strips = [(int(rng.integers(1, 40)), int(rng.integers(300, 2000))) for _ in range(15)]
    special = [(1, 1), (224, 224), (256, 256), (256, 300), (100, 1000), (1600, 1200), (1, 5000)]
    return [*ordinary, *strips, *((high, wide) for wide, high in strips), *special]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_browsers_preprocess_is_pillows_to_the_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    jobs, expected = [], []
    for i, (width, height) in enumerate(_sizes(rng)):
        grey = {"mode": "L", "mean": (0.5,), "std": (0.5,)} if i % 4 == 0 else {}
        preprocess = Preprocess(
            size=int(rng.choice([224, 192, 96, 33, 7, 1])),
            crop=float(rng.choice([0.875, 1, 0.95, 224 / 232, 0.1])),
            interpolation=("bilinear", "bicubic")[i % 2],
            fit=FITS[i % 3 if i % 5 else 0],
            **grey,
        )
        if int(PIL.__version__.partition(".")[0]) < 13 and height > width:
            continue  # Pillow resized tall pictures in the other order
        # Nothing but black and white is where sums reach their extremes and bicubic overshoots.
        noise = (
            rng.integers(0, 256, (height, width, 3), np.uint8) if i % 3 else rng.choice([0, 255], (height, width, 3))
        )
        image = Image.fromarray(noise.astype(np.uint8))
        jobs.append((np.asarray(image), preprocess))
        expected.append(preprocess.pixels(image))
    for pixels, wanted, (image, preprocess) in zip(pixels_in_node(jobs, tmp_path), expected, jobs, strict=True):
        np.testing.assert_array_equal(pixels, wanted, f"{image.shape} {preprocess}")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a registry on this machine that npm, and so this package, is set up for."""
    folder = tmp_path / "registry" / "onnxruntime-web" / "-"
    folder.mkdir(parents=True)
    handler = partial(_Quiet, directory=str(tmp_path / "registry"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/")
        monkeypatch.setenv("MOBILENETS_HOME", str(tmp_path / "home"))
        yield folder
        server.shutdown()
        thread.join()


def _package(path: Path, *members: tuple[str, bytes | None]) -> None:
    """A tarball; None stands for a link to /etc/passwd."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content or b""))


def _publish(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `path` be what the registry published."""
    import base64

    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(runtime, "INTEGRITY", f"sha512-{digest}")


def test_only_the_files_needed_come_out_of_the_package(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {source: target.encode() for source, target in runtime.FILES.items()}
    _package(registry / NAME, ("../../escaped", b"x"), ("package/link", None), *needed.items())
    _publish(registry / NAME, monkeypatch)
    assert runtime.runtime_files() == {name: name.encode() for name in runtime.FILES.values()}
    assert (tmp_path / "home" / "npm" / NAME).exists()
    (registry / NAME).unlink()
    assert len(runtime.runtime_files()) == 2  # kept: no network is needed again
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_place_of_a_file_is_refused(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _package(registry / NAME, *((source, None) for source in runtime.FILES))
    _publish(registry / NAME, monkeypatch)
    with pytest.raises(UserError, match="no file of a usable size"):
        runtime.runtime_files()


def test_another_package_than_the_published_one_is_not_kept(registry: Path, tmp_path: Path) -> None:
    _package(registry / NAME, *((source, b"evil") for source in runtime.FILES))
    with pytest.raises(UserError, match="has not the published sha512"):
        runtime.runtime_files()
    assert not (tmp_path / "home" / "npm" / NAME).exists()


def test_a_package_put_there_by_hand_is_verified_too(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "npm").mkdir(parents=True)
    _package(tmp_path / "home" / "npm" / NAME, *((source, b"evil") for source in runtime.FILES))
    with pytest.raises(UserError, match="is not the package of https://"):
        runtime.runtime_files()


def test_the_registry_is_the_one_npm_is_set_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("npm_config_registry", raising=False)
    config = tmp_path / "npmrc"
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(config))
    assert runtime.registry() == "https://registry.npmjs.org"
    config.write_text("; mine\n@scope:registry=https://other.example/\nregistry = https://mirror.example/npm/\n")
    assert runtime.registry() == "https://mirror.example/npm"
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://first.example/")
    assert runtime.registry() == "https://first.example"


def test_without_a_network_one_line_says_what_to_put_where(cli: Cli, tmp_path: Path) -> None:
    model = network()
    (tmp_path / "run").mkdir()
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    write_safetensors(tmp_path / "run" / "model.safetensors", tensors, card_of(model))
    closed = {"npm_config_registry": "http://127.0.0.1:9"}
    result = cli("export", tmp_path / "run", "--to", "web", env=closed)
    result.stderr = result.stderr.split("\n", 1)[1]  # after the line that says what is being done
    assert is_one_line_error(result, NAME, "http://127.0.0.1:9/onnxruntime-web/-/", str(tmp_path / "home" / "npm"))
    assert not (tmp_path / "run" / "exports").exists()


_ASK = """
import { readFileSync } from "node:fs";
import { howKnown, isUnknown, readIndex } from "./known.mjs";
const file = (name) => { const b = readFileSync(name); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
const index = readIndex(file("index.safetensors"));
const parts = ["features", "lengths", "means"].map((name) => new Float32Array(file(`${name}.f32`)));
const count = parts[1].length;
const known = [];
for (let i = 0; i < count; i++) {
  const [features, length, means] = parts.map((part) => {
    const width = part.length / count;
    return { data: part.subarray(i * width, (i + 1) * width) };
  });
  known.push(howKnown(index, { features, length, means }));
}
console.log(JSON.stringify(known.map((value) => [value, isUnknown(value)])));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize("width", [0, 5], ids=["a probe's", "fine-tuned"])
def test_the_browser_knows_what_is_unknown_as_the_runtime_does(width: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(0, 0.3, (200, 24)).astype(np.float32)) * rng.choice([1, 1, 1, -1], (200, 24))
    means = rng.normal(0, 1, (200, width)).astype(np.float32)

    def part(rows: slice) -> ImageFeatures:
        count = len(vectors[rows])
        groups = np.arange(200)[rows]
        return ImageFeatures.of(vectors[rows], np.zeros(count, np.int64), ["雏菊.jpg"] * count, groups, means[rows])

    index = build_index(part(slice(100)), part(slice(100, 200)), "")
    index.write(tmp_path / "index.safetensors")
    asked = np.concatenate([vectors[:5], vectors[100:120], -vectors[:5], 9 * vectors[100:105], vectors[100:105]])
    also = np.concatenate([means[:5], means[100:120], means[:5], means[100:105], means[100:105] + 9])
    seen = Embeddings(unit(asked), np.linalg.norm(asked, axis=1, keepdims=True), also)
    for name, values in seen._asdict().items():
        (tmp_path / f"{name}.f32").write_bytes(values.astype("<f4").tobytes())
    (tmp_path / "known.mjs").write_bytes((Path(folder.__file__).parent / "known.js").read_bytes())
    (tmp_path / "ask.mjs").write_text(_ASK)
    result = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    expected = [(one.known, not is_accepted(one.known, ACCEPT)) for one in index.likeness(seen)]
    assert {refused for _, refused in expected} == {False, True}
    for (known, refused), (ours, our_refused) in zip(json.loads(result.stdout), expected, strict=True):
        assert known == pytest.approx(ours, abs=0.011)  # the last bit of a distance may be on the other side of one
        assert refused == our_refused


def test_the_page_is_told_of_the_index_that_lies_beside_it(tmp_path: Path) -> None:
    here = Path(folder.__file__).parent
    (tmp_path / "worker.js").write_bytes((here / "worker.js").read_bytes())
    kept = (here / "offline.js").read_text().replace('["FILES"]', '["./", "model.onnx"]')
    (tmp_path / "offline.js").write_text(kept)
    folder.with_index(tmp_path, "index.safetensors")
    assert 'const INDEX = "index.safetensors";' in (tmp_path / "worker.js").read_text()
    assert '["./", "model.onnx", "index.safetensors"]' in (tmp_path / "offline.js").read_text()
