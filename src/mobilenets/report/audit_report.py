"""The audit as one HTML page with thumbnails, that can be sent to a colleague as it is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.kinds import KINDS, Finding
from mobilenets.data.sample import Sample
from mobilenets.preprocess.depth import Range
from mobilenets.report.html import name as isolated
from mobilenets.report.thumbnails import thumbnail, where

# What bounds the page to a few megabytes, however bad the data.
_MOST_FINDINGS = 24
_MOST_GROUPS = 12
_MOST_OF_GROUP = 4
_THUMBNAIL = 160  # pixels

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --quiet: #5a6068; --paper: #f6f7f8; --card: #fff; --line: #dfe2e6;
  --accent: #0b57d0; --worst: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --quiet: #a3a9b2; --paper: #14161a; --card: #1e2126;
  --line: #34393f; --accent: #8ab4f8; --worst: #f2b8b5 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 76em; padding: 2em clamp(1em, 4vw, 3em) }
h1 { font-size: 1.7em; line-height: 1.25; margin: 0 0 .2em; overflow-wrap: anywhere }
h2 { font-size: 1.2em; margin: 0 } h2 .count { color: var(--quiet); font-weight: 400; margin-left: .3em }
a { color: var(--accent) } .quiet { color: var(--quiet) } p { margin: .2em 0 .8em }
nav ul { display: flex; flex-wrap: wrap; gap: .5em; padding: 0; margin: 1.2em 0 2em; list-style: none }
nav a { display: block; padding: .35em .8em; border: 1px solid var(--line); border-radius: 2em; background: var(--card);
  text-decoration: none } nav b { font-variant-numeric: tabular-nums }
section { margin: 0 0 2.4em; scroll-margin-top: 1em }
.cards { display: grid; gap: .8em; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); padding: 0; margin: 0;
  list-style: none } .cards.groups { grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)) }
.cards > li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden;
  font-size: 13px; line-height: 1.4 }
.shots { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 2px; background: var(--line) }
.shots img, .absent { display: block; width: 100%; height: 150px; object-fit: contain; background: var(--paper) }
.absent { display: grid; place-items: center; color: var(--quiet) }
.text { padding: .55em .7em .7em; overflow-wrap: anywhere } .text div { margin-top: .2em }
meter { width: 100%; height: .7em } meter::-webkit-meter-optimum-value { background: var(--accent) }
"""


def page(audit: Audit) -> str:
    """The page; names are escaped, pictures are inline, nothing is loaded from anywhere."""
    found = [kind for kind in KINDS if audit.findings[kind]]
    samples = {member.sample.path: member.sample for member in audit.members}
    name = escape(audit.data.resolve().name)
    clean, omitted = (", ".join(KINDS[kind][0] for kind in kinds) for kinds in (audit.clean, sorted(audit.omitted)))
    total = sum(len(audit.findings[kind]) for kind in found)
    parts = [
        f"<h1>Audit of <bdi>{name}</bdi></h1>",
        f'<p class="quiet">{audit.files:,} pictures, {len(audit.classes):,} classes, {total:,} findings</p>',
        *(f'<p class="quiet"><bdi>{escape(note)}</bdi></p>' for note in audit.notes),
        _links(audit, found) if found else "",
        *(_section(kind, audit.findings[kind], samples, audit.range) for kind in found),
        f'<p class="quiet">Nothing found: {escape(clean)}.</p>' if clean else "",
        f'<p class="quiet">Not looked for: {escape(omitted)}.</p>' if omitted else "",
    ]
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of {name}</title>\n<style>{_STYLE}</style>"
    )
    body = "\n".join(filter(None, parts))
    text = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body><main>\n{body}\n</main></body>\n</html>\n'
    )
    return text.encode(errors="backslashreplace").decode()  # a file name need not be text


def _links(audit: Audit, found: list[str]) -> str:
    items = (f'<li><a href="#{k}">{escape(KINDS[k][0])} <b>{len(audit.findings[k]):,}</b></a></li>' for k in found)
    return f'<nav aria-label="kinds of findings"><ul>{"".join(items)}</ul></nav>'


def _section(kind: str, findings: list[Finding], samples: Mapping[Path, Sample], value_range: Range | None) -> str:
    title, remedy = KINDS[kind]
    groups = any(len(finding.paths) > 1 for finding in findings)
    shown = findings[: _MOST_GROUPS if groups else _MOST_FINDINGS]
    more = len(findings) - len(shown)
    return "\n".join(
        [
            f'<section id="{kind}" aria-labelledby="{kind}-title">',
            f'<h2 id="{kind}-title">{escape(title.capitalize())}<span class="count">{len(findings):,}</span></h2>',
            f'<p class="quiet">{escape(remedy)}</p>',
            f'<ul class="cards{" groups" if groups else ""}">',
            *(_card(finding, samples, value_range) for finding in shown),
            "</ul>",
            f'<p class="quiet">and {more:,} more, of lower score: mobilenets audit --json</p>' if more else "",
            "</section>",
        ]
    )


def _card(finding: Finding, samples: Mapping[Path, Sample], value_range: Range | None) -> str:
    shown = finding.paths[:_MOST_OF_GROUP]
    shots = "".join(
        thumbnail(samples[path].open, _THUMBNAIL, where(path), value_range) for path in shown if path in samples
    )
    names = [f"<div>{isolated(where(path))}</div>" for path in shown]
    if len(finding.paths) > _MOST_OF_GROUP:
        names.append(f"<div>and {len(finding.paths) - _MOST_OF_GROUP} more</div>")
    return (
        f'<li>{f"""<div class="shots">{shots}</div>""" if shots else ""}<div class="text"><b>{escape(finding.why)}</b>'
        f'<meter value="{finding.score:.3f}" aria-label="score">{finding.score:.2f}</meter>'
        f'<div class="quiet">{"".join(names)}</div></div></li>'
    )
