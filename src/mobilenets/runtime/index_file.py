"""The index of training photos that lies beside a model file."""

from __future__ import annotations

from pathlib import Path

from mobilenets.errors import ModelFileError
from mobilenets.features.index import FILE, FeatureIndex, read_index
from mobilenets.model_card import ModelCard
from mobilenets.tasks import task_of


def find_index(model: Path, card: ModelCard) -> FeatureIndex | None:
    """The index that lies beside the file of a model with this `card`, or in its run folder; None: there is none.

    Raises
    ------
    ModelFileError
        It is damaged, or that of another network.
    """
    path = (model if model.is_dir() and model.suffix != ".mlpackage" else model.parent) / FILE
    return read_index(path, card, task_of(card).num_strata(card.classes)) if path.is_file() else None


def need_index(model: Path, card: ModelCard) -> FeatureIndex:
    """As `find_index`, for what cannot do without.

    Raises
    ------
    ModelFileError
        There is none, or a damaged one.
    """
    index = find_index(model, card)
    if index is None and not task_of(card).tells_unknown:
        only = "only models for classes or labels keep an index of their photos; use one, or for 'similar' --among"
        raise ModelFileError(f"{model}: answers {card.task!r}, and {only}")
    if index is None:
        raise ModelFileError(f"{model}: has no {FILE} beside it, so nothing tells what is unknown; train again")
    return index
