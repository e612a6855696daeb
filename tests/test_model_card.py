"""Files that carry a model: read with suspicion, equal to what other libraries read."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file, save_file

from mobilenets.arch import build
from mobilenets.errors import UserError
from mobilenets.model_card import FORMAT, METADATA_KEY, ModelCard, has_card, read_card, read_tensors, write_safetensors
from mobilenets.preprocess import Preprocess

CARD = ModelCard(
    name="花 flowers",
    net=build("mobilenet_v3_small", width=0.35, num_classes=3),
    classes=("雏菊", "rose", "وردة"),
    preprocess=Preprocess(size=64, crop=1.0, interpolation="bicubic"),
    metrics={"accuracy": 0.5, "confusion": [[1, 0, 0]] * 3},
    provenance={"weights": "torchvision-v1"},
)
DTYPES = [np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_]


def raw(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


# --- the card -------------------------------------------------------------------------------------------


def test_a_card_survives_json() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_a_card_is_readable_by_people() -> None:
    assert "雏菊" in CARD.to_json()
    assert json.loads(CARD.to_json())["format"] == FORMAT


def changed(**values: Any) -> str:
    return json.dumps({**json.loads(CARD.to_json()), **values})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (changed(format=FORMAT + 1), f"format {FORMAT + 1}"),
        (changed(classes=["a", "b"]), "2 class names for 3 outputs"),
        (changed(preprocess={"size": -1}), "size -1"),
        (changed(preprocess={"sharpen": 1}), "sharpen"),
        (changed(net={}), "network"),
        (changed(net=None), "network"),
        (changed(metrics=3), "model card"),
        (changed(thresholds=[0.5]), "1 thresholds for 3 classes"),
        (changed(thresholds=[0.5, 1.5, 0.5]), "a threshold that is not from 0 to 1"),
        (changed(thresholds=[0.5, -0.5, 0.5]), "a threshold that is not from 0 to 1"),
        (changed(thresholds=[0.5, float("nan"), 0.5]), "a threshold that is not from 0 to 1"),
        (changed(nms="beside"), "nms is 'beside'"),
        ("{}", "model card"),
        ("[]", "model card"),
        ("nonsense", "model card"),
        ("[" * 100_000, "model card"),
    ],
)
def test_what_is_not_a_card_of_this_format_is_refused(text: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        ModelCard.from_json(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from([*sorted(json.loads(CARD.to_json())), "task", "thresholds", "nms"]), value=JSON)
def test_a_card_with_any_value_changed_is_read_or_refused_in_words(key: str, value: Any) -> None:
    try:
        card = ModelCard.from_json(changed(**{key: value}))
    except UserError:
        return
    assert ModelCard.from_json(card.to_json()) == card


def test_metrics_as_a_list_of_pairs_are_refused() -> None:
    with pytest.raises(UserError, match="metrics is no object"):
        ModelCard.from_json(changed(metrics=[[None, None]]))


# --- safetensors ----------------------------------------------------------------------------------------


@given(
    tensors=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
        ),
        max_size=4,
    )
)
def test_what_is_written_is_what_the_safetensors_library_reads(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray]
) -> None:
    file = tmp_path_factory.getbasetemp() / "written.safetensors"
    write_safetensors(file, tensors, CARD)
    for read in (load_file(file), read_tensors(file)):
        assert read.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert read[name].dtype == tensor.dtype
            assert read[name].shape == tensor.shape
            assert read[name].tobytes() == tensor.tobytes()
    assert read_card(file) == CARD


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_safetensors_library_writes_is_read(tmp_path: Path, dtype: type[np.generic]) -> None:
    tensors = {"b": np.arange(6).reshape(2, 3).astype(dtype), "a": np.array(1, dtype), "none": np.zeros((0, 2), dtype)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    read = read_tensors(tmp_path / "x.safetensors")
    assert all(np.array_equal(read[name], tensor) for name, tensor in tensors.items())
    assert not has_card(tmp_path / "x.safetensors")


def test_tensors_that_are_not_contiguous_are_written_in_order(tmp_path: Path) -> None:
    tensor = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_safetensors(tmp_path / "x.safetensors", {"t": tensor.transpose(2, 0, 1)}, CARD)
    assert np.array_equal(load_file(tmp_path / "x.safetensors")["t"], tensor.transpose(2, 0, 1))


def test_tensors_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    names = [f"{letter}{k}" for k in range(20) for letter in "zab"]
    write_safetensors(tmp_path / "x.safetensors", {name: np.zeros(1, np.float32) for name in names}, CARD)
    assert list(read_tensors(tmp_path / "x.safetensors")) == names


def test_tensors_that_were_read_can_be_changed(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.safetensors", {"t": np.zeros(2, np.float32)}, CARD)
    tensor = read_tensors(tmp_path / "x.safetensors")["t"]
    tensor += 1
    assert tensor.tolist() == [1, 1]


def test_a_dtype_that_others_cannot_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weight has dtype complex64"):
        write_safetensors(tmp_path / "x.safetensors", {"weight": np.zeros(1, np.complex64)}, CARD)
    assert not list(tmp_path.iterdir())


DAMAGED = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "a header of exabytes": b"\xff" * 8 + b"{}",
    "a header longer than the file": struct.pack("<Q", 500) + b"{}",
    "not JSON": raw(b"not json"),
    "a list": raw([]),
    "deep nesting": raw(b"[" * 100_000),
    "not UTF-8": raw(b"\xff\xfe{}"),
    "metadata that is a list": raw({"__metadata__": []}),
    "a tensor past the end": raw({"t": entry(0, 8, [2])}, b"\0" * 4),
    "a tensor before the start": raw({"t": entry(-4, 0, [1])}, b"\0" * 4),
    "offsets in reverse": raw({"t": entry(4, 0, [1])}, b"\0" * 4),
    "a shape that does not fit": raw({"t": entry(0, 4, [2])}, b"\0" * 4),
    "a negative shape": raw({"t": entry(0, 4, [-1, -1])}, b"\0" * 4),
    "an astronomic shape": raw({"t": entry(0, 4, [10**30])}, b"\0" * 4),
    "overlapping tensors": raw({"t": entry(0, 8, [2]), "u": entry(4, 12, [2])}, b"\0" * 12),
    "a gap": raw({"t": entry(0, 4, [1]), "u": entry(8, 12, [1])}, b"\0" * 12),
    "bytes after the end": raw({"t": entry(0, 4, [1])}, b"\0" * 8),
    "an unknown dtype": raw({"t": entry(0, 2, [1], "BF16")}, b"\0" * 2),
    "a dtype that is a list": raw({"t": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
    "a tensor without offsets": raw({"t": {"dtype": "F32", "shape": [1]}}, b"\0" * 4),
    "a tensor that is a number": raw({"t": 3}),
    "an HTML page": b"<!DOCTYPE html><html><body>404</body></html>",
    "a pickle": b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01K\x01s.",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(DAMAGED[kind])
    with pytest.raises(UserError, match=r"model\.safetensors: "):
        read_tensors(file)


@given(keep=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, keep: float) -> None:
    file = tmp_path_factory.getbasetemp() / "cut.safetensors"
    write_safetensors(file, {"a": np.ones(50, np.float32), "b": np.ones(50, np.int64)}, CARD)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match=r"cut\.safetensors: "):
        read_tensors(file)


def test_a_header_is_read_without_its_tensors(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_safetensors(file, {"t": np.zeros(1000, np.float32)}, CARD)
    os.truncate(file, file.stat().st_size - 4000)
    assert has_card(file)
    assert read_card(file) == CARD


# --- cards from any artifact ------------------------------------------------------------------------------


def tiny_onnx(metadata: dict[str, str]) -> bytes:
    """A valid graph that is no classifier."""
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [1])], [value("y", 1, [1])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, metadata)
    content: bytes = model.SerializeToString()
    return content


def test_the_card_of_an_onnx_file_is_in_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(tiny_onnx({METADATA_KEY: CARD.to_json(), "other": "x"}))
    assert read_card(tmp_path / "m.onnx") == CARD


def test_the_card_of_a_run_folder_is_that_of_its_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_onnx({METADATA_KEY: CARD.to_json()}))
    assert read_card(tmp_path) == CARD


def test_a_model_of_others_has_no_card_and_the_error_says_what_to_use(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(tiny_onnx({}))
    save_file({"t": np.zeros(1, np.float32)}, tmp_path / "m.safetensors")
    for name in ("m.onnx", "m.safetensors"):
        with pytest.raises(UserError, match=rf"{name}: carries no model card.*mobilenets train"):
            read_card(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not onnx", tiny_onnx({})[:-5]])
def test_a_damaged_onnx_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"m\.onnx: "):
        read_card(tmp_path / "m.onnx")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model in this folder.*model\.safetensors"):
        read_card(tmp_path)


def test_a_damaged_card_is_reported_with_the_file_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(tiny_onnx({METADATA_KEY: "{}"}))
    with pytest.raises(UserError, match=r"m\.onnx: model card"):
        read_card(tmp_path / "m.onnx")
