"""Features of the frozen network, computed by the fastest means at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from mobilenets.arch.build import DETECTOR
from mobilenets.data.loader import Loader
from mobilenets.errors import UsageError
from mobilenets.exporting.targets.onnx import onnx_bytes
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess
from mobilenets.preprocess.torch import FromPixels
from mobilenets.runtime.base import FEATURES, available_cores
from mobilenets.runtime.features import FeatureExtractor
from mobilenets.runtime.graph import run_exactly, run_fast
from mobilenets.system import torchrun_env
from mobilenets.system.progress import Progress
from mobilenets.training.distributed.group import ALONE, Group
from mobilenets.weights.create import create, name_or_default

Extractor = Callable[[np.ndarray], np.ndarray]


class _Pooled(nn.Module):
    """The input of the classifier."""

    def __init__(self, model: MobileNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, D)."""
        return self.model.forward_head(self.model.forward_features(images), pre_logits=True)


def extractor(model: MobileNet, preprocess: Preprocess, device: torch.device, exact: bool = False) -> Extractor:
    """A function from uint8 pixels (N, H, W, C) to float32 features (N, D), BatchNorm in eval mode.

    `exact`: in float32; else in the fastest engine installed, whose features may be a few percent off.
    """
    return run_on_pixels(_Pooled(model), preprocess, device, exact)


class Extractors:
    """`extractor` of one network, fast and exact, for inputs of any size: it is exported once for each size."""

    def __init__(self, model: MobileNet, device: torch.device) -> None:
        self._model, self._device = model, device
        self._made: dict[int, tuple[Extractor, Extractor]] = {}

    def __call__(self, preprocess: Preprocess) -> tuple[Extractor, Extractor]:
        """Both, for what `preprocess` makes of photographs; it differs from other calls' in size and crop alone."""
        if preprocess.size not in self._made:
            self._made[preprocess.size] = fast_and_exact(_Pooled(self._model), preprocess, self._device)
        return self._made[preprocess.size]


def fast_and_exact(part: nn.Module, preprocess: Preprocess, device: torch.device) -> tuple[Extractor, Extractor]:
    """`run_on_pixels`, not exact and exact, of a part that is exported once for both."""
    fast, exact = _runs(part, preprocess, device, (False, True))
    return fast, exact


def run_on_pixels(part: nn.Module, preprocess: Preprocess, device: torch.device, exact: bool = True) -> Extractor:
    """A function from uint8 pixels (N, H, W, C) to what `part` makes of normalised images, float32, in eval mode.

    On a CPU it runs in an inference engine: BatchNorm is folded into the convolutions, and it does several times the
    images per second of eager torch (`benchmarks/throughput.py`).
    """
    (run,) = _runs(part, preprocess, device, (exact,))
    return run


def _runs(part: nn.Module, preprocess: Preprocess, device: torch.device, exact: tuple[bool, ...]) -> list[Extractor]:
    """`run_on_pixels` for each value of `exact`."""
    backbone = FromPixels(part, preprocess).eval()
    if device.type == "cpu":
        threads = max(1, available_cores() // torchrun_env.local_world())
        graph = onnx_bytes(backbone, preprocess, FEATURES)
        return [(run_exactly if exactly else run_fast)(graph, threads) for exactly in exact]
    backbone = backbone.to(device)

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> np.ndarray:
        rows: np.ndarray = backbone(torch.from_numpy(pixels).to(device)).float().cpu().numpy()
        return rows

    return [run] * len(exact)


def features(
    extract: Extractor, loader: Loader, title: str, flip: bool = False, group: Group = ALONE
) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 (N, D) and labels int64 (N,) of every image; with `flip`, all mirrored ones follow.

    Several processes extract those of their share and all get the whole.
    """
    plain: list[np.ndarray] = []
    mirrored: list[np.ndarray] = []
    indices = []
    with Progress(title, len(loader.labels), "image") as progress:
        for batch in loader.epoch(0):
            plain.append(extract(batch.pixels))
            if flip:
                mirrored.append(extract(np.ascontiguousarray(batch.pixels[:, :, ::-1])))
            indices.append(batch.indices)
            progress.advance(len(batch.labels) * group.size)
    views = [group.gathered(view, indices, len(loader.labels)) for view in ([plain, mirrored] if flip else [plain])]
    rows, labels = zip(*[(rows, loader.labels[shown]) for rows, shown in views], strict=True)
    return np.concatenate(rows), np.concatenate(labels)


def feature_extractor(name: str | None, weights: str, size: int | None = None) -> FeatureExtractor:
    """Features of a published network, or of one in a file, for `mobilenets.audit`, on the CPU.

    The whole short side is seen. `name`: None for that of the file, or the default one.

    Raises
    ------
    UserError
        Unknown names, a detector, weights that cannot be fetched, or a size outside 1 to 4096.
    """
    network = name_or_default(name, weights)
    _check_has_features(network)  # before weights are fetched
    model = create(network, weights=weights)
    _check_has_features(model.net.name)
    preprocess = replace(model.preprocess, size=size or model.preprocess.size, crop=1.0)
    return FeatureExtractor(preprocess, extractor(model, preprocess, torch.device("cpu"), exact=True))


def _check_has_features(name: str | None) -> None:
    """Refuse a detector, by the name of its network; None: not known yet.

    Raises
    ------
    UserError
        As said.
    """
    if name is not None and name.startswith(DETECTOR):
        raise UsageError(f"{name}: finds boxes and gives no features of a photo; use {name.removeprefix(DETECTOR)}")
