"""TensorFlow's SAME padding as what ONNX has for it: a convolution that pads each side by its own number.

torch's convolutions pad both sides alike, so SAME is a pad of its own there. Exported as such, every map would be
copied once more, by a node that engines compute in another layout than the convolutions around it: V3-Small took 1.6
times as long in onnxruntime.
"""

from __future__ import annotations

import onnx
import torch
from torch import nn

from mobilenets.nn.layers import ConvNormAct, SamePadConv2d

Pads = dict[str, tuple[int, int, int, int]]


@torch.inference_mode()
def pad_alike(module: nn.Module, example: torch.Tensor) -> Pads:
    """Let every SAME-padded convolution of `module` pad both sides alike, for the export only.

    Its maps keep their sizes, as both round up the size divided by the stride. Returns for each convolution by name the
    pads it has on a run over `example`: left, right, above, below.
    """
    same = {f"{name}.conv": part for name, part in module.named_modules() if _is_same(part)}
    pads: Pads = {}
    for name, part in same.items():
        part.conv.register_forward_pre_hook(lambda conv, x, name=name: pads.update({name: conv.pads(*x[0].shape[2:])}))
    module(example)
    for part in same.values():
        part.conv = _padding_alike(part.conv)
    return pads


def _is_same(part: nn.Module) -> bool:
    return isinstance(part, ConvNormAct) and isinstance(part.conv, SamePadConv2d)


def _padding_alike(conv: nn.Conv2d) -> nn.Conv2d:
    kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], conv.dilation[0]  # all are square
    padding = dilation * (kernel - 1) // 2
    plain = nn.Conv2d(conv.in_channels, conv.out_channels, kernel, stride, padding, dilation, conv.groups)
    plain.weight, plain.bias = conv.weight, conv.bias
    return plain


def set_pads(graph: onnx.ModelProto, pads: Pads) -> None:
    """Give the convolutions of the exported `graph` the pads that `pad_alike` returned.

    Raises
    ------
    ValueError
        The weights of a convolution are not in the graph under their name.
    """
    nodes = {node.input[1]: node for node in graph.graph.node if node.op_type == "Conv"}  # by their weights
    for name, (left, right, top, bottom) in pads.items():
        if f"{name}.weight" not in nodes:
            raise ValueError(f"{name}: torch's exporter gave the weights of this convolution another name")
        (attribute,) = (a for a in nodes[f"{name}.weight"].attribute if a.name == "pads")
        attribute.ints[:] = (top, left, bottom, right)
