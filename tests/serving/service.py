"""A real server in a process of its own, and pictures for it."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from mobilenets.exporting.targets.onnx import onnx_file
from small import card_of, network

PATIENCE_S = 300  # whatever else the machine does
CLIENT: dict[str, Any] = {"timeout": PATIENCE_S, "verify": False}  # reading certificates would take most of the time


@dataclass
class Service:
    process: subprocess.Popen[str]
    port: int
    folder: Path  # where its model lies: no answer may name it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", **CLIENT)

    def post(self, content: bytes | Iterator[bytes] | None = None, **options: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/predict", content=content, **CLIENT, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def accepts(self) -> bool:
        try:
            self.connect().close()
        except (ConnectionRefusedError, ConnectionResetError):
            return False
        return True

    def still_serves(self) -> bool:
        response = self.post(picture())
        assert response.status_code == 200, response.text
        assert len(response.json()["results"][0]["top"]) == 3
        return self.process.poll() is None


def write_model(path: Path) -> Path:
    path.write_bytes(_model())
    return path


@cache
def _model() -> bytes:
    model = network()
    return onnx_file(model, card_of(model))


@contextmanager
def serving(model: Path, *options: str, engine: str = "onnxruntime") -> Iterator[Service]:
    """The service of `model`; by default in an engine that need not be found out by measuring."""
    command = [sys.executable, "-m", "mobilenets", "serve", str(model), "--engine", engine, "--port", "0", *options]
    environment = {**os.environ, "MOBILENETS_HOME": str(model.parent / "home")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + (process.stderr.read() if process.stderr else "")
        yield Service(process, int(line.split("127.0.0.1:")[1].split()[0]), model.parent)
    finally:
        process.kill()
        process.communicate()


def picture(kind: str = "JPEG", size: tuple[int, int] = (80, 60), seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of side×side black pixels, a thousandth of their size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compressobj(9)
    row = bytes(side + 1)
    data = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
