"""Every implementation of resize, crop, padding and normalisation, on the same real photographs, against one reference.

The reference is written here from what the fits promise, with nothing but Pillow. Each implementation says how far it
may be from it, in grey levels (0..255): the largest difference of any value, and the mean over all of them.
"""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from mobilenets.data.augment import Augment
from mobilenets.preprocess import BROWSER, FITS, Preprocess
from preprocess.node import pixels_in_node

GREY = 114
RESAMPLE = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
INPUTS = [(64, 0.875), (96, 1.0), (33, 0.5)]  # size, crop

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Pictures = dict[str, bytes]


def _file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Files of two photographs that scikit-learn ships, at half their size, in the shapes that people have."""
    china, flower = (Image.fromarray(load_sample_image(f"{name}.jpg")).reduce(2) for name in ("china", "flower"))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "as taken": _file(china),  # 320×214
        "tall": _file(flower.transpose(Image.Transpose.ROTATE_90)),
        "wide": _file(china.crop((0, 75, 240, 123))),
        "narrow": _file(china.crop((150, 5, 175, 185))),
        "strip": _file(flower.crop((0, 100, 320, 120))),
        "square": _file(flower.crop((50, 0, 263, 213))),
        "odd": _file(china.crop((0, 0, 151, 103))),
        "small": _file(flower.resize((31, 22))),
        "turned by EXIF": _file(flower.crop((50, 50, 211, 150)), "JPEG", quality=95, exif=turned),
        "one pixel": _file(flower.crop((150, 100, 151, 101))),
    }


def upright(file: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")


def reference(file: bytes, preprocess: Preprocess) -> Pixels:
    """What `preprocess` promises: torchvision's Resize and CenterCrop, also of a padded or squashed picture."""
    image, size = upright(file), preprocess.size
    side = int(size / preprocess.crop + 1e-6)
    wide, high = image.size
    if preprocess.fit == "crop":
        scaled = side * wide // min(wide, high), side * high // min(wide, high)
    elif preprocess.fit == "pad":
        scaled = max(1, side * wide // max(wide, high)), max(1, side * high // max(wide, high))
    else:
        scaled = side, side
    resized = np.asarray(image.resize(scaled, RESAMPLE[preprocess.interpolation]))
    margin = [side] * 2 if preprocess.fit == "pad" else [0] * 2
    around = np.pad(resized, [(margin[0],) * 2, (margin[1],) * 2, (0, 0)], constant_values=GREY)
    top, left = (round((length - size) / 2) + m for length, m in zip(resized.shape, margin, strict=False))
    return around[top : top + size, left : left + size]


def _decoded(files: Pictures, preprocess: Preprocess) -> dict[str, Pixels]:
    return {name: np.asarray(preprocess.read(file, min_side=0).image) for name, file in files.items()}


def _pillow(files: Pictures, preprocess: Preprocess, _: Any) -> dict[str, Pixels]:
    return {name: preprocess.pixels(preprocess.read(file)) for name, file in files.items()}


def _onnx(files: Pictures, preprocess: Preprocess, _: Any) -> dict[str, Pixels]:
    import onnxruntime

    from mobilenets.exporting.targets.onnx import OPSET
    from mobilenets.preprocess.onnx import resize_and_crop

    content = resize_and_crop(preprocess, OPSET, 10).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return {name: session.run(None, {"image": image})[0][0] for name, image in _decoded(files, preprocess).items()}


def _openvino(files: Pictures, preprocess: Preprocess, _: Any) -> dict[str, Pixels]:
    import openvino
    from openvino import opset13

    from mobilenets.preprocess.openvino import resize_and_crop

    if preprocess.size != INPUTS[0][0]:  # its interpolation takes seconds of the larger pictures
        return {}
    files = {name: files[name] for name in ("wide", "narrow", "small", "turned by EXIF", "one pixel")}
    image = opset13.parameter([-1, -1, 3], np.uint8)
    graph = openvino.Model([resize_and_crop(image, preprocess)], [image], "fit")
    # float32, as in the product: in bf16 it crashes where oneDNN is told to use less than the processor has.
    model = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {name: model([image])[0][0].copy() for name, image in _decoded(files, preprocess).items()}


def _training(files: Pictures, preprocess: Preprocess, _: Any) -> dict[str, Pixels]:
    """Augmentation that leaves a photograph as it is: what training shows is what evaluation shows."""
    if preprocess.crop < 1:
        return {}  # a crop of training is of the whole photograph
    nothing = Augment(crop_scale=(1, 1), crop_ratio=(1, 1), hflip=0)
    rng = np.random.default_rng(0)
    square = {name: file for name, file in files.items() if preprocess.fit != "crop" or name in ("square", "one pixel")}
    return {name: nothing(upright(file), preprocess, rng).pixels for name, file in square.items()}


def _node(files: Pictures, preprocess: Preprocess, request: pytest.FixtureRequest) -> dict[str, Pixels]:
    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    images = _decoded(files, preprocess)
    if int(PIL.__version__.partition(".")[0]) < 13:  # Pillow resized tall pictures in the other order
        images = {name: image for name, image in images.items() if image.shape[0] <= image.shape[1]}
    jobs = [(image, preprocess) for image in images.values()]
    return dict(zip(images, pixels_in_node(jobs, request.getfixturevalue("tmp_path")), strict=True))


_IN_BROWSER = """async ([file, preprocess]) => {
  const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { pixels } = await import("./preprocess.js");
  return [...pixels(preprocess, bitmap.width, bitmap.height, (...box) => context.getImageData(...box).data)];
}"""


def _browser(files: Pictures, preprocess: Preprocess, request: pytest.FixtureRequest) -> dict[str, Pixels]:
    folder: Path = request.getfixturevalue("tmp_path")
    (folder / "preprocess.js").write_bytes(BROWSER.read_bytes())
    (folder / "index.html").write_text("<!doctype html><title>conformance</title>")
    page = request.getfixturevalue("chromium").new_page()
    page.goto(request.getfixturevalue("serve_folder")(folder))
    asked = {name: [base64.b64encode(file).decode(), preprocess.to_dict()] for name, file in files.items()}
    found = {name: page.evaluate(_IN_BROWSER, what) for name, what in asked.items()}
    page.close()
    shape = preprocess.size, preprocess.size, preprocess.channels
    return {name: np.array(values, np.uint8).reshape(shape) for name, values in found.items()}


class Implementation(NamedTuple):
    """`run(files, preprocess, request)` → pixels of each; `largest` and `mean` difference in grey levels."""

    run: Callable[[Pictures, Preprocess, pytest.FixtureRequest], dict[str, Pixels]]
    largest: int
    mean: float


IMPLEMENTATIONS = {
    "Pillow": Implementation(_pillow, 2, 0.05),  # none, but for strips beyond 8:1, which are resized in one step
    "training": Implementation(_training, 0, 0),
    # onnxruntime weighs the outermost row and column of a photograph differently; elsewhere it is one level off.
    "ONNX": Implementation(_onnx, 24, 0.25),
    "OpenVINO": Implementation(_openvino, 5, 0.5),
    "Node.js": Implementation(_node, 2, 0.05),
    "browser": Implementation(_browser, 3, 0.2),  # its JPEG decoder may differ by a grey level
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.browser) if n == "browser" else n for n in IMPLEMENTATIONS]
)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", list(RESAMPLE))
def test_a_photograph_of_any_shape_looks_the_same_everywhere(
    name: str, fit: str, interpolation: str, pictures: Pictures, request: pytest.FixtureRequest
) -> None:
    run, largest, mean = IMPLEMENTATIONS[name]
    compared = 0
    for size, crop in INPUTS:
        preprocess = Preprocess(size=size, crop=crop, interpolation=interpolation, fit=fit)
        for picture, pixels in run(pictures, preprocess, request).items():
            assert (pixels.dtype, pixels.shape) == (np.uint8, (size, size, 3))
            difference = np.abs(pixels.astype(int) - reference(pictures[picture], preprocess))
            where = f"{picture}, size {size}, crop {crop}"
            assert difference.max() <= largest, where
            assert difference.mean() <= mean, where
            compared += 1
    assert compared


