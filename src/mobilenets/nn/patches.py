"""A network that knows good photographs alone: how far each patch is from the nearest one kept (2106.08265)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mobilenets.errors import UsageError
from mobilenets.nn.layers import average
from mobilenets.nn.model import MobileNet

SMALL = 0.1  # values below it count as they are, larger ones by their root


class Pooled(nn.Module):
    """A map as patches, at `stride` times its own: the root of the mean of 3×3, at edges of fewer, with its sign.

    Roots let a few strong channels not drown the others (0.91 instead of 0.905, `benchmarks/good_only.py`); below
    `SMALL` their slope would let rounding show.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C, H / stride, W / stride), rounded up."""
        mean = F.avg_pool2d(x, 3, self.stride, 1, count_include_pad=False)
        return mean / (mean.abs() + SMALL).sqrt()


def power_mean(distances: torch.Tensor, power: int) -> torch.Tensor:
    """(N, P), 0 or more → (N, 1), each the `power`-th root of the mean of the powers of its row.

    Examples
    --------
    >>> round(float(power_mean(torch.tensor([[3.0, 4.0]]), 2)), 4)
    3.5355
    """
    peak = distances.amax(1, keepdim=True).clamp(min=1e-6)
    value = distances / peak  # no power of what is at most 1 is too large, in half precision neither
    for _ in range(power.bit_length() - 1):
        value = value * value
    value = value.mean(1, keepdim=True)
    for _ in range(power.bit_length() - 1):
        value = value.sqrt()
    return peak * value


class PatchMemory(MobileNet):
    """Stem and blocks up to the last map that is read, and the patches of good photographs.

    Parameters
    ----------
    net
        A table with a `PatchHead`.

    Attributes
    ----------
    reduce : torch.nn.ModuleList
        For each map the 1×1 convolution that standardises and shortens its patches.
    bank : torch.nn.Conv2d
        Its weights are the patches kept, times -2, its biases their squared lengths: all of a squared distance but
        what no patch kept changes.
    threshold : torch.nn.Parameter
        The distance, float (1,), that becomes a score of 0.5.

    Examples
    --------
    >>> from mobilenets.arch import build
    >>> from mobilenets.arch.patches import PatchHead, cut_for
    >>> model = PatchMemory(cut_for(build("mobilenet_v2", width=0.35), PatchHead((5, 12), 16, 50))).eval()
    >>> model(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 17])
    """

    reduce: nn.ModuleList
    bank: nn.Conv2d
    threshold: nn.Parameter

    @property
    def head_modules(self) -> tuple[nn.Module, ...]:
        """The patches, and what makes them: a pretrained backbone comes without them."""
        return self.reduce, self.bank

    def _add_head(self) -> None:
        head, infos = self.net.patches, self.net.head_maps
        self.pools = nn.ModuleList(Pooled(infos[-1].stride // info.stride) for info in infos)
        self.reduce = nn.ModuleList(nn.Conv2d(info.channels, head.length, 1) for info in infos)
        self.bank = nn.Conv2d(head.length, head.bank, 1)
        self.threshold = nn.Parameter(torch.ones(1))

    def keep(self, patches: torch.Tensor) -> None:
        """Keep these, float (bank, length), as `patches_of` makes them."""
        with torch.no_grad():
            self.bank.weight.copy_(-2 * patches[:, :, None, None])
            self.bank.bias.copy_(patches.square().sum(1))  # type: ignore[union-attr]  # it has one

    def patches_of(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """From the maps that `net.head_maps` names to patches, (N, length, h, w) at the coarsest map's places."""
        y = self.reduce[0](self.pools[0](maps[0]))
        for reduce, pool, x in list(zip(self.reduce, self.pools, maps, strict=True))[1:]:
            y = y + reduce(pool(x))
        return y  # type: ignore[no-any-return]  # of modules in a list torch does not know

    def forward_maps(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """As `forward`, from the maps that `net.head_maps` names."""
        patches = self.patches_of(maps)
        nearest = self.bank(patches).amin(1, keepdim=True) + patches.square().sum(1, keepdim=True)  # (N, 1, h, w)
        distances = nearest.clamp(min=0).sqrt().flatten(1)  # by rounding a little below 0, of a patch that is kept
        both = torch.cat([power_mean(distances, self.net.patches.power), distances], 1)
        return both / (both + self.threshold)

    def forward(self, x: torch.Tensor, after: int | None = None) -> torch.Tensor:
        """How unlike good photographs these are, and where.

        Parameters
        ----------
        x
            Images, float (N, in_channels, H, W), normalised, sides of 32 pixels or more.
        after
            `x` is the map behind that many blocks instead; `net.max_cut` at most.

        Returns
        -------
        torch.Tensor
            float (N, 1 + h * w), 0 to 1: the score, then that of each place of the coarsest map, row by row. A
            distance d becomes d / (d + threshold).
        """
        return self.forward_maps(self.maps(x, [info.name for info in self.net.head_maps], after))

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """`features`, the last map → the vector that describes a photo (N, C); the scores need other maps as well.

        Raises
        ------
        UsageError
            Without `pre_logits`.
        """
        if not pre_logits:
            raise UsageError(f"{self.net.name}: its scores are made of several maps; call the network itself")
        return average(features).flatten(1)

    def with_vectors(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As `forward`, and the vectors (N, C) alone: distances of patches tell what is unknown."""
        names = [info.name for info in self.net.head_maps]
        maps = self.maps(x, names)  # the deepest is the last map, as what is behind it is cut off
        return self.forward_maps(maps), self.forward_head(maps[-1], pre_logits=True)
