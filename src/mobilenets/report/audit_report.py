"""The audit as one HTML page with thumbnails, that can be sent to a colleague as it is."""

from __future__ import annotations

from mobilenets.auditing.audit import Audit
from mobilenets.auditing.kinds import KINDS
from mobilenets.report.findings import Bounds, found_kinds
from mobilenets.report.page import render

_BOUNDS = Bounds(findings=24, groups=12, of_group=4, side=160)  # a page of a few megabytes, however bad the data


def audit_page(audit: Audit) -> str:
    """The page; names are escaped, images are inline, nothing is loaded from anywhere."""
    kinds = found_kinds(audit, _BOUNDS)
    return render(
        "audit.html.j2",
        name=audit.data.resolve().name,
        audit=audit,
        kinds=kinds,
        total=sum(kind.count for kind in kinds),
        clean=[KINDS[kind][0] for kind in audit.clean],
        omitted=[KINDS[kind][0] for kind in sorted(audit.omitted)],
    )