def test_the_fits_differ_by_far_more_than_the_implementations_may(pictures: Pictures) -> None:
    shown = [reference(pictures["wide"], Preprocess(size=64, fit=fit)).astype(int) for fit in FITS]
    largest = max(implementation.mean for implementation in IMPLEMENTATIONS.values())
    for i in range(3):
        assert np.abs(shown[i] - shown[i - 1]).mean() > 20 * largest


@pytest.mark.parametrize("mean_and_std", [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5,) * 3, (0.5,) * 3)])
def test_normalisation_is_one_everywhere(
    mean_and_std: tuple[tuple[float, ...], tuple[float, ...]], pictures: Pictures
) -> None:
    import torch

    from mobilenets.preprocess.torch import FromPixels, Images

    mean, std = mean_and_std
    preprocess = Preprocess(size=48, mean=mean, std=std)
    pixels = np.stack([preprocess.pixels(preprocess.read(file)) for file in pictures.values()])
    expected = (pixels.transpose(0, 3, 1, 2) / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    found = {
        "numpy": preprocess.normalize(pixels),
        "an exported graph": FromPixels(torch.nn.Identity(), preprocess)(torch.from_numpy(pixels)).numpy(),
        "training": Images(preprocess, torch.device("cpu"))(pixels).numpy(),
    }
    for name, values in found.items():
        assert values.dtype == np.float32, name
        np.testing.assert_allclose(values, expected, atol=1e-5, err_msg=name)
