"""State dicts of torchvision, timm and Keras become ours: every key and shape accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from mobilenets.arch.build import DETECTOR
from mobilenets.arch.heads import Head
from mobilenets.arch.net import Net
from mobilenets.errors import MissingExtraError, ModelFileError
from mobilenets.nn.network import make_network
from mobilenets.weights.layouts import head_modules, module_names

SHOWN = 4  # names listed of each kind of mismatch

# A key that every network of a layout has.
_SIGNATURES = {
    "ours": "stem.conv.weight",
    "torchvision": "features.0.0.weight",
    "torchvision-ssdlite": "backbone.features.0.0.0.weight",
    "timm": "conv_stem.weight",
}

_KERAS_PARAMETERS = {
    "weight": ("kernel", "depthwise_kernel", "gamma"),
    "bias": ("bias", "beta"),
    "running_mean": ("moving_mean",),
    "running_var": ("moving_variance",),
}


@dataclass(frozen=True)
class Converted:
    """A state dict in our layout. `head_kept` is False where the classifier had to be left out."""

    state: dict[str, Tensor]
    layout: str
    head_kept: bool


def recognise(keys: Iterable[str]) -> str:
    """The layout ("ours", "torchvision", "torchvision-ssdlite", "timm" or "keras") that has these keys.

    Raises
    ------
    UserError
        None has.
    """
    names = set(keys)
    for layout, key in _SIGNATURES.items():
        if key in names:
            return layout
    if any(name.endswith("/gamma") for name in names):
        return "keras"
    some = ", ".join(sorted(names)[:SHOWN]) or "none at all"
    raise ModelFileError(f"no MobileNet of torchvision, timm, Keras or ours has these names: {some}")


def convert(state: Mapping[str, Tensor], net: Net) -> Converted:
    """`state`, in whichever layout, as a state dict for `make_network(net)`.

    A classifier for another number of classes, or none, is left out (`head_kept` False). A stem for
    three colours fits any `in_channels`: one channel gets the sum of the colours' weights, so that grey
    images give what their RGB copies gave; others get the mean, scaled to the same total.

    Parameters
    ----------
    state
        Tensors under the names of torchvision, timm, Keras or ours.
    net
        The network they are for.

    Returns
    -------
    Converted
        The state dict, the layout it came in, and whether the classifier could be kept.

    Raises
    ------
    UserError
        Keys missing, left over or of another shape than the network has.
    """
    layout = recognise(state)
    theirs = _keys(net, layout, state)
    wanted = {k: v for k, v in _shapes(net).items() if not k.endswith("num_batches_tracked")}
    result: dict[str, Tensor] = {}
    missing, misshapen = [], []
    for ours, shape in wanted.items():
        source = theirs[ours]
        if source not in state:
            missing.append(ours)
            continue
        value = _arranged(state[source], ours, layout, shape)
        if ours == "stem.conv.weight" and value.ndim == 4:
            value = adapt_stem(value, net.in_channels)
        if value.shape != shape:
            misshapen.append(ours)
        result[ours] = value
    head = {k for k in wanted if _is_of_classes(k)}
    new_head = net.num_classes == 0 or bool(head & {*missing, *misshapen})
    if head <= set(missing):  # published without a top: Keras' files then lack V3's hidden layer too
        head |= {k for k in wanted if k.startswith("hidden.")}
    if new_head:
        missing, misshapen = ([k for k in names if k not in head] for names in (missing, misshapen))
        result = {k: v for k, v in result.items() if not _is_of_classes(k)}
    known = {*theirs.values(), *_classifier_keys(net, layout)}
    extra = [k for k in state if k not in known and not k.endswith("num_batches_tracked")]
    _complain(net, layout, state, theirs, wanted, missing, misshapen, extra)
    return Converted(result, layout, not new_head)


def convert_backbone(state: Mapping[str, Tensor], net: Net) -> Converted:
    """A classifier's `state` for a detector: all but what comes behind the last map, in either.

    Parameters
    ----------
    state
        As of `convert`.
    net
        A detector with the classifier's stem and blocks.

    Returns
    -------
    Converted
        Without a head.

    Raises
    ------
    UserError
        As of `convert`.
    """
    none = Head(0, norm=False, act="none", dropout=0.0, num_classes=0)
    bare = replace(net, name=net.name.removeprefix(DETECTOR), head=none)
    left_out = tuple(f"{module}." for module in head_modules(bare, recognise(state)))
    return convert({k: v for k, v in state.items() if not k.replace("/", ".").startswith(left_out)}, bare)


def export_state(state: Mapping[str, Tensor], net: Net, layout: str) -> dict[str, Tensor]:
    """Our state dict under another library's names.

    Parameters
    ----------
    state
        Of `make_network(net)`.
    net
        The network.
    layout
        "torchvision" or "timm".

    Returns
    -------
    dict
        What that library's `load_state_dict` takes.

    Raises
    ------
    UserError
        The library has no such network.
    """
    modules = module_names(net, layout)
    result = {}
    for ours, value in state.items():
        module, _, parameter = ours.rpartition(".")
        flat = layout == "torchvision" and ours == "hidden.0.weight"
        result[f"{modules[module]}.{parameter}"] = value.flatten(1) if flat else value
    return result


def _is_of_classes(key: str) -> bool:
    """Whether the number of classes decides this tensor's shape."""
    return key.startswith("classifier.") or ".classes.predict." in key


