"""Faults of labels, as a task finds them or reading came upon them, as findings about files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobilenets.auditing.kinds import AuditFinding
from mobilenets.data.sample import Sample
from mobilenets.data.sources.survey import BoxFault
from mobilenets.tasks.task import Task


def label_findings(
    data: Path, task: Task[Any], texts: Sequence[str], samples: Sequence[Sample], drawn: Sequence[BoxFault], size: int
) -> Iterator[AuditFinding]:
    """What is wrong with the labels of `samples`, which number `texts`.

    `drawn`: what reading cut off or left out. `size`: pixels of a side of the network's input.
    """
    there = {sample.path for sample in samples}
    faults: dict[tuple[str, Path], list[BoxFault]] = {}
    for fault in drawn:
        if fault.path in there:
            faults.setdefault((fault.kind, fault.path), []).append(fault)
    for (kind, path), own in faults.items():
        whys = Counter(fault.why for fault in own)
        why = ", ".join(f"{name}{f' ({n} times)' if n > 1 else ''}" for name, n in sorted(whys.items())[:3])
        yield AuditFinding(kind, (path,), 1 - 1 / (1 + len(own)), why, {"boxes": [fault.corners for fault in own]})
    counts = np.bincount([sample.label for sample in samples], minlength=len(texts))
    of_label: dict[int, list[Path]] = {}
    for sample in samples:
        of_label.setdefault(sample.label, []).append(sample.path)
    numbers = sorted(of_label)  # texts of photos that were not looked at say nothing
    for found in task.label_faults([texts[k] for k in numbers], counts[numbers], size):
        paths = [data] if found.label is None else of_label[numbers[found.label]]
        for path in paths:
            yield AuditFinding(found.kind, (path,), found.score, found.why)
