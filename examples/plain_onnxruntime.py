"""Use a run's model.onnx without this package: Pillow, numpy and onnxruntime are all it takes.

    python examples/plain_onnxruntime.py runs/photos/model.onnx rose.jpg

What a program in another language has to do is what `read` does. The file says itself how: the card in its metadata has
the class names and the preprocess.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(photo: str, preprocess: dict) -> np.ndarray:
    """The photo as the network takes it: uint8 (1, size, size, 3), upright, resized and cropped at its centre."""
    if preprocess.get("fit", "crop") != "crop":
        raise SystemExit("this model was trained with --fit pad or squash, which this example leaves out")
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    size = preprocess["size"]
    short = int(size / preprocess["crop"] + 1e-6)  # pixels of the short side before the crop
    image = image.resize(
        [side * short // min(image.size) for side in image.size], Image.Resampling[preprocess["interpolation"].upper()]
    )
    left, top = (round((side - size) / 2) for side in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))[None]


def main(model: str, photo: str) -> None:
    """Print every class with its probability, the best first."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["mobilenets.card"])
    (probabilities,) = session.run(["probabilities"], {"image": read(photo, card["preprocess"])})
    for k in np.argsort(-probabilities[0]):
        print(f"{card['classes'][k]}\t{probabilities[0][k]:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
