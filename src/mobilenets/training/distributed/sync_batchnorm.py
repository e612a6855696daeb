"""BatchNorm and Dropout over a batch that several processes divide.

torch's `nn.SyncBatchNorm` exchanges statistics on GPUs only; `SyncBatchNorm` does so anywhere, with equal parts.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mobilenets.training.distributed.group import Group


def sync_batch_layers(model: nn.Module, group: Group, sync_norm: bool) -> None:
    """Make `model`'s dropout, and with `sync_norm` its BatchNorm, act as if one process had the whole batch.

    Parameters and statistics stay the very tensors they are, under the same names.
    """
    if group.size == 1:
        return
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Dropout):
                setattr(parent, name, SyncDropout(child.p, group))
            elif sync_norm and isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, _synchronised(child))


def _synchronised(norm: nn.BatchNorm2d) -> nn.Module:
    if norm.weight.is_cuda:
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]  # torch: untyped
        return converted
    sync = SyncBatchNorm(norm.num_features, norm.eps, norm.momentum)
    sync.weight, sync.bias = norm.weight, norm.bias
    sync.running_mean, sync.running_var = norm.running_mean, norm.running_var
    sync.num_batches_tracked = norm.num_batches_tracked
    return sync.train(norm.training)


class SyncDropout(nn.Dropout):
    """Draws what to drop for the whole batch and applies the part of this process."""

    def __init__(self, p: float, group: Group) -> None:
        super().__init__(p)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) → (N, D), zeros among values scaled by 1 / (1 - p)."""
        if not self.training:
            return x
        whole = x.new_ones((self.group.size * len(x), *x.shape[1:]))
        return x * F.dropout(whole, self.p).chunk(self.group.size)[self.group.rank]


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm whose mean and variance are those of all processes' parts together."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same shape."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        y, mean, var, count = _Normalise.apply(x, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]  # torch: untyped
        with torch.no_grad():
            self.num_batches_tracked += 1
            momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(var * (count / (count - 1)), momentum)
        normalised: Tensor = y
        return normalised


class _Normalise(torch.autograd.Function):
    """Equations of 1502.03167, with every mean over a batch taken over all processes' parts.

    The passes over the pictures are those of torch's own kernels for channels-last memory, several times as fast as
    the same sums written out.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, int]:
        _, mean, scale = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
        var = scale.float().pow(-2) - eps
        parts = [torch.empty(2, len(mean)) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, torch.stack((mean.float(), var)))
        means, variances = torch.stack(parts).unbind(1)
        mean = means.mean(0)
        var = (variances + (means - mean).square()).mean(0)
        ctx.save_for_backward(x, weight, mean, var)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        count = len(parts) * x.numel() // x.shape[1]
        return F.batch_norm(x, mean, var, weight, bias, eps=eps), mean, var, count

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, var = ctx.saved_tensors
        # As in evaluation: mean and variance taken for constants.
        dx, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        # Their own share: a line in x for each channel.
        means = torch.stack((of_bias, of_weight)).float()
        dist.all_reduce(means)
        means /= dist.get_world_size() * x.numel() // x.shape[1]
        scale = (var + ctx.eps).rsqrt()
        slope = means[1] * scale.square() * weight
        offset = means[0] * scale * weight - mean * slope
        slope, offset = (t.to(x.dtype).view(1, -1, 1, 1) for t in (slope, offset))
        return dx.sub_(offset).addcmul_(x, slope, value=-1), of_weight, of_bias, None
