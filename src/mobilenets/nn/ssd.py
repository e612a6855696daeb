"""A detector: a MobileNet whose maps predict classes and boxes, SSDLite (1512.02325; 1801.04381, §6.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from mobilenets.arch.anchors import on_grids
from mobilenets.arch.heads import Part
from mobilenets.arch.net import Net
from mobilenets.arch.ssd import BOX, SsdHead
from mobilenets.nn.layers import ConvNormAct
from mobilenets.nn.model import MobileNet
from mobilenets.preprocess import Preprocess

SIZE = 320  # pixels of a side, that published detectors of this kind see
INIT_STD = 0.03  # of the head's weights (torchvision, TensorFlow)
RARE = 0.01  # of a new head's scores, all classes together: as few anchors are objects (1708.02002, §4.1)


class ExtraMap(nn.Module):
    """A map of half the side behind the last one."""

    def __init__(self, net: Net, part: Part) -> None:
        super().__init__()
        self.reduce, self.depthwise, self.expand = (ConvNormAct(net, layer) for layer in part.layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, out, H / 2, W / 2), rounded up."""
        y: torch.Tensor = self.expand(self.depthwise(self.reduce(x)))
        return y


class Predictor(nn.Module):
    """What one map says of `width` numbers for each of its anchors: a depthwise convolution, and a 1×1 one."""

    def __init__(self, net: Net, part: Part, width: int) -> None:
        super().__init__()
        depthwise, predict = part.layers
        self.width = width
        self.depthwise = ConvNormAct(net, depthwise)
        self.predict = nn.Conv2d(predict.channels, predict.out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, H·W·anchors, width), by row, column and anchor."""
        y = self.predict(self.depthwise(x))  # (N, anchors·width, H, W)
        return y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, self.width)  # type: ignore[no-any-return]  # torch


class Heads(nn.Module):
    """What one map predicts."""

    def __init__(self, net: Net, classes: Part, boxes: Part) -> None:
        super().__init__()
        self.classes = Predictor(net, classes, net.num_classes)
        self.boxes = Predictor(net, boxes, BOX)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, C, H, W) → (N, H·W·anchors, num_classes) and (N, H·W·anchors, 4)."""
        return self.classes(x), self.boxes(x)


