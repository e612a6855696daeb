"""The words that options take, each written once: as types for editors, as tuples (`values`) for the command line."""

from __future__ import annotations

from typing import Any, Literal, get_args

Engine = Literal["auto", "onnxruntime", "openvino", "torch", "executorch", "litert", "ncnn"]
BenchEngine = Literal["onnxruntime", "openvino", "torch", "executorch", "litert", "ncnn"]
SearchEngine = Literal["onnxruntime", "openvino"]
Precision = Literal["float32", "half", "auto"]
Split = Literal["train", "val", "test"]
Target = Literal["onnx", "openvino", "executorch", "litert", "coreml", "ncnn", "torch", "web"]
Input = Literal["cropped", "full"]
Method = Literal["netadapt", "evolve"]
RecipeName = Literal["auto", "probe", "finetune", "scratch"]
TrainPrecision = Literal["auto", "fp32", "bf16"]
Fit = Literal["crop", "pad", "squash", "auto"]
Cache = Literal["auto", "ram", "disk", "off"]
Rare = Literal["keep", "drop", "refuse"]
Balance = Literal["none", "sampler", "loss"]
Flavor = Literal["torchvision", "timm", "tf"]
Demo = Literal["classify", "detect"]
DataSet = Literal["flowers"]
PartFormat = Literal["parquet", "jsonl"]  # of what `predict --ray` writes


def values(literal: Any) -> tuple[str, ...]:
    """The words of one of these types."""
    return get_args(literal)
