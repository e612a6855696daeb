"""The report on confidence: whether it can be believed, and what answering only when sure would bring."""

from __future__ import annotations

from mobilenets.report.charts import coverage_chart, reliability_chart
from mobilenets.report.html import percent, table
from mobilenets.tasks.classify.calibration import calibrate, coverage, reliability, threshold_for
from mobilenets.tasks.classify.predictions import Predictions

_PRECISIONS = (0.9, 0.95, 0.99)


def sureness(accuracy: float, predictions: Predictions) -> str:
    """Reliability, temperature, coverage, and thresholds for shares of right answers above the `accuracy`."""
    probabilities, labels = predictions.probabilities, predictions.labels
    result, curve = calibrate(probabilities, labels), coverage(probabilities, labels)
    said = f"The calibration error is {percent(result.before)}."
    if result.temperature is not None and result.after is not None:
        side = "too sure" if result.temperature > 1 else "not sure enough"
        said += (
            f" With temperature scaling it is {percent(result.after)}, each photograph scaled by a temperature fitted "
            f"on the half it is not in. Fitted on all, the temperature is {result.temperature:.2f}: it is {side}. "
            "The probabilities of model.onnx are as they were; divide their logarithms by it and normalise."
        )
    rows = []
    for precision in _PRECISIONS:
        found = threshold_for(curve, precision) if precision > accuracy else None
        if found:
            rows.append((f"{100 * precision:.0f} %", percent(found[0]), percent(found[1])))
    header = ("for this share of right answers", "answer when at least so sure", "answers this share")
    parts = [
        "<h2>How sure it is</h2>",
        f"<p>{said}</p>",
        f'<div class="charts">{reliability_chart(reliability(probabilities, labels))}{coverage_chart(curve)}</div>',
    ]
    if rows:
        parts.append("<h3>Answering only when sure</h3>")
        parts.append(table(header, rows, 2))
        parts.append('<p class="quiet">Chosen on these photographs, so a little flattering for new ones.</p>')
    return "\n".join(parts)
