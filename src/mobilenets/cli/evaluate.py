"""`mobilenets evaluate`: how right a model is on photographs with known classes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenets.cli import precision
from mobilenets.system.terminal import table

if TYPE_CHECKING:
    from mobilenets.data.sample import Samples
    from mobilenets.report.unseen import Figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="run folder, .onnx, .safetensors or published name")
    parser.add_argument("data", type=Path, metavar="DATA", help="class folders, train/val folders, or a CSV")
    parser.add_argument(
        "--split", choices=("train", "val", "test"), help="which part of split data (default: test, else val)"
    )
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="E",
        help="onnxruntime, openvino, torch, executorch, litert or ncnn (default auto: the fastest)",
    )
    parser.add_argument("--precision", **precision.OPTIONS)
    parser.add_argument("--json", action="store_true", help="print metrics as JSON")


def run(args: argparse.Namespace) -> int:
    """Evaluate; 1 when some photographs could not be read, or the run was trained on all of them."""
    import numpy as np

    from mobilenets.cli.model_argument import open_model
    from mobilenets.cli.writers import accept_any_text
    from mobilenets.data.sources.read import read_samples
    from mobilenets.data.sources.survey import Survey
    from mobilenets.errors import UserError
    from mobilenets.report.unseen import keep_apart
    from mobilenets.runtime.classifier import Failure
    from mobilenets.system.progress import Progress
    from mobilenets.tasks.classify.metrics import score

    classifier = open_model(args.model, args.engine, precision=args.precision)
    survey = Survey()
    classes, samples = read_samples(args.data, classifier.classes, args.split, survey)
    for line in survey.lines():
        print(line, file=sys.stderr)
    known = _splits(args.model, samples)
    rows: list[Any] = []
    shown: list[int] = []
    failures = 0
    with Progress("evaluating", len(samples), "photograph") as progress:
        results = classifier.rows(sample.open() for sample in samples)
        for i, (_, row) in enumerate(results):
            progress.advance()
            if isinstance(row, Failure):
                print(row.error, file=sys.stderr)
                failures += 1
            else:
                rows.append(row)
                shown.append(i)
    if not rows:
        raise UserError(f"{args.data}: none of its {len(samples)} photographs can be read")
    accept_any_text()
    probabilities, labels = np.stack(rows), samples.labels[shown]
    if known is None:
        metrics = score(probabilities, labels, classes)
        lines, all_trained = _table(metrics), False
    else:
        figures = keep_apart(probabilities, labels, classes, [known[i] for i in shown])
        metrics, lines, all_trained = figures.to_dict(), _apart(args.model, figures), figures.unseen is None
    print(json.dumps(metrics, ensure_ascii=False, indent=2) if args.json else "\n".join(lines))
    if all_trained:
        print(
            f"{args.model} was trained on all of these photographs; give others to see what it is worth",
            file=sys.stderr,
        )
    if failures:
        print(f"{failures} of {len(samples)} could not be read", file=sys.stderr)
    return 1 if failures or all_trained else 0


def _splits(model: str, samples: Samples) -> list[str | None] | None:
    """The split that each photograph has in the run of MODEL, None where it has none; None of what is no run."""
    from mobilenets.data.manifest import manifest_of, run_of

    run = run_of(Path(model)) if Path(model).exists() else None
    manifest = manifest_of(run) if run is not None else None
    if manifest is None:
        return None
    if not manifest.hashed.any():
        print(
            f"{run}: was stopped before its photographs were hashed: which of these it was trained on is not known",
            file=sys.stderr,
        )
        return None
    return manifest.recognise(samples)


def _apart(model: str, figures: Figures) -> list[str]:
    """The table for people, of what the run was not trained on, and what is to be known of the others."""
    trained, validated = figures.trained, figures.validated
    if figures.unseen is None:
        assert trained is not None  # there was a photograph
        heading = f"Trained on all of them: how well {model} remembers, not how well it does on new photographs."
        return [heading, "", *_table(trained)]
    lines = _table(figures.unseen)
    if trained is not None:
        lines[0] += f"   (not trained on; {trained['n']} others were)"
    lines.append("")
    if validated is not None:
        which = "They" if validated["n"] == figures.unseen["n"] else f"{validated['n']} of them"
        lines.append(f"{which} validated the run, and so chose what was kept: expect a little less of new ones.")
    lines.append(
        f"trained on         {trained['n']}, accuracy {trained['accuracy']:.4f}, not counted above"
        if trained is not None
        else "trained on         0"
    )
    return lines


def _table(metrics: dict[str, Any]) -> list[str]:
    low, high = metrics["accuracy_ci95"]
    figures = [
        ("photographs", str(metrics["n"])),
        ("accuracy", f"{metrics['accuracy']:.4f}   (95 % interval {low:.4f} to {high:.4f})"),
        ("balanced accuracy", f"{metrics['balanced_accuracy']:.4f}"),
        ("macro F1", f"{metrics['macro_f1']:.4f}"),
    ]
    for name, key in (("top-5", "top5"), ("AUROC", "auroc")):
        if metrics.get(key) is not None:
            figures.append((name, f"{metrics[key]:.4f}"))
    figures += [("log loss", f"{metrics['log_loss']:.4f}"), ("calibration error", f"{metrics['ece']:.4f}")]
    classes = [("class", "precision", "recall", "F1", f"{'n':>6}")]
    for name, row in metrics["per_class"].items():
        if row["n"]:
            classes.append((name, *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), str(row["n"])))
    pairs = [
        (count, truth, answer)
        for truth, counts in zip(metrics["classes"], metrics["confusion"], strict=True)
        for answer, count in zip(metrics["classes"], counts, strict=True)
        if truth != answer and count
    ]
    confusions = [f"{count:6d}  {truth} → {answer}" for count, truth, answer in sorted(pairs, reverse=True)[:10]]
    return [
        *table(figures, "l"),
        "",
        *table(classes, "lr"),
        "",
        "most frequent confusions (truth → answer)",
        *(confusions or ["     none"]),
    ]
