"""What a training learns: a task, and the label texts of its photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mobilenets.tasks.classify import Classify
from mobilenets.tasks.task import Labels, Outputs, Task


@dataclass(frozen=True)
class Objective:
    """A task and the label texts that labels number.

    Parameters
    ----------
    task
        What photographs are asked.
    texts
        Of classes their names, in the order of the outputs.

    Examples
    --------
    >>> Objective.classification(("daisy", "rose")).width
    2
    """

    task: Task[Any]
    texts: tuple[str, ...]

    @classmethod
    def classification(cls, classes: tuple[str, ...]) -> Objective:
        """One of these classes for each photograph."""
        return cls(Classify(), classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names for the model card."""
        return self.task.classes(self.texts)

    @property
    def width(self) -> int:
        """Outputs of the network."""
        return self.task.width(self.classes)

    def validation_figures(self, outputs: Outputs, labels: Labels) -> dict[str, float]:
        """The figures that weights are chosen by: `val_` and the task's quality, and `val_loss`."""
        loss, quality = self.task.validate(outputs, labels, self.texts)
        return {f"val_{self.task.quality}": quality, "val_loss": loss}

    def better(self, figures: dict[str, float], best: dict[str, float]) -> bool:
        """Whether `figures` are of higher quality than `best` ({}: none yet); of equal quality, of lower loss."""
        if not best:
            return True
        name = f"val_{self.task.quality}"
        return (figures[name], -figures["val_loss"]) > (best[name], -best["val_loss"])
