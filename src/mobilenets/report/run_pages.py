"""The report of a run that has just come to its end, with all that its own model can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mobilenets.auditing.audit import Audit
from mobilenets.data.sample import Sample
from mobilenets.explaining.gradcam import Explainer, explains
from mobilenets.nn.io import read_network
from mobilenets.report.run_report import write_report
from mobilenets.runtime.autoselect import measure
from mobilenets.runtime.engines.onnxruntime import OnnxRuntimeEngine
from mobilenets.system.timing import Effort

# The report gives tenths of a millisecond, of this machine as it was then.
BRIEFLY = Effort(rounds=5, max_rounds=20, turn_s=0.02, min_calls=3, spread=0.1, max_s=0.5)


def report_run(folder: Path, images: Sequence[Sample], audit: Audit | None = None) -> None:
    """`write_report` with the model's heat on the photographs and its latency here.

    Parameters
    ----------
    folder
        A run with its model as `.safetensors` and `.onnx`.
    images
        Those of predictions.csv, row by row.
    audit
        Of the run's data.
    """
    network = read_network(folder / "model.safetensors")
    write_report(
        folder,
        Explainer(network) if explains(network.card) else None,
        latency_ms=_latency_ms(folder / "model.onnx"),
        images=images,
        audit=audit,
    )


def _latency_ms(path: Path) -> float:
    """What one picture takes on one thread: for the report only, as no second run would repeat it."""
    (estimate,) = measure([OnnxRuntimeEngine(path, threads=1)], effort=BRIEFLY)
    return estimate.ms
