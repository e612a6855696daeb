"""What can be wrong with sets of labels that can be learned from: labels of few photos, and photos without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mobilenets.tasks.label_fault import LabelFault, few
from mobilenets.tasks.multilabel.metrics import ENOUGH_POSITIVES
from mobilenets.tasks.multilabel.targets import names_of
from mobilenets.tasks.task import Labels

RARE, NO_LABELS = "label_few", "no_labels"
KINDS = (RARE, NO_LABELS)
# What is said of classes, of which a photo has one: how their numbers compare, and which one it looks like.
LEFT_OUT = ("imbalance", "likely_mislabelled")


def faults(texts: Sequence[str], counts: Labels) -> Iterator[LabelFault]:
    """What is wrong with V label texts, of which `counts` (V,) photos each have one.

    Examples
    --------
    >>> [(fault.kind, fault.label, fault.why) for fault in faults(["cat|dog", "dog", "|"], [5, 30, 2])]
    [('no_labels', 2, 'no label is given'), ('label_few', None, 'cat: 5 photos')]
    """
    number: Counter[str] = Counter()
    for k, text in enumerate(texts):
        number.update(dict.fromkeys(names_of(text), int(counts[k])))
        if not names_of(text):
            yield LabelFault(NO_LABELS, k, 0.5, "no label is given")
    yield from few(RARE, number, ENOUGH_POSITIVES, "photo", "photos")


def shown(text: str) -> str:
    """The labels of a label text, in words.

    Examples
    --------
    >>> shown("cat|dog"), shown("|")
    ('cat, dog', 'no label')
    """
    return ", ".join(names_of(text)) or "no label"
