"""ncnn on the CPU: `.param` with its `.bin`, card.json and SHA256SUMS, one picture at a time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import ncnn
import numpy as np

from mobilenets.errors import ModelFileError
from mobilenets.features.embeddings import Embeddings
from mobilenets.model_card import METADATA_KEY, ModelCard, card_of
from mobilenets.runtime.base import Engine, OneAtATime, Origin, Pixels, available_cores, vectors_given
from mobilenets.tasks import task_of
from mobilenets.tasks.task import Outputs

CARD, SUMS = "card.json", "SHA256SUMS"
BLOB = "out{}"  # as pnnx names what a network gives


class NcnnEngine:
    """Runs a network from pixels to outputs in float32."""

    accepts_full_image = False
    origin: Origin | None = None

    def __init__(self, path: Path, threads: int | None = None) -> None:
        _check(path)
        self._path = path
        self.card: ModelCard = card_of(path, {METADATA_KEY: (path.parent / CARD).read_text(encoding="utf-8")})
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads or available_cores()
        # Half precision where the processor has it would be faster, but no longer the network that was verified.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = False
        if self._net.load_param(str(path)) or self._net.load_model(str(path.with_suffix(".bin"))):
            raise ModelFileError(f"{path}: not a network ncnn can run; export it again")
        self._task = task_of(self.card)
        self._blobs = [BLOB.format(i) for i, _ in enumerate(self._task.ends(self.card))]
        count = len(self._blobs)
        vectors, self.has_features = vectors_given(self.card, len(self._net.output_names()) - count)
        self._vectors = [BLOB.format(i) for i in range(count, count + len(vectors))]

    def concurrent(self) -> Engine:
        """Itself, one thread at a time."""
        return OneAtATime(self)

    def after_fork(self) -> Engine:
        """A network on one thread: OpenMP's do not survive."""
        return NcnnEngine(self._path, threads=1)

    def __call__(self, pixels: Pixels) -> Outputs:
        """uint8 (N, size, size, C) → outputs float32 (N, W)."""
        return np.concatenate([self._task.finished(*self._one(image, self._blobs)) for image in pixels])

    def with_features(self, pixels: Pixels) -> tuple[Outputs, Embeddings]:
        """As a call, and what the outputs were made of."""
        given = [self._one(image, [*self._blobs, *self._vectors]) for image in pixels]
        count = len(self._blobs)
        outputs = [self._task.finished(*ends[:count]) for ends in given]
        return np.concatenate(outputs), Embeddings.joined([Embeddings.of(*ends[count:]) for ends in given])

    def _one(self, image: Pixels, blobs: list[str]) -> list[Outputs]:
        """What the network gives for one image, (1, …) each, by the names of its blobs."""
        kind = ncnn.Mat.PixelType.PIXEL_RGB if image.shape[2] == 3 else ncnn.Mat.PixelType.PIXEL_GRAY
        extractor = self._net.create_extractor()
        extractor.input("in0", ncnn.Mat.from_pixels(image, kind, image.shape[1], image.shape[0]))
        given = [extractor.extract(blob) for blob in blobs]
        if any(code for code, _ in given):
            raise ModelFileError(f"{self.card.name}: ncnn failed with code {given[-1][0]}; export the model again")
        return [np.array(output)[None] for _, output in given]


def _check(path: Path) -> None:
    """Refuse files that are not, byte for byte, those exported: ncnn would read past the end of a short one."""
    try:
        lines = (path.parent / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: no readable {SUMS} beside it; copy the whole folder that was exported"
        ) from error
    for file in (path, path.with_suffix(".bin"), path.parent / CARD):
        if not file.exists():
            raise ModelFileError(f"{file}: missing; copy the whole folder that was exported")
        if hashlib.sha256(file.read_bytes()).hexdigest() != sums.get(file.name):
            raise ModelFileError(f"{file}: damaged, or not the file that was exported; export it again")
