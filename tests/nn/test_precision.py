"""Which arithmetic a convolution is computed in under autocast."""

from __future__ import annotations

import pytest
import torch

from mobilenets.nn.layers import Conv2d


def gradient(conv: Conv2d, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and weight gradient of a sum of squares."""
    y = conv(x)
    conv.weight.grad = None
    torch.autograd.backward(y.float().square().sum())
    assert conv.weight.grad is not None
    return y, conv.weight.grad


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (5, 1)])
def test_a_strided_or_large_depthwise_convolution_is_computed_in_float32_under_autocast(
    kernel: int, stride: int
) -> None:
    torch.manual_seed(0)
    conv = Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    x = torch.randn(2, 8, 9, 9).bfloat16()
    exact, _ = gradient(conv, x.float())
    with torch.autocast("cpu", torch.bfloat16):
        y, slope = gradient(conv, x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, exact.bfloat16(), rtol=0, atol=0)
    assert slope.dtype == torch.float32


@pytest.mark.parametrize("groups", [1, 8])
def test_other_convolutions_are_left_to_autocast(groups: int) -> None:
    torch.manual_seed(0)
    conv = Conv2d(8, 8, 3, padding=1, groups=groups, bias=False)
    x = torch.randn(2, 8, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
        plain = torch.nn.functional.conv2d(x, conv.weight, padding=1, groups=groups)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, plain, rtol=0, atol=0)


def test_without_autocast_nothing_is_cast() -> None:
    conv = Conv2d(8, 8, 3, 2, 1, groups=8, bias=False).double()
    assert conv(torch.randn(2, 8, 9, 9, dtype=torch.float64)).dtype == torch.float64
