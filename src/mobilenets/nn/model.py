"""A MobileNet built from its `Net`: the table, top to bottom.

V1 1704.04861, V2 1801.04381, V3 1905.02244, V4 2404.10518.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mobilenets.arch.features import feature_info
from mobilenets.arch.net import Net
from mobilenets.errors import UsageError
from mobilenets.nn.blocks import Block, make_block
from mobilenets.nn.layers import ConvNormAct, activation, average, initialise
from mobilenets.preprocess import Preprocess


class MobileNet(nn.Module):
    """Stem, blocks, last convolution, pooling, head; weights are random (`mobilenets.create` fills in others).

    Parameters
    ----------
    net
        The table.

    Attributes
    ----------
    net : Net
        The table it was built from.
    preprocess : Preprocess
        How an image becomes its input, as its weights were trained.
    provenance : dict
        Where its weights come from.

    Examples
    --------
    >>> import torch
    >>> from mobilenets.arch import build
    >>> model = MobileNet(build("mobilenet_v3_small", num_classes=4)).eval()
    >>> model(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 4])
    >>> [tuple(f.shape) for f in model.features(torch.zeros(1, 3, 64, 64), levels=[0, 3])]
    [(1, 16, 16, 16), (1, 576, 2, 2)]
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        self.preprocess = Preprocess()
        self.provenance: dict[str, str] = {}
        made = {name: make_block(net, channels, row) for name, row, channels in net.rows()}
        self.stem = made["stem"]
        self.blocks = nn.ModuleList(made[f"blocks.{i}"] for i in range(len(net.blocks)))
        self.last = made.get("last", nn.Identity())
        self._add_head()
        self.apply(initialise)

    def _add_head(self) -> None:
        self.hidden = self._make_hidden()
        self.dropout = nn.Dropout(self.net.dropout)
        self.classifier = self._make_classifier()

    @property
    def head_modules(self) -> tuple[nn.Module, ...]:
        """What a pretrained backbone comes without, and a training for other classes begins anew."""
        return (self.classifier,)

    def _make_hidden(self) -> nn.Module:
        """V3's and V4's layer after pooling; it works on a 1×1 map, where a linear layer would do."""
        head, channels = self.net.classifier, self.net.feature_channels
        if not head.hidden:
            return nn.Identity()
        if head.norm:
            return ConvNormAct(self.net, next(head.layers(channels)))
        # "NBN" in V3's tables: no BatchNorm on a single value per channel, a bias instead.
        return nn.Sequential(nn.Conv2d(channels, head.hidden, 1), activation(head.act))

    def _make_classifier(self) -> nn.Module:
        if self.net.num_classes == 0:
            return nn.Identity()
        return nn.Linear(self.net.head_width, self.net.num_classes)

    @property
    def head_width(self) -> int:
        """Length of the vector that the classifier sees."""
        return self.net.head_width

    def forward_features(self, x: torch.Tensor, after: int | None = None) -> torch.Tensor:
        """Images `x`, float (N, in_channels, H, W), normalised → the last map (N, C, H / 32, W / 32).

        With `after`, `x` is the map behind that many blocks.
        """
        if after is None:
            x = self.stem(x)
        for block in list(self.blocks)[after or 0 :]:
            x = block(x)
        y: torch.Tensor = self.last(x)
        return y

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """`features`, the last map → logits (N, num_classes); by `pre_logits` the vector before (N, head_width)."""
        vector: torch.Tensor = self.hidden(average(features)).flatten(1)  # (N, head_width)
        if pre_logits:
            return vector
        logits: torch.Tensor = self.classifier(self.dropout(vector))
        return logits

    def forward(self, x: torch.Tensor, after: int | None = None) -> torch.Tensor:
        """Logits of images.

        Parameters
        ----------
        x
            Images, float (N, in_channels, H, W), normalised, sides of 32 pixels or more.
        after
            `x` is the map behind that many blocks instead.

        Returns
        -------
        torch.Tensor
            Logits, float (N, num_classes); with `num_classes` 0 the vector before the classifier, (N, head_width).
        """
        return self.forward_head(self.forward_features(x, after), pre_logits=self.net.num_classes == 0)

    def with_vectors(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As `forward`, and what describes an image: of a classifier its input, and what came before that.

        Parameters
        ----------
        x
            Images, float (N, in_channels, H, W), normalised.

        Returns
        -------
        tuple of torch.Tensor
            The outputs, vectors float (N, head_width), and the means float (N, C) of the channels of
            `net.earlier_map` over its places.
        """
        earlier, last = self.maps(x, [self.net.earlier_map.name, "last"])
        vectors = self.forward_head(last, pre_logits=True)
        return self.classifier(vectors), vectors, average(earlier).flatten(1)

    def features(self, x: torch.Tensor, levels: Sequence[int] | None = None) -> list[torch.Tensor]:
        """Maps at several scales, finest first.

        Parameters
        ----------
        x
            Images, float (N, in_channels, H, W), normalised.
        levels
            Some of the maps, by index (default: all).

        Returns
        -------
        list of torch.Tensor
            The maps; `mobilenets.arch.features.feature_info(net)` says their strides and channels.

        Raises
        ------
        UserError
            A level the network does not have.
        """
        info = feature_info(self.net)
        wanted = range(len(info)) if levels is None else levels
        for level in wanted:
            if not 0 <= level < len(info):
                raise UsageError(f"levels: {level} is not one of 0 to {len(info) - 1}")
        return self.maps(x, [info[level].name for level in wanted])

    def maps(self, x: torch.Tensor, names: Sequence[str], after: int | None = None) -> list[torch.Tensor]:
        """Maps by their names, as `FeatureInfo` has them: of a row, or of a layer inside one.

        Parameters
        ----------
        x
            Images, float (N, in_channels, H, W), normalised.
        names
            "blocks.4", "blocks.12.expand", "last" …
        after
            `x` is the map behind that many blocks instead.

        Returns
        -------
        list of torch.Tensor
            In the order of `names`.

        Raises
        ------
        UserError
            A map that the network does not have, or that lies in front of the blocks that are run.
        """
        found = {}
        if after is None:
            x = found["stem"] = self.stem(x)
        elif after:
            found[f"blocks.{after - 1}"] = x
        inside = dict(name.rsplit(".", 1) for name in names if name.count(".") > 1)
        for i, block in enumerate(list(self.blocks)[after or 0 :], after or 0):
            name = f"blocks.{i}"
            if name in inside:
                assert isinstance(block, Block)  # a layer with a name lies in one
                found[f"{name}.{inside[name]}"], x = block.tapped(x, inside[name])
            else:
                x = block(x)
            found[name] = x
        found["last"] = self.last(x)
        for name in names:
            if name not in found:
                raise UsageError(f"{self.net.name}: no map {name!r} behind {after or 0} blocks")
        return [found[name] for name in names]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one, on the same device and in the same dtype.

        Parameters
        ----------
        num_classes
            Its outputs; 0: none, so that `forward` gives vectors.
        """
        like = next(self.parameters())
        self.net = self.net.with_classes(num_classes)
        self.classifier = self._make_classifier().to(like)
        self.classifier.apply(initialise)
        self.provenance["classifier"] = "new"

    def extend_classes(self, indices: Sequence[int], num_classes: int) -> None:
        """Keep every output under another index among more; those that come are new.

        Parameters
        ----------
        indices
            Of each output the number that it gets.
        num_classes
            Outputs there are then.
        """
        before = self.classifier
        self.reset_classifier(num_classes)
        assert isinstance(before, nn.Linear)
        assert isinstance(self.classifier, nn.Linear)
        with torch.no_grad():
            self.classifier.weight[list(indices)] = before.weight
            self.classifier.bias[list(indices)] = before.bias
        self.provenance["classifier"] = "extended" if num_classes > len(indices) else "kept"
