"""Training: where the time of a network's convolutions goes, in float32 and in bfloat16.

    python benchmarks/convolutions.py [--batch 32]

Every convolution of the network at 224 pixels, forward and backward, channels-last, on random numbers: the sum
over the network by kind of convolution, each the best of four. Depthwise convolutions with stride 2 or 5×5
kernels are the reason for `nn.layers.Conv2d`: they are computed in float32 also where the rest is in bfloat16.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import torch
import torch.nn.functional as F
from common import table, write_result
from torch import nn

from mobilenets.arch import build
from mobilenets.nn.model import MobileNet
from mobilenets.system.malloc import keep_freed_memory

MODELS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")
REPEATS = 4


def inputs(model: MobileNet) -> list[tuple[nn.Conv2d, torch.Size]]:
    """Every convolution on a map, with the shape of its input at 224 pixels."""
    seen: list[tuple[nn.Conv2d, torch.Size]] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda conv, args, out: seen.append((conv, args[0].shape)))
    model(torch.randn(2, 3, 224, 224))
    return [(conv, shape) for conv, shape in seen if shape[2] > 1]


def kind(conv: nn.Conv2d) -> str:
    if conv.groups > 1:
        return f"depthwise {conv.kernel_size[0]}×{conv.kernel_size[0]}, stride {conv.stride[0]}"
    return "1×1" if conv.kernel_size == (1, 1) else "stem"


def milliseconds(conv: nn.Conv2d, shape: torch.Size, batch: int, dtype: torch.dtype) -> tuple[float, float]:
    """Forward and backward, the best of some."""
    memory = torch.channels_last
    x = torch.randn(batch, *shape[1:]).to(dtype).contiguous(memory_format=memory).requires_grad_(True)
    weight = conv.weight.detach().to(dtype).contiguous(memory_format=memory).requires_grad_(True)
    forward, backward = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        y = F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
        forward.append(time.perf_counter() - start)
        slope = torch.ones_like(y)
        start = time.perf_counter()
        torch.autograd.grad(y, (x, weight), slope)
        backward.append(time.perf_counter() - start)
    return 1000 * min(forward), 1000 * min(backward)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    keep_freed_memory()
    rows: list[list[object]] = []
    for name in MODELS:
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 4)
        for conv, shape in inputs(MobileNet(build(name, num_classes=2)).train()):
            times = [
                t for dtype in (torch.float32, torch.bfloat16) for t in milliseconds(conv, shape, args.batch, dtype)
            ]
            sums[kind(conv)] = [a + b for a, b in zip(sums[kind(conv)], times, strict=True)]
        rows += [[name, what, *(f"{t:.1f}" for t in times)] for what, times in sorted(sums.items())]
        print(name, flush=True)
    header = ["model", "convolutions", "float32 forward ms", "backward", "bfloat16 forward ms", "backward"]
    body = table(header, rows) + "\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    command = f"python benchmarks/convolutions.py --batch {args.batch}"
    write_result("convolutions", "Convolutions in training", command, body, "torch")


if __name__ == "__main__":
    main()
