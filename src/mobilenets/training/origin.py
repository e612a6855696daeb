"""The run that a training goes on from: its network, the classes it knows, and the photographs it was trained on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mobilenets.data.manifest import EARLIER, Manifest, list_images, manifest_of
from mobilenets.data.match import some
from mobilenets.data.samples import Samples, Splits
from mobilenets.data.sources.read import read_named_splits
from mobilenets.data.sources.survey import count_text
from mobilenets.errors import DataError, ModelFileError, UsageError
from mobilenets.model_card import TRAINED_FROM, ModelCard, read_card
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.tiled import tile_side
from mobilenets.training.probe.head import Head, standardisation
from mobilenets.training.recipe import ProbeRecipe
from mobilenets.training.run_data import draw_splits, exists
from mobilenets.training.settings import Settings, read_config
from mobilenets.weights.kept import is_fine_tuned

log = logging.getLogger(__name__)

_STEPS = 200  # of L-BFGS, which ends sooner


@dataclass(frozen=True)
class Origin:
    """A finished run and the card of its model."""

    run: Path
    card: ModelCard

    @classmethod
    def open(cls, run: Path) -> Origin:
        """The run in a folder.

        Raises
        ------
        UserError
            There is none, or it is not finished.
        """
        if not (run / "config.yaml").is_file():
            raise ModelFileError(f"--from {run}: is no run folder; give one that 'mobilenets train' or 'search' wrote")
        if not (run / "metrics.json").exists() or not (run / "model.safetensors").exists():
            raise ModelFileError(
                f"--from {run}: is not finished; first go on with it: mobilenets train --resume --out {run}"
            )
        return cls(run, read_card(run / "model.safetensors"))

    @cached_property
    def manifest(self) -> Manifest:
        """The photographs of the run; of one older than `data.csv` its split is drawn anew, with a line that says so.

        Raises
        ------
        UserError
            It is not known what the run was trained on.
        """
        remedy = f"start from its weights alone with --weights {self.run / 'model.safetensors'}"
        known = manifest_of(self.run)
        if known is not None and not known.hashed.any():
            raise ModelFileError(
                f"--from {self.run}: was stopped before its photos were hashed; --resume it to its end"
            )
        if known is not None:
            return known
        settings, _ = read_config(self.run / "config.yaml")
        if not exists(Path(settings.data)):
            raise ModelFileError(
                f"--from {self.run}: what it was trained on is not known: it has no data.csv, and {settings.data} is "
                f"gone; {remedy}"
            )
        log.warning("%s: has no data.csv; its split is drawn anew from %s", self.run, settings.data)
        val = Path(settings.val) if isinstance(settings.val, str) else None
        return list_images(draw_splits(settings), Path(settings.data), val)

    def with_tiles(self, settings: Settings) -> Settings:
        """The settings with the run's own tiles: objects are then as large in them as its network knows them.

        Raises
        ------
        UserError
            Others are asked for.
        """
        side = tile_side(self.card)
        if settings.tile not in (None, side):
            seen = f"tiles of {side} pixels" if side else "whole photos"
            raise UsageError(f"--tile: {settings.tile}, and {self.run} was trained on {seen}; leave it out with --from")
        return replace(settings, tile=side)

    def check_classes(self, data: str, classes: tuple[str, ...]) -> None:
        """Refuse data that lacks some of the run's classes: what is not shown is forgotten.

        Raises
        ------
        UserError
            As said.
        """
        lost = sorted(set(self.card.classes) - set(classes))
        if lost:
            raise DataError(
                f"{data}: has no photos of {some(lost)}, which {self.run} knows; add some (there may be new "
                f"classes too), or start from its weights alone with --weights {self.run / 'model.safetensors'}"
            )

    def keep_splits(self, splits: Splits, settings: Settings) -> Splits:
        """`splits` with every photograph that the run knows on its side there: what it was trained on never validates.

        Where the data names its own validation photographs, those that the run was trained on are left out of them.

        Raises
        ------
        UserError
            None is left to validate on.
        """
        named = isinstance(settings.val, str) or "val" in read_named_splits(Path(settings.data))[1]
        known = [np.array(self.manifest.recognise(part), object) for part in (splits.train, splits.val, splits.test)]
        trained = [np.isin(part, ("train", EARLIER)) for part in known]
        train, val, test = splits.train, splits.val.take(~trained[1]), splits.test.take(~trained[2])
        lost = int(trained[1].sum() + trained[2].sum()) if named else int(trained[2].sum())
        if lost:
            what = "do not validate or test" if named else "do not test"
            log.info("%s: %s %s, as %s was trained on them", settings.data, count_text(lost), what, self.run)
        if not named:
            everything = Samples.joined([splits.train, splits.val])
            split = _with_groups(everything, np.concatenate(known[:2]))
            is_new = np.array([name is None for name in split], np.bool_)
            drawn = np.arange(len(everything)) >= len(splits.train)
            validates, tests = np.where(is_new, drawn, split == "val"), split == "test"
            train, val = everything.take(~validates & ~tests), everything.take(validates)
            test = Samples.joined([test, everything.take(tests)])
            known_count, new_count = count_text(int((~is_new).sum())), f"{int(is_new.sum()):,}"
            log.info("%s: %s known to %s keep their split, %s are new", settings.data, known_count, self.run, new_count)
        if len(val) == 0:
            raise DataError(
                f"{settings.data}: {self.run} was trained on all that could validate; add new photos, or --val DIR"
            )
        return replace(splits, train=train, val=val, test=test)

    def earlier(self, listed: Manifest) -> Manifest:
        """What the run was trained on that is not in `listed`: the weights know it all the same."""
        here, own = listed.split_of_content, self.manifest
        rows = [i for i in own.of("train", EARLIER).tolist() if own.content(i) not in here]
        return own.take(rows).relabelled(EARLIER)

    def prepare(self, model: MobileNet, classes: tuple[str, ...]) -> list[int]:
        """Give `model`, the run's network, outputs for `classes`, its own among them; returns the new ones' numbers."""
        first = self.card.net.num_classes - len(self.card.classes)  # a detector's background comes before its classes
        known = [classes.index(name) for name in self.card.classes]
        model.provenance |= self.card.provenance | {TRAINED_FROM: self.run.resolve().name}
        model.extend_classes([*range(first), *(first + k for k in known)], first + len(classes))
        return sorted(set(range(len(classes))) - set(known))

    @property
    def is_fine_tuned(self) -> bool:
        """Whether its features are of its own photographs, not of those that the published weights were made for."""
        return is_fine_tuned(self.run, self.card.metrics)


def _with_groups(samples: Samples, split: np.ndarray) -> np.ndarray:
    """`split` (N,) of what a run knows, None for others, where those of a group that it knows go with the group."""
    if samples.groups is None:
        return split
    of_group: dict[str, str] = {}
    for sample, name in zip(samples, split, strict=True):
        if sample.group is not None and name is not None and of_group.get(sample.group) not in ("train", EARLIER):
            of_group[sample.group] = name
    with_group = [
        of_group.get(sample.group) if name is None and sample.group is not None else name
        for sample, name in zip(samples, split, strict=True)
    ]
    return np.array(with_group, object)


def fit_rows(head: Head, x: np.ndarray, y: np.ndarray, new: list[int]) -> Head:
    """`head` with the rows of `new` classes fitted to features `x` float32 (N, D) of classes `y` int (N,).

    The other rows stay, bit for bit: a regularised logistic regression against the logits that they give.
    """
    mean, std = standardisation(x)
    z = torch.from_numpy((x - mean) / std).double()
    fixed = torch.from_numpy(x @ head.weight.T + head.bias).double()
    weight = torch.zeros(len(new), x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(new), dtype=torch.float64, requires_grad=True)
    target, columns = torch.from_numpy(y), torch.tensor(new)
    strengths = ProbeRecipe().strengths
    strength = strengths[len(strengths) // 2]
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = fixed.index_copy(1, columns, z @ weight.T + bias)
        loss = strength * F.cross_entropy(logits, target, reduction="sum") + weight.square().sum() / 2
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch: untyped
    rows = (weight.detach().numpy() / std).astype(np.float32)
    result = Head(head.weight.copy(), head.bias.copy(), head.strength)
    result.weight[new] = rows
    result.bias[new] = (bias.detach().numpy() - rows @ mean).astype(np.float32)
    return result