def adapt_stem(weight: Tensor, in_channels: int) -> Tensor:
    """A stem's weight (out, 3, k, k) for another number of input channels; (out, n, k, k)."""
    if weight.shape[1] == in_channels:
        return weight
    return weight.sum(1, keepdim=True).expand(-1, in_channels, -1, -1).clone() / in_channels


def read_h5(path: Path) -> dict[str, Tensor]:
    """Keras' weight file as {"layer/parameter": tensor}; V3's old names of layers become the new ones.

    Raises
    ------
    UserError
        h5py is not installed, or the file is not one of Keras' weight files with names of layers.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise MissingExtraError(f"{path}: reading it needs h5py; run: pip install 'mobilenets[keras]'") from None
    found: dict[str, Tensor] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and not name.startswith("optimizer_weights/"):
            found[name] = torch.from_numpy(item[()]).float()

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except OSError as error:
        raise ModelFileError(f"{path}: not a readable .h5 file ({error})") from error
    if any(name.rpartition("/")[0].endswith("/vars") for name in found):
        raise ModelFileError(
            f"{path}: this format of Keras 3 numbers layers instead of naming them; save as model.save('NAME.h5')"
        )
    slashed = any("BatchNorm" in name for name in found)
    return {_keras_name(name, slashed): value for name, value in found.items()}


def _keras_name(path: str, slashed: bool) -> str:
    """Layer and parameter of a data set in a Keras file.

    The path repeats the layer: "conv_pw_1/conv_pw_1/kernel:0". Published files of V3 are `slashed`, with names
    that Keras no longer allows: "expanded_conv/depthwise/BatchNorm/expanded_conv/…/gamma:0", "Conv/Conv/kernel:0".
    """
    *layer, parameter = path.removeprefix("model_weights/").removesuffix(":0").split("/")
    name = "_".join(layer[: (len(layer) + 1) // 2])
    return f"{name.lower().replace('batchnorm', 'bn') if slashed else name}/{parameter}"


@lru_cache(maxsize=16)  # a network is looked at twice, and where its name is sought all of them are
def _shapes(net: Net) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {k: v.shape for k, v in make_network(net).state_dict().items()}


def _keys(net: Net, layout: str, state: Mapping[str, Tensor]) -> dict[str, str]:
    """For each of our keys, the key in `layout`."""
    modules = module_names(net, layout)
    result = {}
    for ours in _shapes(net):
        module, _, parameter = ours.rpartition(".")
        if layout != "keras":
            result[ours] = f"{modules[module]}.{parameter}"
        elif parameter in _KERAS_PARAMETERS:
            names = [f"{modules[module]}/{p}" for p in _KERAS_PARAMETERS[parameter]]
            result[ours] = next((n for n in names if n in state), names[0])
    return result


def _classifier_keys(net: Net, layout: str) -> list[str]:
    """Keys of the classifier, also where `net` has none; a detector has no such thing."""
    module = module_names(net, layout).get("classifier", "classifier")
    return [f"{module}{end}" for end in (".weight", ".bias", "/kernel", "/bias")]


def _arranged(value: Tensor, ours: str, layout: str, shape: torch.Size) -> Tensor:
    """Axes in torch's order: Keras keeps height, width, in, out."""
    if layout == "keras" and value.ndim == 4:
        depthwise = value.shape[3] == 1 and len(shape) == 4 and shape[1] == 1
        value = value.permute(2, 3, 0, 1) if depthwise else value.permute(3, 2, 0, 1)
    elif layout == "keras" and value.ndim == 2:
        value = value.T
    # A layer after pooling is a linear layer to one and a 1×1 convolution to another: the same numbers.
    if value.ndim + len(shape) == 6 and value.shape[:2] == shape[:2]:
        value = value.reshape(shape) if value.numel() == shape.numel() else value
    if ours == "classifier.weight" and value.ndim == 4 and value.shape[2:] == (1, 1):
        value = value.flatten(1)
    return value.contiguous()


def _complain(
    net: Net,
    layout: str,
    state: Mapping[str, Tensor],
    theirs: dict[str, str],
    wanted: dict[str, torch.Size],
    missing: list[str],
    misshapen: list[str],
    extra: list[str],
) -> None:
    """One error that lists what does not fit, if anything."""
    shapes = [f"{theirs[k]} {tuple(state[theirs[k]].shape)} for {tuple(wanted[k])}" for k in misshapen]
    kinds = {"missing": [theirs[k] for k in missing], "unexpected": extra, "misshapen": shapes}
    misfits = []
    for kind, names in kinds.items():
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            misfits.append(f"{len(names)} {kind}: {', '.join(names[:SHOWN])}{more}")
    if misfits:
        what = f"{net.name} of width {net.width:g}, flavor {net.flavor}"
        raise ModelFileError(f"weights in {layout}'s layout do not fit {what}; {'; '.join(misfits)}")
