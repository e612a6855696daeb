"""Where each published layout keeps what we keep: names of modules, ours → theirs, generated from a `Net`."""

from __future__ import annotations

from collections.abc import Iterator

from mobilenets.arch import v1, v2, v3, v4
from mobilenets.arch.layers import Gate, Layer
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Row
from mobilenets.errors import ModelFileError

# Families of networks that each library has.
_FAMILIES = {
    "torchvision": ("v2", "v3"),
    "torchvision-ssdlite": ("v3",),
    "timm": ("v1", "v2", "v3", "v4"),
    "keras": ("v1", "v2", "v3"),
}


def module_names(net: Net, layout: str) -> dict[str, str]:
    """For every module of ours that has weights, its name in `layout`.

    Raises
    ------
    UserError
        The layout's library has no such network.
    """
    if layout == "ours":
        return {name: name for name in _ours(net)}
    if net.family not in _FAMILIES[layout]:
        raise ModelFileError(f"{net.name}: the weights are of {layout}, which has no such network")
    try:
        names = _NAMES[layout](net)
        return {ours: names[ours] for ours in _ours(net)}
    except (KeyError, ValueError) as error:  # a net of a stranger's file: not the family's blocks
        raise ModelFileError(f"{net.name}: its blocks are not those of {layout}'s network") from error


def head_modules(net: Net, layout: str) -> tuple[str, ...]:
    """Names in `layout` of what a classifier has behind its last map, whatever head `net` has."""
    if layout == "ours":
        return ("hidden", "classifier")
    return tuple(theirs for ours, theirs in _NAMES[layout](net).items() if ours.startswith(("hidden", "classifier")))


def _blocks(net: Net) -> Iterator[tuple[int, Row, list[Layer | Gate]]]:
    """Index of each block, its row and its layers."""
    rows = ((row, channels) for name, row, channels in net.rows() if name.startswith("blocks."))
    for i, (row, channels) in enumerate(rows):
        yield i, row, list(row.layers(channels))


def _ours(net: Net) -> Iterator[str]:
    for name, row, channels in net.rows():
        for layer in row.layers(channels):
            for conv in layer.convolutions:
                yield from conv.modules(name)
    for part in net.head_parts():
        for layer in part.layers:
            yield from layer.modules("")
    if not net.num_classes:
        yield "classifier"


def _torchvision(net: Net) -> dict[str, str]:
    """torchvision: `features.N`, numbered layers inside; V2 leaves the projection outside a pair."""
    names = {"stem.conv": "features.0.0", "stem.norm": "features.0.1"}
    inner = "conv" if net.family == "v2" else "block"
    for i, _, layers in _blocks(net):
        for j, layer in enumerate(layers):
            theirs = f"features.{i + 1}.{inner}.{j}"
            ours = f"blocks.{i}.{layer.name}"
            if isinstance(layer, Gate):
                names |= {f"{ours}.reduce": f"{theirs}.fc1", f"{ours}.expand": f"{theirs}.fc2"}
            elif layer is layers[-1] and net.family == "v2":
                names |= {f"{ours}.conv": theirs, f"{ours}.norm": f"features.{i + 1}.conv.{j + 1}"}
            else:
                names |= {f"{ours}.conv": f"{theirs}.0", f"{ours}.norm": f"{theirs}.1"}
    end = f"features.{len(net.blocks) + 1}"
    names |= {"last.conv": f"{end}.0", "last.norm": f"{end}.1", "hidden.0": "classifier.0"}
    names["classifier"] = "classifier.1" if net.family == "v2" else "classifier.3"
    return names


def _torchvision_ssdlite(net: Net) -> dict[str, str]:
    """torchvision's detector: `features` in two halves, the second from behind the expansion that the head reads."""
    cut = net.max_cut + 1  # torchvision counts the stem too
    names = {}
    for ours, theirs in _torchvision(net).items():
        root, _, rest = theirs.removeprefix("features.").partition(".")
        if theirs.startswith("features.") and int(root) < cut:
            names[ours] = f"backbone.features.0.{theirs.removeprefix('features.')}"
        elif theirs.startswith(f"features.{cut}.block.0."):
            names[ours] = f"backbone.features.0.{cut}.{rest.removeprefix('block.0.')}"
        elif theirs.startswith("features."):
            rest = rest.removeprefix("block.") if int(root) == cut else rest
            names[ours] = f"backbone.features.1.{int(root) - cut}.{rest}"
    for i in range(len(net.ssd.extras)):
        for j, part in enumerate(("reduce", "depthwise", "expand")):
            theirs = f"backbone.extra.{i}.{j}"
            names |= {f"extra.{i}.{part}.conv": f"{theirs}.0", f"extra.{i}.{part}.norm": f"{theirs}.1"}
    for i in range(len(net.ssd.levels)):
        for what, head in (("classes", "classification_head"), ("boxes", "regression_head")):
            theirs, ours = f"head.{head}.module_list.{i}", f"heads.{i}.{what}"
            names |= {f"{ours}.depthwise.conv": f"{theirs}.0.0", f"{ours}.depthwise.norm": f"{theirs}.0.1"}
            names[f"{ours}.predict"] = f"{theirs}.1"
    return names


