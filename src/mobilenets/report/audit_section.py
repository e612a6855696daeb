"""The report on the data: what an audit found, the worst of each kind with its photographs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from html import escape
from pathlib import Path

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.kinds import KINDS, Finding
from mobilenets.data.sample import Sample
from mobilenets.preprocess.depth import Range
from mobilenets.report.html import name
from mobilenets.report.thumbnails import thumbnail, where
from mobilenets.tasks.classify.predictions import written

_MOST = 3  # findings of a kind, and
_MOST_OF_GROUP = 2  # photographs of each: half a megabyte at most
_SIDE = 112  # pixels


def findings(audit: Audit) -> str:
    """What was found, kind by kind, to be unfolded; what was not; and the command that shows everything."""
    samples = {member.sample.path: member.sample for member in audit.members}
    found = [kind for kind in KINDS if audit.findings[kind]]
    clean = [KINDS[kind][0] for kind in audit.clean]
    split = [] if audit.val is None else ["--val", str(audit.val)]
    split += ["--seed", str(audit.seed)] if audit.seed else []
    command = shlex.join(["mobilenets", "audit", str(audit.data), *split, "--html", "audit.html"])
    notes = [f"{audit.files:,} photographs were looked at.", *audit.notes]
    return "\n".join(
        [
            '<h2 id="data">What the audit of the data found</h2>',
            f'<p class="quiet">{escape(" ".join(notes))}</p>',
            *(_kind(kind, audit.findings[kind], samples, audit.range) for kind in found),
            f"<p>Nothing found: {escape(', '.join(clean))}.</p>" if clean else "",
            f"<p>Everything, and which labels are likely wrong: <code>{escape(command)}</code></p>",
        ]
    )


def faults(audit: Audit) -> dict[str, list[str]]:
    """The titles of the kinds of every photograph that was found; keys are paths as predictions.csv has them."""
    result: dict[str, list[str]] = {}
    for kind, found in audit.findings.items():
        for path in {path for finding in found for path in finding.paths}:
            result.setdefault(written(path), []).append(KINDS[kind][0])
    return result


def _kind(kind: str, found: list[Finding], samples: Mapping[Path, Sample], value_range: Range | None) -> str:
    title, remedy = KINDS[kind]
    figures = "".join(_figure(finding, samples, value_range) for finding in found[:_MOST])
    worst = f" The worst {_MOST}:" if len(found) > _MOST else ""
    return (
        f"<details><summary><b>{len(found):,}</b> {escape(title)}</summary>"
        f'<p class="quiet">{escape(remedy[:1].upper() + remedy[1:])}.{worst}</p>'
        f'<div class="gallery">{figures}</div></details>'
    )


def _figure(finding: Finding, samples: Mapping[Path, Sample], value_range: Range | None) -> str:
    paths = finding.paths[:_MOST_OF_GROUP]
    photos = "".join(
        thumbnail(samples[path].open, _SIDE, where(path), value_range) for path in paths if path in samples
    )
    names = "<br>".join(name(where(path)) for path in paths)
    if len(finding.paths) > _MOST_OF_GROUP:
        names += f"<br>and {len(finding.paths) - _MOST_OF_GROUP:,} more"
    return (
        f'<figure class="finding">{f"""<div class="pair">{photos}</div>""" if photos else ""}'
        f'<figcaption>{escape(finding.why)}<br><span class="quiet">{names}</span></figcaption></figure>'
    )