class Detector(MobileNet):
    """Stem, blocks, last convolution, extra maps, and what every map predicts.

    Parameters
    ----------
    net
        A table with a detector's head.

    Attributes
    ----------
    extra : torch.nn.ModuleList
        What makes the extra maps.
    heads : torch.nn.ModuleList
        What predicts, map by map, the finest first.

    Examples
    --------
    >>> import torch
    >>> from mobilenets.arch import build
    >>> model = Detector(build("ssdlite_mobilenet_v3_small", width=0.35, num_classes=3)).eval()
    >>> model(torch.zeros(1, 3, 96, 96)).shape
    torch.Size([1, 204, 11])
    """

    extra: nn.ModuleList
    heads: nn.ModuleList

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        self.preprocess = as_detectors(Preprocess())
        for module in self.head_modules:
            module.apply(_initialise)

    @property
    def head_modules(self) -> tuple[nn.Module, ...]:
        """The extra maps and what predicts: a pretrained backbone comes without them."""
        return self.extra, self.heads

    def _add_head(self) -> None:
        parts = list(self.net.head_parts())
        own = replace(self.net, norm_eps=self.net.ssd.norm_eps, norm_momentum=self.net.ssd.norm_momentum)
        self.extra = nn.ModuleList(ExtraMap(own, part) for part in parts if part.makes_map)
        predictors = [part for part in parts if not part.makes_map]
        pairs = zip(predictors[::2], predictors[1::2], strict=True)
        self.heads = nn.ModuleList(Heads(own, classes, boxes) for classes, boxes in pairs)

    def forward(self, x: torch.Tensor, after: int | None = None) -> torch.Tensor:
        """What every anchor is and should become.

        Parameters
        ----------
        x
            Images, float (N, in_channels, H, W), normalised, sides of 32 pixels or more.
        after
            `x` is the map behind that many blocks instead; `net.max_cut` at most.

        Returns
        -------
        torch.Tensor
            float (N, A, num_classes + 4 + 4): logits of the classes, the background first; the box as its distance from
            the anchor (`mobilenets.tasks.detect.boxes.decode`); the anchor: centre x, centre y, width, height,
            fractions of the input's sides.

        Raises
        ------
        UserError
            `after` leaves out a map that is read.
        """
        return self.forward_maps(self.maps(x, [info.name for info in self.net.head_maps], after))

    def forward_maps(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """As `forward`, from the maps of the backbone that `net.head_maps` names."""
        logits, codes, anchors = self._predictions(maps)
        return torch.cat([logits, codes, anchors.expand(len(logits), -1, -1)], 2)

    def forward_parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As `forward`, the three parts by themselves, without a copy: (N, A, num_classes), (N, A, 4) and (1, A, 4)."""
        return self._predictions(self.maps(x, [info.name for info in self.net.head_maps]))

    def _predictions(self, maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        head, maps = self.net.ssd, list(maps)
        for extra in self.extra:
            maps.append(extra(maps[-1]))
        logits, codes = zip(*(heads(x) for heads, x in zip(self.heads, maps, strict=True)), strict=True)
        grids = tuple((int(x.shape[2]), int(x.shape[3])) for x in maps)
        # In float32 whatever the weights are: half as many digits are whole pixels at the far end of a photo.
        anchors = torch.tensor(on_grids(head.levels, head.order, grids), device=maps[0].device)[None]
        return torch.cat(logits, 1), torch.cat(codes, 1), anchors

    def reset_classifier(self, num_classes: int) -> None:
        """Replace what predicts the classes by new layers, on the same device and in the same dtype.

        Parameters
        ----------
        num_classes
            Outputs for classes, 2 or more: the background is number 0.
        """
        self.reset_head(replace(self.net.ssd, num_classes=num_classes))

    def extend_classes(self, indices: Sequence[int], num_classes: int) -> None:
        """Keep every output for a class under another index among more, anchor by anchor.

        A class that comes is background so far, and begins with the weights of that: with as small a part of its score
        as a class of a new head has, which it gives up. All others keep their scores (as in 2002.00718, §3.3).

        Parameters
        ----------
        indices
            Of each output the number that it gets; number 0, the background, stays where it is.
        num_classes
            Outputs there are then.
        """
        before, known = self._class_layers, len(indices)
        self.reset_classifier(num_classes)
        fraction = RARE / (num_classes - 1)
        shift = torch.full((num_classes,), math.log(fraction))
        shift[list(indices)] = 0.0
        shift[0] = math.log1p(-fraction * (num_classes - known))
        for old, new in zip(before, self._class_layers, strict=True):
            for name, value in old.named_parameters():
                rows = value.detach().reshape(-1, known, *value.shape[1:])  # (anchors, outputs, …)
                made = rows[:, :1].repeat_interleave(num_classes, 1)
                made[:, list(indices)] = rows
                if name == "bias":
                    made += shift.to(made)
                new.get_parameter(name).data.copy_(made.flatten(0, 1))
        self.provenance["classifier"] = "extended" if num_classes > known else "kept"

    @property
    def _class_layers(self) -> list[nn.Conv2d]:
        """The last layer of every map's classes."""
        return [heads.classes.predict for heads in self.heads if isinstance(heads, Heads)]

    def reset_head(self, head: SsdHead) -> None:
        """Take another head, as with anchors of one's own boxes; what fits of the one before stays.

        Parameters
        ----------
        head
            Layers of the same name and shape keep their weights, as long as the same maps are read and predicted from.
            What predicts classes begins anew if their number changes.
        """
        net, like, before = replace(self.net, head=head).checked(), next(self.parameters()), self.net.ssd
        old = {key: value for key, value in self.state_dict().items() if key.startswith(("extra.", "heads."))}
        made = Detector(net)
        new = made.state_dict()
        is_same = (before.strides, len(before.extras)) == (head.strides, len(head.extras))
        kept = {key: value for key, value in old.items() if key in new and new[key].shape == value.shape}
        if not is_same:
            kept = {key: value for key, value in kept.items() if key.startswith("extra.")}
        made.load_state_dict(kept, strict=False)
        made.to(like).train(self.training)
        self.net, self.extra, self.heads = net, made.extra, made.heads
        if len(kept) < len(new):
            self.provenance["classifier"] = "new"


def as_detectors(preprocess: Preprocess) -> Preprocess:
    """A classifier's preprocess for a detector: all of the photo, made square."""
    return replace(preprocess, size=SIZE, crop=1.0, fit="squash")


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
        nn.init.normal_(module.weight, 0.0, INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, Heads) and module.classes.predict.bias is not None:  # behind its convolutions
        outputs = module.classes.width
        with torch.no_grad():
            module.classes.predict.bias.view(-1, outputs)[:, 0] = math.log((outputs - 1) * (1 - RARE) / RARE)