# Names of the convolutions in timm's blocks by kind of row; their BatchNorms are bn1, bn2, … in the same order.
TIMM = {
    "conv": {"": "conv"},
    "separable": {"depthwise": "conv_dw", "pointwise": "conv_pw"},
    "inverted": {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"},
    "fused": {"expand": "conv_exp", "project": "conv_pwl"},
    "universal": {"start": "dw_start", "expand": "pw_exp", "depthwise": "dw_mid", "project": "pw_proj"},
}
_TIMM_NO_EXPAND = {"depthwise": "conv_dw", "project": "conv_pw"}  # of an inverted row


def _timm(net: Net) -> dict[str, str]:
    """timm: `blocks.STAGE.INDEX`; the last convolution is a stage of its own, except in V2."""
    names = {"stem.conv": "conv_stem", "stem.norm": "bn1", "classifier": "classifier"}
    stages = list(_stages(net))
    for (i, row, layers), (stage, index) in zip(_blocks(net), stages, strict=True):
        theirs, convs = f"blocks.{stage}.{index}", TIMM[row.kind]
        if row.kind == "inverted" and layers[0].name != "expand":
            convs = _TIMM_NO_EXPAND
        number = 0
        for layer in layers:
            ours = f"blocks.{i}.{layer.name}".rstrip(".")
            if isinstance(layer, Gate):
                names |= {f"{ours}.reduce": f"{theirs}.se.conv_reduce", f"{ours}.expand": f"{theirs}.se.conv_expand"}
                continue
            number, conv = number + 1, f"{theirs}.{convs[layer.name]}"
            if row.kind == "universal":  # a module of two parts, as ours
                names |= {f"{ours}.conv": f"{conv}.conv", f"{ours}.norm": f"{conv}.bn"}
            else:
                names |= {f"{ours}.conv": conv, f"{ours}.norm": f"{theirs}.bn{number}"}
    if net.family == "v2":
        return names | {"last.conv": "conv_head", "last.norm": "bn2"}
    end = f"blocks.{stages[-1][0] + 1}.0"
    names |= {"last.conv": f"{end}.conv", "last.norm": f"{end}.bn1"}
    return names | {"hidden.0": "conv_head", "hidden.conv": "conv_head", "hidden.norm": "norm_head"}


def _stages(net: Net) -> Iterator[tuple[int, int]]:
    """timm's stage and index in it, of every block.

    A stage ends where the paper's table changes its output, at width 1: two stages may round to the same
    channels at a small width. V4's stages begin at the table's strides, also where `net` dilates instead.
    """
    if net.family == "v4":
        starts = [row.stride == 2 for row in v4.TABLES[net.name][1]]
    else:
        outs = _paper_outs(net)
        starts = [i == 0 or out != outs[i - 1] for i, out in enumerate(outs)]
    stage, index = -1, 0
    for start in starts:
        stage, index = (stage + 1, 0) if start else (stage, index + 1)
        yield stage, index


def _paper_outs(net: Net) -> list[int]:
    if net.family == "v1":
        return [row.out for row in v1.BLOCKS]
    if net.family == "v2":
        return [c for _, c, n, _ in v2.STAGES for _ in range(n)]
    return [row.out for row in (v3.LARGE if "large" in net.name else v3.SMALL)]


def _keras(net: Net) -> dict[str, str]:
    """Keras: a flat name per layer."""
    return {"v1": _keras_v1, "v2": _keras_v2, "v3": _keras_v3}[net.family](net)


def _keras_v1(net: Net) -> dict[str, str]:
    names = {"stem.conv": "conv1", "stem.norm": "conv1_bn", "classifier": "conv_preds"}
    for i in range(len(net.blocks)):
        for part, short in (("depthwise", "dw"), ("pointwise", "pw")):
            theirs = f"conv_{short}_{i + 1}"
            names |= {f"blocks.{i}.{part}.conv": theirs, f"blocks.{i}.{part}.norm": f"{theirs}_bn"}
    return names


def _keras_v2(net: Net) -> dict[str, str]:
    names = {"stem.conv": "Conv1", "stem.norm": "bn_Conv1", "classifier": "predictions"}
    names |= {"last.conv": "Conv_1", "last.norm": "Conv_1_bn"}
    for i, _, layers in _blocks(net):
        prefix = f"block_{i}" if i else "expanded_conv"
        for layer in layers:
            ours, theirs = f"blocks.{i}.{layer.name}", f"{prefix}_{layer.name}"
            names |= {f"{ours}.conv": theirs, f"{ours}.norm": f"{theirs}_BN"}
    return names


def _keras_v3(net: Net) -> dict[str, str]:
    names = {"stem.conv": "conv", "stem.norm": "conv_bn", "classifier": "logits"}
    names |= {"last.conv": "conv_1", "last.norm": "conv_1_bn", "hidden.0": "conv_2"}
    for i, _, layers in _blocks(net):
        prefix = f"expanded_conv_{i}" if i else "expanded_conv"
        for layer in layers:
            ours, theirs = f"blocks.{i}.{layer.name}", f"{prefix}_{layer.name}"
            if isinstance(layer, Gate):
                names |= {f"{ours}.reduce": f"{prefix}_squeeze_excite_conv"}
                names |= {f"{ours}.expand": f"{prefix}_squeeze_excite_conv_1"}
            else:
                names |= {f"{ours}.conv": theirs, f"{ours}.norm": f"{theirs}_bn"}
    return names


_NAMES = {"torchvision": _torchvision, "torchvision-ssdlite": _torchvision_ssdlite, "timm": _timm, "keras": _keras}
