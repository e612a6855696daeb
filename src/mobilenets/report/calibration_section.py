"""The report on confidence: whether it can be believed, and what answering only when sure would bring."""

from __future__ import annotations

from dataclasses import dataclass

from mobilenets.report.charts import Chart, coverage_chart, reliability_chart
from mobilenets.tasks.classify.calibration import TemperatureScaling, calibrate, coverage, reliability, threshold_for
from mobilenets.tasks.classify.predictions import Predictions

_PRECISIONS = (0.9, 0.95, 0.99)


@dataclass(frozen=True)
class CalibrationSection:
    """Reliability and coverage drawn, the temperature, and a (precision, threshold, coverage) for each precision."""

    scaling: TemperatureScaling
    charts: list[Chart]
    thresholds: list[tuple[float, float, float]]


def calibration_section(accuracy: float, predictions: Predictions) -> CalibrationSection:
    """The section; thresholds are for precisions above the `accuracy` only."""
    probabilities, labels = predictions.probabilities, predictions.labels
    curve = coverage(probabilities, labels)
    charts = [reliability_chart(reliability(probabilities, labels)), coverage_chart(curve)]
    thresholds = []
    for precision in _PRECISIONS:
        found = threshold_for(curve, precision) if precision > accuracy else None
        if found:
            thresholds.append((precision, *found))
    return CalibrationSection(calibrate(probabilities, labels), charts, thresholds)
