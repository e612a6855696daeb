"""A trained run in use: what it is measured, predicted and exported with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobilenets.choices import Engine, Input, Precision, Split, Target
    from mobilenets.model_card import ModelCard
    from mobilenets.runtime.classifier import Classifier
    from mobilenets.system.progress import Report
    from mobilenets.verbs.evaluate import Evaluation
    from mobilenets.verbs.export import ExportResult


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) training: its folder, card and validation metrics.

    Examples
    --------
    >>> import mobilenets as mn
    >>> run = mn.train("photos", minutes=5)  # doctest: +SKIP
    >>> run.classifier().predict("rose.jpg").label  # doctest: +SKIP
    'rose'
    """

    path: Path
    card: ModelCard
    interrupted: bool = False

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return self.card.metrics

    def classifier(
        self, engine: Engine = "auto", threads: int | None = None, precision: Precision = "float32"
    ) -> Classifier:
        """The run as a `Classifier`, for answers that are classes; as `mobilenets.load`.

        Raises
        ------
        UsageError
            It answers another task.
        """
        from mobilenets.errors import UsageError
        from mobilenets.runtime.classifier import Classifier
        from mobilenets.runtime.opening import load

        found = load(self.path, engine, threads, precision)
        if not isinstance(found, Classifier):
            raise UsageError(f"{self.path}: answers {self.card.task!r}, not classes; use mobilenets.load")
        return found

    def evaluate(
        self,
        data: str | Path,
        *,
        split: Split | None = None,
        engine: Engine = "auto",
        precision: Precision = "float32",
        max_pixels: int | None = None,
        progress: Report | None = None,
    ) -> Evaluation:
        """How right the run is on photographs with known classes; as `mobilenets.evaluate`."""
        from mobilenets.verbs.evaluate import evaluate

        return evaluate(
            self.path,
            data,
            split=split,
            engine=engine,
            precision=precision,
            max_pixels=max_pixels,
            progress=progress,
        )

    def export(
        self,
        to: Target,
        *,
        out: str | Path | None = None,
        data: str | Path | None = None,
        input: Input = "cropped",
        int8: bool = False,
        half: bool = False,
        float_ends: bool = False,
        qat_minutes: float = 3.0,
        max_pixels: int | None = None,
        progress: Report | None = None,
    ) -> ExportResult:
        """The run as a file for another runtime; as `mobilenets.export`."""
        from mobilenets.verbs.export import export

        return export(
            self.path,
            to,
            out=out,
            data=data,
            input=input,
            int8=int8,
            half=half,
            float_ends=float_ends,
            qat_minutes=qat_minutes,
            max_pixels=max_pixels,
            progress=progress,
        )
