"""The mean of each channel: torch's pooling, with a gradient that fits the maps' memory."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mobilenets.arch.layers import Gate
from mobilenets.nn.layers import SqueezeExcite, average


def slope(x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """The gradient in `x` of something that depends on both `x` and its mean, as a gate does."""
    (found,) = torch.autograd.grad((x * mean.sigmoid()).square().sum(), x)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_mean_and_gradient_are_those_of_pooling(dtype: torch.dtype, memory: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 4, 3).to(dtype).contiguous(memory_format=memory).requires_grad_()
    ours, pooled = average(x), F.adaptive_avg_pool2d(x, 1)
    assert torch.equal(ours, pooled)
    torch.testing.assert_close(slope(x, ours), slope(x, pooled), rtol=0, atol=0)


def test_the_gradient_of_a_gate_lies_in_memory_as_its_map_does() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 4, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    (found,) = torch.autograd.grad(SqueezeExcite(Gate("", 8, 4))(x).square().sum(), x)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_mean_has_gradients_of_gradients() -> None:
    x = torch.randn(2, 3, 2, 2).double().requires_grad_()
    assert torch.autograd.gradgradcheck(average, x)
