"""What an audit found, ready for a page: the worst of each kind with thumbnails, bounded whatever the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.kinds import KINDS, AuditFinding
from mobilenets.data.sample import Sample
from mobilenets.preprocess.depth import Range
from mobilenets.report.page import PageImage
from mobilenets.report.thumbnails import short_path, thumbnail


@dataclass(frozen=True)
class Bounds:
    """How much of each kind is shown: so many findings of single images or of groups, so many images of a group."""

    findings: int
    groups: int
    of_group: int
    side: int  # of a thumbnail, in pixels


@dataclass(frozen=True)
class ShownFinding:
    """One finding: why, how bad, its images, the short paths of its files, and how many more files it has."""

    why: str
    score: float
    images: list[PageImage]
    paths: list[str]
    more: int


@dataclass(frozen=True)
class ShownKind:
    """The findings of a kind: how many there are, the worst of them, and whether any is of several files."""

    key: str
    title: str
    remedy: str
    count: int
    shown: list[ShownFinding]
    is_grouped: bool


def found_kinds(audit: Audit, bounds: Bounds) -> list[ShownKind]:
    """The kinds that have findings, in the order of `KINDS`."""
    samples = {member.sample.path: member.sample for member in audit.members}
    result = []
    for kind, findings in audit.findings.items():
        title, remedy = KINDS[kind]
        if findings:
            grouped = any(len(finding.paths) > 1 for finding in findings)
            chosen = findings[: bounds.groups if grouped else bounds.findings]
            shown = [_shown(finding, samples, audit.range, bounds) for finding in chosen]
            result.append(ShownKind(kind, title, remedy, len(findings), shown, grouped))
    return result


def _shown(
    finding: AuditFinding, samples: Mapping[Path, Sample], value_range: Range | None, bounds: Bounds
) -> ShownFinding:
    paths = finding.paths[: bounds.of_group]
    images = [
        thumbnail(samples[path].open, bounds.side, short_path(path), value_range) for path in paths if path in samples
    ]
    more = len(finding.paths) - len(paths)
    return ShownFinding(finding.why, finding.score, images, [short_path(path) for path in paths], more)
