"""The report on the data: what an audit found, the worst of each kind with its photos."""

from __future__ import annotations

from dataclasses import dataclass

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.kinds import KINDS
from mobilenets.report.findings import Bounds, ShownKind, found_kinds
from mobilenets.tasks.classify.predictions import path_text

_BOUNDS = Bounds(findings=3, groups=3, of_group=2, side=112)  # half a megabyte at most


@dataclass(frozen=True)
class AuditSection:
    """What was found, kind by kind; what was not; and the command that shows everything."""

    files: int
    notes: tuple[str, ...]
    kinds: list[ShownKind]
    clean: list[str]
    command: list[str]


def audit_section(audit: Audit) -> AuditSection:
    """The section; its command splits the data as the run did."""
    split = [] if audit.val is None else ["--val", str(audit.val)]
    split += ["--seed", str(audit.seed)] if audit.seed else []
    command = ["mobilenets", "audit", str(audit.data), *split, "--html", "audit.html"]
    clean = [KINDS[kind][0] for kind in audit.clean]
    return AuditSection(audit.files, audit.notes, found_kinds(audit, _BOUNDS), clean, command)


def faults_by_path(audit: Audit) -> dict[str, list[str]]:
    """The titles of the kinds of every photo that was found; keys are paths as predictions.csv has them."""
    result: dict[str, list[str]] = {}
    for kind, found in audit.findings.items():
        for path in {path for finding in found for path in finding.paths}:
            result.setdefault(path_text(path), []).append(KINDS[kind][0])
    return result
