"""The browser's script run by Node.js: its arithmetic without a browser's decoder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from mobilenets.preprocess import BROWSER, Preprocess

_RUN = """
import { readFileSync } from "node:fs";
import { pixels } from "./preprocess.mjs";
for (const { preprocess, width, height, rgba } of JSON.parse(readFileSync(0, "utf8"))) {
  const data = readFileSync(rgba);
  const read = (left, top, across, down) => {
    const part = new Uint8ClampedArray(across * down * 4);
    for (let y = 0; y < down; y++) {
      const start = ((top + y) * width + left) * 4;
      part.set(data.subarray(start, start + across * 4), y * across * 4);
    }
    return part;
  };
  process.stdout.write(Buffer.from(pixels(preprocess, width, height, read)));
}
"""


def pixels_in_node(jobs: list[tuple[np.ndarray[Any, Any], Preprocess]], folder: Path) -> list[np.ndarray[Any, Any]]:
    """For each image (H, W, 3) and its preprocess: uint8 (size, size, C)."""
    (folder / "preprocess.mjs").write_bytes(BROWSER.read_bytes())
    (folder / "run.mjs").write_text(_RUN)
    asked = []
    for i, (image, preprocess) in enumerate(jobs):
        file = folder / f"{i}.rgba"
        file.write_bytes(np.dstack([image, np.full_like(image[..., :1], 255)]).tobytes())
        height, width = image.shape[:2]
        asked.append({"preprocess": preprocess.to_dict(), "width": width, "height": height, "rgba": str(file)})
    command = ["node", str(folder / "run.mjs")]
    result = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, timeout=300)
    assert result.returncode == 0, result.stderr.decode()
    results, start = [], 0
    for _, preprocess in jobs:
        shape = preprocess.size, preprocess.size, preprocess.channels
        results.append(np.frombuffer(result.stdout, np.uint8, int(np.prod(shape)), start).reshape(shape))
        start += int(np.prod(shape))
    assert start == len(result.stdout)
    return results
