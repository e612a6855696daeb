"""`mobilenets audit`: what is wrong with a data set, before it is trained on."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.arch import DEFAULT_NAME
from mobilenets.errors import UserError

if TYPE_CHECKING:
    from mobilenets.auditing.audit import Audit, Doubter
    from mobilenets.auditing.measure import FeatureExtractor


_WEIGHTS = "default"  # as for train
_SHOWN = 5  # findings of a kind on the terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", type=Path, metavar="DATA", help="class folders, train/ and val/, or a CSV")
    parser.add_argument("--json", action="store_true", help="print every finding as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with thumbnails")
    parser.add_argument(
        "--write-clean", type=Path, metavar="CSV", help="write the cleaned data set; no file is changed"
    )
    parser.add_argument(
        "--model", metavar="M", help=f"network that sees the pictures (default {DEFAULT_NAME}, or a file's)"
    )
    parser.add_argument(
        "--weights", metavar="TAG|PATH|none", help="its weights (default: the most accurate; none: files only)"
    )
    parser.add_argument("--size", type=int, metavar="PX", help="side of its input (default: that of the weights)")
    parser.add_argument("--val", metavar="FRACTION|DIR", help="as for train: what would validate (default 0.2)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="as for train: seed of the split (default 0)")


def run(args: argparse.Namespace) -> int:
    """Audit; 1 when some files could not be read."""
    from mobilenets.auditing.audit import audit
    from mobilenets.auditing.clean import check_files, write_clean
    from mobilenets.cli.train import fraction_or_folder
    from mobilenets.cli.writers import accept_any_text
    from mobilenets.data.overview import splits_overview
    from mobilenets.data.sources.read import read_named_splits
    from mobilenets.data.sources.survey import Survey
    from mobilenets.system.files import check_new_file, write_atomic

    if args.write_clean:
        check_new_file("--write-clean", args.write_clean, ".csv")
    if args.html:
        check_new_file("--html", args.html, ".html")
        try:  # before the work
            from mobilenets.report.audit_report import audit_page
        except ModuleNotFoundError as missing:
            raise UserError(f"--html needs {missing.name}; run: pip install 'mobilenets[audit]'") from None
    survey = Survey()
    classes, parts = read_named_splits(
        args.data, survey
    )  # what is wrong with the data is told before weights are fetched
    if args.write_clean:
        check_files(args.data, parts)
    extractor, doubter = _extractor_and_doubter(args)
    print(*splits_overview(classes, parts, survey), sep="\n", file=sys.stderr)
    val = None if args.val is None else fraction_or_folder(args.val)
    result = audit(args.data, val=val, seed=args.seed, extractor=extractor, doubter=doubter)
    accept_any_text()
    for note in result.notes:
        print(note, file=sys.stderr)
    if args.html:
        write_atomic(args.html, audit_page(result))
    print(json.dumps(result.to_dict(), ensure_ascii=False, indent=1) if args.json else "\n".join(_table(result)))
    if args.write_clean:
        cleaned = write_clean(result, args.write_clean)
        gone = ", ".join(f"{n} {reason}" for reason, n in cleaned.left_out.items()) or "nothing"
        print(f"{args.write_clean}: {cleaned.rows} pictures; left out: {gone}", file=sys.stderr)
    return 1 if result.findings["unreadable"] else 0


def _extractor_and_doubter(args: argparse.Namespace) -> tuple[FeatureExtractor | None, Doubter | None]:
    """What sees features and judges labels; nothing, and one line that says so, where the default is not at hand."""
    skipped = "labels and duplicates by features are not looked for"
    if args.weights == "none":
        return None, None
    try:
        from functools import partial

        from mobilenets.training.probe.features import feature_extractor
        from mobilenets.training.probe.label_errors import find_label_errors

        extractor = feature_extractor(args.model, args.weights or _WEIGHTS, args.size)
    except ModuleNotFoundError as missing:
        if args.model or args.weights:
            raise UserError(f"{missing.name} is not installed; run: pip install 'mobilenets[audit]'") from None
        print(f"{skipped}: {missing.name} is not installed; run: pip install 'mobilenets[audit]'", file=sys.stderr)
        return None, None
    except UserError as error:
        if args.model or args.weights or args.size:
            raise
        print(f"{skipped}: {' '.join(str(error).split())}", file=sys.stderr)
        return None, None
    return extractor, partial(find_label_errors, seed=args.seed)


def _table(result: Audit) -> list[str]:
    from mobilenets.auditing.kinds import KINDS

    base = _base(result)
    inside = "" if base == _folder(result) else f", in {base}"
    lines = [f"{result.files} pictures, {len(result.classes)} classes{inside}"]
    for kind, (title, remedy) in KINDS.items():
        findings = result.findings[kind]
        if not findings:
            continue
        lines += ["", f"{len(findings):6d}  {title}: {remedy}"]
        for finding in findings[:_SHOWN]:
            names = [_below(path, base) for path in finding.paths[:3]] + ["…"] * (len(finding.paths) > 3)
            lines.append(f"        {finding.score:.2f}  {'  '.join(names)}  ({finding.why})")
        if len(findings) > _SHOWN:
            lines.append(f"        and {len(findings) - _SHOWN} more: --json or --html")
    for title, kinds in (("nothing found", result.clean), ("not looked for", sorted(result.omitted))):
        if kinds:
            lines += ["", f"{title}: {', '.join(KINDS[kind][0] for kind in kinds)}"]
    return lines


def _folder(result: Audit) -> Path:
    return (result.data if result.data.is_dir() else result.data.parent).absolute()


def _base(result: Audit) -> Path:
    """The folder that names are relative to: DATA's, or where all that its CSV lists and the audit found lies."""
    folder = _folder(result)
    paths = [path.absolute() for found in result.findings.values() for finding in found for path in finding.paths]
    outside = [path.parent for path in paths if not path.is_relative_to(folder)]
    if not outside or len({path.anchor for path in outside}) > 1:  # on several drives nothing is common
        return folder
    return Path(os.path.commonpath(outside))


def _below(path: Path, base: Path) -> str:
    """The path as it is below `base`, where it is."""
    whole = path.absolute()
    return str(whole.relative_to(base)) if whole.is_relative_to(base) and whole != base else str(path)
