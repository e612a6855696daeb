"""torch's exported graph in 8 bits (PT2E): what passes through quantize and dequantize, for ExecuTorch's XNNPACK.

XNNPACK's own quantizer is not used. It rounds what a convolution gives before ReLU6 cuts it off: most of its 256 steps
are then for negative values that become zero, the more so where channels were made equal. Its ranges depend on the
order of the photos, and it gives weights no step below 2^-12, though a prepared network has its grid already.
"""

from __future__ import annotations

from typing import Any

import torch
from torchao.quantization.pt2e import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import (
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from mobilenets.exporting.int8.calibration import Calibration
from mobilenets.exporting.int8.kept import Layer, kept_layers
from mobilenets.exporting.int8.quantize import LARGEST_WEIGHT
from mobilenets.exporting.int8.ranges import HARD_SIGMOID, HARD_SWISH, STEPS, Range, Ranges
from mobilenets.model_card import ModelCard
from mobilenets.runtime.base import Pixels

Node = Any  # of torch.fx: only its operator tells what its arguments are

ATEN = torch.ops.aten
LAYERS = (ATEN.conv2d.default, ATEN.linear.default)
CLIPS = (ATEN.relu.default, ATEN.relu_.default, ATEN.hardtanh.default, ATEN.hardtanh_.default)  # computed by a layer
POOL = ATEN.adaptive_avg_pool2d.default
EFFECTIVE_RANGES = {
    ATEN.hardswish.default: HARD_SWISH,
    ATEN.hardswish_.default: HARD_SWISH,
    ATEN.hardsigmoid.default: HARD_SIGMOID,
    ATEN.hardsigmoid_.default: HARD_SIGMOID,
}
QMIN, QMAX = -128, 127
SMALLEST_STEP = 2.0**-24  # of weights: XNNPACK computes no ratio of steps below 2^-32
LARGEST_BIAS = 2.0**30  # in steps of what is read times steps of weights: XNNPACK's sums have 32 bits


def quantized_graph(graph: torch.fx.GraphModule, card: ModelCard, calibration: Calibration) -> torch.fx.GraphModule:
    """`graph`, of pixels (1, size, size, C), with 8-bit weights per output channel and 8-bit activations per tensor."""
    layers = [node for node in graph.graph.nodes if node.target in LAYERS]
    kept = kept_layers([Layer(_weight(layer), _is_depthwise(layer)) for layer in layers], card, calibration)
    layers = [layer for layer in layers if _weight(layer) not in kept]
    quantizer = _LayerQuantizer({_weight(layer) for layer in layers}, _ranges(graph, layers, calibration.pixels))
    prepared = prepare_pt2e(graph, quantizer)
    prepared(torch.from_numpy(calibration.pixels[:1]))  # weights are looked at as they pass
    result: torch.fx.GraphModule = convert_pt2e(prepared)
    return result


class _LayerQuantizer(Quantizer):  # type: ignore[misc]  # torchao has no types
    """Rounds what some layers read and write, a ReLU or ReLU6 behind them included; sums stay float, as in `qdq.py`."""

    def __init__(self, weights: set[str], ranges: dict[str, Range]) -> None:
        super().__init__()
        self._weights, self._ranges = weights, ranges

    def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        for layer in model.graph.nodes:
            if layer.target not in LAYERS or _weight(layer) not in self._weights:
                continue
            reader, source = _read(layer)
            last = _written(layer)
            inputs = {layer.args[1]: self._weight_rounding(model, layer)}
            if reader is layer:
                inputs[source] = self._rounding(source)
            else:  # padding
                reader.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                    {source: self._rounding(source)}, _annotated=True
                )
            layer.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(inputs, _annotated=True)
            last.meta.setdefault(Q_ANNOTATION_KEY, QuantizationAnnotation(_annotated=True))
            last.meta[Q_ANNOTATION_KEY].output_qspec = self._rounding(last)
            for pool in _pools(last):
                inputs = {last: self._rounding(last)}
                pool.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(inputs, self._rounding(pool), _annotated=True)
        return model

    def validate(self, model: torch.fx.GraphModule) -> None:
        """Nothing to check."""

    def _weight_rounding(self, model: torch.fx.GraphModule, layer: Node) -> QuantizationSpec:
        """In steps in which the bias has its place: a channel without weights gives what its bias is."""
        bias = float(model.get_parameter(layer.args[2].target).abs().max())
        step = max(SMALLEST_STEP, bias / (LARGEST_BIAS * self._rounding(_read(layer)[1]).scale))
        return QuantizationSpec(
            dtype=torch.int8,
            observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=step),
            quant_min=-LARGEST_WEIGHT,
            quant_max=LARGEST_WEIGHT,
            qscheme=torch.per_channel_symmetric,
            ch_axis=0,
        )

    def _rounding(self, tensor: Node) -> FixedQParamsQuantizationSpec:
        low, high = self._ranges[tensor.name]
        scale = max(high - low, SMALLEST_STEP) / STEPS
        zero_point = max(QMIN, min(QMAX, round(QMIN - low / scale)))
        return FixedQParamsQuantizationSpec(torch.int8, scale, zero_point, QMIN, QMAX, torch.per_tensor_affine)


def _ranges(graph: torch.fx.GraphModule, layers: list[Node], images: Pixels) -> dict[str, Range]:
    """The ranges of all that `layers` read and write, by the names of the nodes."""
    nodes = {
        node.name: node for layer in layers for node in (_read(layer)[1], _written(layer), *_pools(_written(layer)))
    }
    effective = {
        name: EFFECTIVE_RANGES[reader.target]
        for name, node in nodes.items()
        for reader in node.users
        if reader.target in EFFECTIVE_RANGES
    }
    ranges = Ranges(effective)
    watched = _Watched(graph, set(nodes))
    for image in images:
        watched.run(torch.from_numpy(image[None]))
        ranges.add(image, watched.values.items())
    return ranges.best()


class _Watched(torch.fx.Interpreter):
    """Computes a graph and keeps the values of some of its nodes."""

    def __init__(self, graph: torch.fx.GraphModule, names: set[str]) -> None:
        super().__init__(graph)
        self._names = names
        self.values: dict[str, Any] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n.name in self._names:
            self.values[n.name] = value.numpy().copy()  # what comes next may be computed in place
        return value


def _weight(layer: Node) -> str:
    return str(layer.args[1].target)


def _is_depthwise(layer: Node) -> bool:
    return len(layer.args) > 6 and layer.args[6] > 1


def _read(layer: Node) -> tuple[Node, Node]:
    """What reads for `layer`, a padding or itself, and the node that it reads."""
    source = layer.args[0]
    reader = source if source.target == ATEN.pad.default else layer
    return reader, reader.args[0]


def _written(layer: Node) -> Node:
    """The node whose values `layer` writes: a ReLU or ReLU6 behind it is computed with it."""
    (*others, user) = layer.users
    return user if not others and user.target in CLIPS else layer


def _pools(written: Node) -> list[Node]:
    """What averages a map that others read, too, as squeeze-and-excite does.

    It is rounded as well: XNNPACK takes heights for channels where it averages such a map in float behind a conversion.
    """
    return [user for user in written.users if user.target == POOL and len(written.users) > 1]
