"""`mobilenets audit`: what is wrong with a data set, before it is trained on."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenets.arch import DEFAULT_NAME
from mobilenets.cli.options import MAX_PIXELS, SEED, call, fraction_or_folder
from mobilenets.system.malloc import keep_freed_memory

if TYPE_CHECKING:
    from mobilenets.auditing.audit import Audit


_SHOWN = 5  # findings of a kind on the terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="class folders, train/ and val/, .csv, .tar, .parquet, boxes"
    )
    shown = parser.add_argument_group("what is written")
    shown.add_argument("--json", action="store_true", help="print every finding as JSON")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write a page with thumbnails")
    shown.add_argument("--write-clean", type=Path, metavar="CSV", help="write the cleaned data set; no file is changed")
    seen = parser.add_argument_group("what sees the photos")
    seen.add_argument(
        "--model", metavar="M", help=f"network that sees the photos (default {DEFAULT_NAME}, or a file's)"
    )
    seen.add_argument(
        "--weights", metavar="TAG|PATH|none", help="its weights (default: the most accurate; none: files only)"
    )
    seen.add_argument("--size", type=int, metavar="PX", help="side of its input (default: that of the weights)")
    seen.add_argument("--max-pixels", **MAX_PIXELS)
    split = parser.add_argument_group("how unsplit data would be split")
    split.add_argument(
        "--val",
        type=fraction_or_folder,
        metavar="FRACTION|DIR",
        help="as for train: what would validate (default 0.2)",
    )
    split.add_argument("--seed", **SEED, help="as for train: seed of the split (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Audit; 1 when some files could not be read."""
    from mobilenets.cli.writers import accept_any_text
    from mobilenets.verbs.audit import audit

    keep_freed_memory()
    result = call(audit, args)
    accept_any_text()
    print(json.dumps(result.to_dict(), ensure_ascii=False, indent=1) if args.json else "\n".join(_table(result)))
    return 1 if result.findings["unreadable"] else 0


def _table(result: Audit) -> list[str]:
    from mobilenets.auditing.kinds import KINDS
    from mobilenets.model_card import MULTILABEL

    base = _base(result)
    inside = "" if base == _folder(result) else f", in {base}"
    what = "label" if result.task == MULTILABEL else "class"
    count = len(result.classes)
    known = f"1 {what}" if count == 1 else f"{count} {what}{'s' if what == 'label' else 'es'}"
    lines = [f"{result.files} photos, {known}{inside}"]
    for kind, findings in result.findings.items():
        title, remedy = KINDS[kind]
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
