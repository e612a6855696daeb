"""8-bit products: exact on every processor, and in the quick way wherever that is exact."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mobilenets.runtime.engines.int8_sums import GRAPH, SIDE, WEIGHT, sums_are_exact
from mobilenets.runtime.engines.onnxruntime import make_session


def _product(weights: np.ndarray) -> bytes:
    """An ONNX graph that multiplies uint8 `a` with these int8 weights."""
    rows, columns = weights.shape
    given = helper.make_tensor_value_info("a", TensorProto.UINT8, [rows, rows])
    sums = helper.make_tensor_value_info("y", TensorProto.INT32, [rows, columns])
    node = helper.make_node("MatMulInteger", ["a", "b"], ["y"])
    graph = helper.make_graph([node], "g", [given], [sums], [numpy_helper.from_array(weights, "b")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def test_the_graph_that_is_asked_is_one_product_of_the_largest_weights() -> None:
    asked = onnx.load_model_from_string(GRAPH)
    onnx.checker.check_model(asked)
    assert asked == onnx.load_model_from_string(_product(np.full((SIDE, SIDE), WEIGHT, np.int8)))


def test_a_file_gives_the_sums_that_integers_have_whatever_the_processor() -> None:
    """Under qemu's Haswell the quick way gave others; this way an 8-bit file's answers were the same to the bit."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (64, 48)).astype(np.int8)
    weights[:, 0] = 127
    pixels = rng.integers(128, 256, (64, 64)).astype(np.uint8)
    (sums,) = make_session(_product(weights), 1).run(["y"], {"a": pixels})
    np.testing.assert_array_equal(sums, pixels.astype(np.int64) @ weights.astype(np.int64))


def test_the_slow_way_is_asked_for_only_where_the_quick_one_is_not_exact() -> None:
    options = make_session(GRAPH, 1).get_session_options()
    try:
        slow = options.get_session_config_entry("session.x64quantprecision")
    except RuntimeError:  # was not set
        slow = None
    assert slow == (None if sums_are_exact() else "1")
