"""Every published checkpoint that fits one of our networks.

Sources: torchvision 0.28's `Weights` enums; timm's results-imagenet.csv; Keras' application files. Not listed, as
they are other networks: timm's 100h (V1 with a hidden layer), 110d, 120d and 150d (scaled in depth), mobilenetv3_rw
(no first residual, no head bias), V4's hybrids (attention) and aa and blur variants (filters before strides), heads for
other classes (in12k, in21k), torchvision's quantised files (states of quantisation-aware training), MnasNet,
EfficientNet-Lite, segmentation networks, and detectors but torchvision's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from mobilenets.arch import DETECTORS, published
from mobilenets.preprocess import Preprocess

_HALF = (0.5, 0.5, 0.5)
_TORCHVISION = Preprocess()  # resize 256, crop 224, bilinear, ImageNet statistics
_TORCHVISION_V2 = Preprocess(crop=224 / 232)
_TIMM = Preprocess(interpolation="bicubic")
_TIMM_HALF = Preprocess(interpolation="bicubic", mean=_HALF, std=_HALF)
_MIIL = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_TF = Preprocess(mean=_HALF, std=_HALF)  # inputs in [-1, 1]

# torchvision stretches without antialiasing, after it normalised; here with it, as everywhere.
_COCO = Preprocess(size=320, crop=1.0, mean=_HALF, std=_HALF, fit="squash")

_BSD = "BSD-3-Clause"
_APACHE = "Apache-2.0"


@dataclass(frozen=True)
class Checkpoint:
    """One file of published weights: ImageNet's 1,000 classes, or a detector's of COCO.

    `base` names where it is served ("torchvision", "hub", "github", "keras"), `file` what is fetched from there.
    `digest` is "sha256:…" or "md5:…", possibly only the published first digits; empty where none was
    published (the hub and Google's storage state one with the download). `top1`: percent at
    `preprocess.size`, as published; of a detector COCO's mAP.
    """

    tag: str
    model: str
    flavor: str
    base: str
    file: str
    digest: str
    top1: float
    preprocess: Preprocess
    licence: str
    width: float = 1.0
    reduced_tail: bool = False

    @property
    def is_detector(self) -> bool:
        """Whether it finds boxes."""
        return self.model in DETECTORS

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.file.rsplit("/", 1)[-1]


def _torchvision(model: str, tag: str, file: str, top1: float, preprocess: Preprocess) -> Checkpoint:
    prefix = file.rsplit("-", 1)[1].removesuffix(".pth")
    return Checkpoint(tag, model, "torchvision", "torchvision", file, f"sha256:{prefix}", top1, preprocess, _BSD)


def _timm(
    model: str,
    name: str,
    tag: str,
    top1: float,
    preprocess: Preprocess,
    width: float = 1.0,
    flavor: str = "timm",
) -> Checkpoint:
    file = f"timm/{name}.{tag}"
    return Checkpoint(f"timm-{tag}", model, flavor, "hub", file, "", top1, preprocess, _APACHE, width)


def _tf(model: str, name: str, top1: float, width: float = 1.0) -> Checkpoint:
    return _timm(model, f"tf_{name}", "in1k", top1, _TF, width, flavor="tf")


V1, V2 = "mobilenet_v1", "mobilenet_v2"
LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"
V4S, V4M, V4L = "mobilenet_v4_conv_small", "mobilenet_v4_conv_medium", "mobilenet_v4_conv_large"


COCO_FILE = "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"


def _sized(preprocess: Preprocess, size: int, crop: float) -> Preprocess:
    return replace(preprocess, size=size, crop=crop)


_PUBLISHED = (
    _torchvision(V2, "torchvision-v1", "mobilenet_v2-b0353104.pth", 71.878, _TORCHVISION),
    _torchvision(V2, "torchvision-v2", "mobilenet_v2-7ebf99e0.pth", 72.154, _TORCHVISION_V2),
    _torchvision(LARGE, "torchvision-v1", "mobilenet_v3_large-8738ca79.pth", 74.042, _TORCHVISION),
    _torchvision(LARGE, "torchvision-v2", "mobilenet_v3_large-5c1a4163.pth", 75.274, _TORCHVISION_V2),
    _torchvision(SMALL, "torchvision-v1", "mobilenet_v3_small-047dcff4.pth", 67.668, _TORCHVISION),
    _timm(V1, "mobilenetv1_100", "ra4_e3600_r224_in1k", 75.388, _TIMM_HALF),
    _timm(V1, "mobilenetv1_125", "ra4_e3600_r224_in1k", 76.920, replace(_TIMM_HALF, crop=0.9), 1.25),
    _timm(V2, "mobilenetv2_050", "lamb_in1k", 65.928, _TIMM, 0.5),
    _timm(V2, "mobilenetv2_100", "ra_in1k", 72.910, _TIMM),
    _timm(V2, "mobilenetv2_140", "ra_in1k", 76.528, _TIMM, 1.4),
    _timm(LARGE, "mobilenetv3_large_100", "ra_in1k", 75.784, _TIMM),
    _timm(LARGE, "mobilenetv3_large_100", "ra4_e3600_r224_in1k", 76.310, replace(_TIMM_HALF, crop=0.95)),
    _timm(LARGE, "mobilenetv3_large_100", "miil_in21k_ft_in1k", 77.920, _MIIL),
    _timm(SMALL, "mobilenetv3_small_050", "lamb_in1k", 57.918, _TIMM, 0.5),
    _timm(SMALL, "mobilenetv3_small_075", "lamb_in1k", 65.284, _TIMM, 0.75),
    _timm(SMALL, "mobilenetv3_small_100", "lamb_in1k", 67.636, _TIMM),
    _tf(LARGE, "mobilenetv3_large_075", 73.442, 0.75),
    _tf(LARGE, "mobilenetv3_large_100", 75.510),
    _tf(f"{LARGE}_minimal", "mobilenetv3_large_minimal_100", 72.270),
    _tf(SMALL, "mobilenetv3_small_075", 65.706, 0.75),
    _tf(SMALL, "mobilenetv3_small_100", 67.922),
    _tf(f"{SMALL}_minimal", "mobilenetv3_small_minimal_100", 62.892),
    _timm(V4S, "mobilenetv4_conv_small_050", "e3000_r224_in1k", 64.778, _TIMM_HALF, 0.5),
    _timm(V4S, "mobilenetv4_conv_small", "e1200_r224_in1k", 73.450, _TIMM),
    _timm(V4S, "mobilenetv4_conv_small", "e2400_r224_in1k", 73.756, _TIMM),
    _timm(V4S, "mobilenetv4_conv_small", "e3600_r256_in1k", 74.534, _sized(_TIMM_HALF, 256, 0.95)),
    _timm(V4M, "mobilenetv4_conv_medium", "e500_r224_in1k", 79.092, replace(_TIMM, crop=0.95)),
    _timm(V4M, "mobilenetv4_conv_medium", "e500_r256_in1k", 79.916, _sized(_TIMM, 256, 0.95)),
    _timm(V4M, "mobilenetv4_conv_medium", "e250_r384_in12k_ft_in1k", 82.776, _sized(_TIMM, 384, 0.95)),
    _timm(V4L, "mobilenetv4_conv_large", "e500_r256_in1k", 81.864, _sized(_TIMM, 256, 0.95)),
    _timm(V4L, "mobilenetv4_conv_large", "e600_r384_in1k", 82.974, _sized(_TIMM, 384, 0.95)),
)

# timm's older weights are also served as plain files whose names carry their sha256's first digits.
_LEGACY = {
    "mobilenetv2_050.lamb_in1k": "v0.1-weights/mobilenetv2_050-3d30d450",
    "mobilenetv2_100.ra_in1k": "v0.1-weights/mobilenetv2_100_ra-b33bc2c4",
    "mobilenetv2_140.ra_in1k": "v0.1-weights/mobilenetv2_140_ra-21a4e913",
    "mobilenetv3_large_100.miil_in21k_ft_in1k": "v0.1-tresnet/mobilenetv3_large_100_1k_miil_78_0-66471c13",
    "mobilenetv3_large_100.ra_in1k": "v0.1-weights/mobilenetv3_large_100_ra-f55367f5",
    "mobilenetv3_small_050.lamb_in1k": "v0.1-weights/mobilenetv3_small_050_lambc-4b7bbe87",
    "mobilenetv3_small_075.lamb_in1k": "v0.1-weights/mobilenetv3_small_075_lambc-384766db",
    "mobilenetv3_small_100.lamb_in1k": "v0.1-weights/mobilenetv3_small_100_lamb-266a294c",
    "tf_mobilenetv3_large_075.in1k": "v0.1-weights/tf_mobilenetv3_large_075-150ee8b0",
    "tf_mobilenetv3_large_100.in1k": "v0.1-weights/tf_mobilenetv3_large_100-427764d5",
    "tf_mobilenetv3_large_minimal_100.in1k": "v0.1-weights/tf_mobilenetv3_large_minimal_100-8596ae28",
    "tf_mobilenetv3_small_075.in1k": "v0.1-weights/tf_mobilenetv3_small_075-da427f52",
    "tf_mobilenetv3_small_100.in1k": "v0.1-weights/tf_mobilenetv3_small_100-37f49e2b",
    "tf_mobilenetv3_small_minimal_100.in1k": "v0.1-weights/tf_mobilenetv3_small_minimal_100-922a7843",
}


def _with_digests(checkpoints: tuple[Checkpoint, ...]) -> Iterator[Checkpoint]:
    """timm's checkpoints with a known sha256 come from the file that has it; the hub's repack differs."""
    for checkpoint in checkpoints:
        legacy = _LEGACY.get(checkpoint.file.removeprefix("timm/")) if checkpoint.base == "hub" else None
        if legacy:
            digest = "sha256:" + legacy.rsplit("-", 1)[1]
            checkpoint = replace(checkpoint, base="github", file=f"{legacy}.pth", digest=digest)
        yield checkpoint


# Keras' docstring; md5 of the files with top, as Keras' mobilenet_v3.py states them.
_V3_FILES = (
    (LARGE, "large_224_1.0", 1.0, 75.6, "59e551e166be033d707958cf9e29a6a7"),
    (LARGE, "large_224_0.75", 0.75, 73.3, "765b44a33ad4005b3ac83185abf1d0eb"),
    (f"{LARGE}_minimal", "large_minimalistic_224_1.0", 1.0, 72.3, "675e7b876c45c57e9e63e6d90a36599c"),
    (SMALL, "small_224_1.0", 1.0, 68.1, "8768d4c2e7dee89b9d02b2d03d65d862"),
    (SMALL, "small_224_0.75", 0.75, 65.4, "cb65d4e5be93758266aa0a7f2c6708b7"),
    (f"{SMALL}_minimal", "small_minimalistic_224_1.0", 1.0, 61.9, "99cd97fb2fcdad2bf028eb838de69e37"),
)


def _keras() -> Iterator[Checkpoint]:
    def entry(model: str, size: int, file: str, top1: float, width: float, digest: str = "") -> Checkpoint:
        preprocess = replace(_TF, size=size)
        return Checkpoint(f"keras-{size}", model, "tf", "keras", file, digest, top1, preprocess, _APACHE, width)

    for width, sizes in published.V1.items():
        alpha = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}[width]
        for size, top1 in sizes.items():
            yield entry(V1, size, f"mobilenet/mobilenet_{alpha}_{size}_tf.h5", top1, width)
    for width, sizes in published.V2.items():
        for size, top1 in sizes.items():
            file = f"mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_{size}.h5"
            yield entry(V2, size, file, top1, width)
    for model, name, width, top1, md5 in _V3_FILES:
        yield entry(model, 224, f"mobilenet_v3/weights_mobilenet_v3_{name}_float.h5", top1, width, f"md5:{md5}")


CATALOG: tuple[Checkpoint, ...] = (*_with_digests(_PUBLISHED), *_keras())
COCO: tuple[Checkpoint, ...] = (
    replace(_torchvision(f"ssdlite_{LARGE}", "torchvision-coco", COCO_FILE, 21.3, _COCO), reduced_tail=True),
)


def checkpoints(model: str, width: float = 1.0) -> list[Checkpoint]:
    """Everything published for a network, the default first: the most accurate.

    Keras' files come last, as reading them needs h5py and timm serves the same V3 weights re-measured.
    """
    found = [c for c in CATALOG + COCO if c.model == model and c.width == width]
    return sorted(found, key=lambda c: (c.base == "keras", -c.top1))


def matching(pattern: str) -> list[Checkpoint]:
    """Checkpoints whose model (or model/tag) matches a shell pattern."""
    return [c for c in CATALOG + COCO if fnmatch(c.model, pattern) or fnmatch(f"{c.model}/{c.tag}", pattern)]
