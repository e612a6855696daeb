"""The container of tensors: what is written is read, by others too; what is damaged is refused."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.errors import UserError
from mobilenets.system.tensor_file import DTYPES, pack, unpack

MOST = 2**20


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    tensors = {name: np.arange(6).astype(dtype).reshape(2, 3) for name, dtype in DTYPES.items()}
    (tmp_path / "x").write_bytes(pack({**tensors, "none": np.zeros((0, 4), np.float32)}, {"of": "雏菊"}))
    read, metadata = unpack(tmp_path / "x", MOST)
    assert metadata == {"of": "雏菊"}
    assert read["none"].shape == (0, 4)
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert np.array_equal(read[name], tensor)


def test_the_library_of_the_format_reads_the_same() -> None:
    from safetensors.numpy import load

    content = pack({"a": np.eye(3, dtype=np.float16)}, {"of": "x"})
    assert np.array_equal(load(content)["a"], np.eye(3))


def header(**entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


WHOLE = pack({"a": np.zeros((2, 2), np.float32)}, {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"123",
        WHOLE[:-1],
        WHOLE + b"x",
        WHOLE[:30],
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        b"\x02" + bytes(7) + b"[]",
        header(a={"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}),
        header(a={"dtype": "F32", "shape": [2**62], "data_offsets": [0, 2**64]}),
        header(a={"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}) + bytes(8),
        header(a={"dtype": "Q4", "shape": [1], "data_offsets": [0, 4]}) + bytes(4),
        header(a=7),
        header(__metadata__=[1]),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match="damaged") as refused:
        unpack(tmp_path / "x", MOST)
    assert "\n" not in str(refused.value)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_byte_that_flipped_is_refused_or_read_but_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "flipped"
    file.write_bytes(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
    try:
        unpack(file, MOST)
    except UserError as refused:
        assert "\n" not in str(refused)  # noqa: PT017


def test_a_file_that_is_not_there_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        unpack(tmp_path / "x", MOST)
    (tmp_path / "x").write_bytes(WHOLE)
    with pytest.raises(UserError, match="more than the 10 bytes"):
        unpack(tmp_path / "x", 10)
