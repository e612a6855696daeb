"""The plan of a run: what was asked for, with everything that has been decided since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobilenets.preprocess import Preprocess
from mobilenets.training.recipe import Recipe
from mobilenets.training.settings import Settings, read_asked, write_config

CONFIG = "config.yaml"  # the plan, within a run folder


@dataclass(frozen=True)
class Plan:
    """What a run does. Every decision makes another plan of it, and the last one is the `config.yaml` that repeats it.

    `settings`: what is trained on what, `asked` as they came. `recipe`: how the weights are moved. `preprocess`: what
    the network sees of a photograph.
    """

    asked: Settings
    settings: Settings
    recipe: Recipe
    preprocess: Preprocess

    @property
    def is_open(self) -> bool:
        """Whether the run finds out by itself what it shows to the network and how much of it is trained."""
        return self.settings.recipe == "auto" and self.settings.seconds is not None

    @property
    def has_probe(self) -> bool:
        """Whether a linear head is fitted first: random features are worth none, and a trained run has its own."""
        is_trained = self.settings.from_run is not None and self.settings.recipe != "probe"
        return self.settings.pretrained is not None and not is_trained

    @property
    def has_loop(self) -> bool:
        """Whether the training loop follows."""
        return self.settings.recipe != "probe"

    def write(self, folder: Path) -> None:
        """Write it as the `config.yaml` of the run folder; what was asked for, also earlier, stays in it."""
        path = folder / CONFIG
        write_config(path, self.settings, self.recipe, asked={**self._decided(), **_asked_before(path)})

    def _decided(self) -> dict[str, Any]:
        """What was asked for where something else was decided on since, by setting."""
        return {name: value for name, value in asdict(self.asked).items() if value != getattr(self.settings, name)}


def _asked_before(config: Path) -> dict[str, Any]:
    return read_asked(config) if config.exists() else {}
