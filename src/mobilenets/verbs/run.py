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

    Attributes
    ----------
    path
        The run folder.
    card
        Network, classes, preprocess and metrics of what was trained.
    interrupted
        Whether it was stopped before its end; `train(out=path, resume=True)` goes on.

    Examples
    --------
    >>> import mobilenets as mn
    >>> run = mn.train("photos", minutes=5)  # doctest: +SKIP
    >>> run.classifier().predict("rose.jpg").label  # doctest: +SKIP
    'rose'

    One that was trained before, from its folder:

    >>> from pathlib import Path
    >>> from mobilenets.model_card import read_card
    >>> run = mn.Run(Path("runs/photos"), read_card(Path("runs/photos")))
    >>> run.metrics["classes"]
    ['daisy', 'rose', 'tulip']
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

        Parameters
        ----------
        engine
            What runs it; "auto": the fastest that is installed.
        threads
            Of the engine, 1 or more; None: one per core.
        precision
            "float32", "half", or "auto": half where that is faster here.

        Returns
        -------
        Classifier
            Opened, ready to predict.

        Raises
        ------
        UsageError
            It answers another task, or the engine does not run it.
        MissingExtraError
            The engine is not installed.

        Examples
        --------
        >>> from mobilenets.model_card import read_card
        >>> run = Run(Path("runs/photos"), read_card(Path("runs/photos")))
        >>> run.classifier("onnxruntime", threads=1).classes
        ('daisy', 'rose', 'tulip')
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
        """How right the run is on photos with known answers; as `mobilenets.evaluate`.

        Parameters
        ----------
        data, split, engine, precision, max_pixels, progress
            As there.

        Returns
        -------
        Evaluation
            With the photos that it was trained on kept apart.

        Raises
        ------
        UserError
            As there.

        Examples
        --------
        >>> from mobilenets.model_card import read_card
        >>> run = Run(Path("runs/photos"), read_card(Path("runs/photos")))
        >>> run.evaluate("photos", engine="onnxruntime").total
        18
        """
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
        allow_loss: bool = False,
        max_pixels: int | None = None,
        progress: Report | None = None,
    ) -> ExportResult:
        """The run as a file for another runtime; as `mobilenets.export`.

        Parameters
        ----------
        to, out, data, input, int8, half, float_ends, allow_loss, max_pixels, progress
            As there.

        Returns
        -------
        ExportResult
            The file, and how far it is from the network.

        Raises
        ------
        UserError
            As there.

        Examples
        --------
        >>> run = mn.train("photos", minutes=5)  # doctest: +SKIP
        >>> run.export("web").path  # doctest: +SKIP
        PosixPath('runs/photos/exports/web')
        """
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
            allow_loss=allow_loss,
            max_pixels=max_pixels,
            progress=progress,
        )
