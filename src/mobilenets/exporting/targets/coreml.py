"""Core ML (`.mlpackage`): for Apple's systems, an image in, its class, probabilities and what they are made of out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mobilenets.errors import ModelFileError
from mobilenets.exporting.deploy import deployed, example_planes, file_card, names_given
from mobilenets.exporting.quiet import silent
from mobilenets.model_card import METADATA_KEY, OUTSIDE, ModelCard
from mobilenets.nn.model import MobileNet
from mobilenets.tasks import task_of

with silent():
    import coremltools

LABEL = "classLabel"  # what Core ML calls the most probable class


def export_coreml(model: MobileNet, card: ModelCard, path: Path) -> None:
    """Write an ML program in float32 for iOS 15 / macOS 12 and later; the card is user-defined metadata.

    Raises
    ------
    UserError
        What was written does not describe this network.
    """
    _export(model, card, path, coremltools.precision.FLOAT32)


def export_half_coreml(model: MobileNet, card: ModelCard, path: Path) -> None:
    """As `export_coreml`, weights and activations in float16, as the Neural Engine and GPUs compute."""
    _export(model, card, path, coremltools.precision.FLOAT16)


def _export(model: MobileNet, card: ModelCard, path: Path, precision: Any) -> None:
    preprocess = card.preprocess
    planes = example_planes(preprocess)
    layout = coremltools.colorlayout.RGB if preprocess.mode == "RGB" else coremltools.colorlayout.GRAYSCALE
    with silent():
        # Not by way of TorchScript: with numpy 2.4 the converter fails on its integers.
        program = torch.export.export(deployed(model, card).from_planes, (planes,)).run_decompositions({})
        given = dict(zip(names_given(card), program.graph_signature.user_outputs, strict=True))
        classes = None
        if card.classes and task_of(card).ends(card)[0].shape == (len(card.classes),):
            answers = given.pop(task_of(card).outputs[0])
            classes = coremltools.ClassifierConfig(list(card.classes), predicted_probabilities_output=answers)
        package = coremltools.convert(
            program,
            convert_to="mlprogram",
            inputs=[coremltools.ImageType(name="image", shape=planes.shape, color_layout=layout)],
            classifier_config=classes,
            compute_precision=precision,
            minimum_deployment_target=coremltools.target.iOS15,
        )
        spec = package.get_spec()
        for name, made in given.items():  # it takes no names beside those of classes
            coremltools.utils.rename_feature(spec, made, name)
        package = coremltools.models.MLModel(spec, weights_dir=package.weights_dir, skip_model_load=True)
        package.short_description = f"{card.name}: {f'{len(card.classes)} classes' if card.classes else card.task}"
        package.user_defined_metadata[METADATA_KEY] = file_card(card, nms=OUTSIDE).to_json()
        package.save(str(path))
        description = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
    _check(path, card, description, {*given, *([LABEL] if classes else [])})


def _check(path: Path, card: ModelCard, description: Any, outputs: set[str]) -> None:
    """What can be checked where Core ML does not run: the picture it takes, its outputs, the card."""
    image = description.input[0].type.imageType
    sides = (image.width, image.height)
    metadata = dict(description.metadata.userDefined)
    named = {end.name for end in description.output} >= outputs
    described = metadata.get(METADATA_KEY) == file_card(card, nms=OUTSIDE).to_json()
    if sides != (card.preprocess.size,) * 2 or not described or not named:
        raise ModelFileError(f"{path}: the package does not describe this network; this coremltools cannot convert it")
