"""The kinds of faults, what a finding is, and the limits that make one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobilenets.tasks.task import Task

# kind -> what it is called, and what to do about it; in the order they are shown.
KINDS: dict[str, tuple[str, str]] = {
    "unreadable": ("unreadable", "left out of training; copy them again from where they came"),
    "wrong_suffix": ("wrong suffix", "the name says another format than the content; rename them"),
    "exact_duplicate": ("exact duplicates", "the same pixels more than once; keep one"),
    "near_duplicate": ("near duplicates", "near-identical shots; keep one, or give them one group"),
    "duplicate_across_classes": (
        "duplicates across classes",
        "the same photo with two labels; decide which is right",
    ),
    "leak": ("leaks", "near-identical shots in training and validation: the score would be too good"),
    "likely_mislabelled": ("likely wrong labels", "look at them; --write-clean keeps them as they are"),
    "tiny": ("tiny", "far fewer pixels than the others; replace them by larger versions"),
    "blank": ("blank", "one flat tone; delete them"),
    "dark": ("dark", "hardly any light beside the others; expose again, or brighten"),
    "blurred": ("blurred", "unsharper than the others at the size a network sees"),
    "cropped": ("cropped", "what the centre crop of training hides; train with --fit pad"),
    "odd_aspect": ("odd aspect ratios", "much longer than the others: the centre crop misses most; crop them"),
    "few_levels": (
        "few grey levels",
        "the data fills little of what it is stored in; --range says black and white",
    ),
    "imbalance": ("imbalance", "collect more of these classes, or train with --balance"),
    "box_outside": ("boxes beyond the photo", "cut off at its edge, or left out; draw them again"),
    "box_empty": ("boxes without area", "left out; draw them again"),
    "box_doubled": ("boxes drawn twice", "two of one object: the network is told that it finds too few; keep one"),
    "box_small": ("tiny boxes", "too few pixels at the network's input; train with a larger --size, or with --tile"),
    "box_few": ("classes of few boxes", "draw more of them, or give them a class with others"),
    "label_few": ("rare labels", "collect more photos that have them: of so few a threshold says little"),
    "no_labels": ("photos without labels", "right where nothing is there; a label nobody gave is taught as absent"),
    "no_objects": ("photos without objects", "right where there are none; an object nobody drew is taught as none"),
}
# What the task finds in labels (`Task.label_faults`) or reading came upon, where labels are not classes alone.
LABEL_KINDS = frozenset(kind for kind in KINDS if kind.startswith(("box_", "label_", "no_")))


@dataclass(frozen=True)
class FaultLimits:
    """Where a fault begins. Grey levels are 0..255; recall and precision of each: benchmarks/audit.py.

    Where data sets differ by nature (brightness, sharpness, shape) the limit is relative to the data set's own
    distribution; a microscope's dark field or a camera's wide format is not a fault.
    """

    # MobileNets halve the picture five times: below 32 pixels the last grid has no cell of real pixels.
    tiny_pixels: int = 32
    # A short side below half of the usual 224 is enlarged twice; odd only where the others are 4 times as large.
    tiny_if_below: int = 112
    tiny_fraction: float = 0.25
    # From the 1st to the 99th percentile; JPEG and sensor noise on a flat tone stay within, solar cells begin at 31.
    # Data of low contrast has it everywhere, and a network still sees it: less than half of what the contrasty tenth of
    # the data has is blank there, down to the noise of JPEG on a flat tone.
    blank_spread: float = 12.0
    blank_fraction: float = 0.5
    blank_noise: float = 2.0
    # The 95th percentile in the lowest quarter of the range, and less than half of what is usual in the data set.
    dark_level: float = 64.0
    dark_fraction: float = 0.5
    # Robust deviations (1.4826 × MAD) of the blur effect above the median, and the least effect called blur, which
    # keeps the tail of a data set of nothing but sharp pictures from counting. Solar cells have a median of 0.47; the
    # least effect is a judgement, not measured on other photographs.
    blur_deviations: float = 3.0
    min_blur: float = 0.35
    # The blur limit is a statistic; of fewer pictures it says nothing.
    min_blur_images: int = 20
    # Times the data set's median of long side / short side; the crop then sees half of what it sees of the others.
    aspect_times: float = 2.0
    # Bits of 64; of 300 solar cells, copies after JPEG, resizing or brightening differed in up to 14, 95 % in up to 7,
    # different cells in 32 (median). Copies cropped by 3 % differed in 11 (median): most of those are missed.
    hash_bits: int = 12
    # Correlation of 32×32 thumbnails after what the data set has in common is taken out. Solar cells, which share
    # frame and bus bars: 1 pair in 6,500 reaches it. Of 18 looked at, most show one pattern twice, a few are plain.
    same_structure: float = 0.85
    # Cosine of MobileNetV2's features. A weak veto only: versions of one solar cell have 0.58 and more, two different
    # cells 0.72 (median) and up to 0.997. Not measured on photographs that differ more.
    same_features: float = 0.6
    # A class below a third of the largest: always answering the larger of the two is right for 75 %.
    imbalance_times: float = 3.0


LIMITS = FaultLimits()


@dataclass(frozen=True)
class AuditFinding:
    """One fault.

    Attributes
    ----------
    kind
        A key of `Audit.findings`, as "leak".
    paths
        The files that have it.
    score
        How bad, 0 to 1 within its kind; 1 is worst.
    why
        In words.
    details
        Figures of its own, as "labels" of a photo that two classes have.

    Examples
    --------
    >>> finding = AuditFinding("blurred", (Path("rose.jpg"),), 0.5, "unsharper than the others")
    >>> finding.to_dict()
    {'path': 'rose.jpg', 'score': 0.5, 'why': 'unsharper than the others'}
    """

    kind: str
    paths: tuple[Path, ...]
    score: float
    why: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON types: `path`, or `paths` where there are several, `score`, `why` and the details."""
        names = [str(path) for path in self.paths]
        where: dict[str, Any] = {"path": names[0]} if len(names) == 1 else {"paths": names}
        return {**where, "score": round(self.score, 4), "why": self.why, **self.details}


def kinds_of(task: Task[Any]) -> list[str]:
    """The kinds that are looked for where labels answer `task`, in the order they are shown."""
    return [k for k in KINDS if k in task.label_kinds or (k not in LABEL_KINDS and k not in task.kinds_left_out)]


def ranked(findings: Sequence[AuditFinding], kinds: Sequence[str]) -> dict[str, list[AuditFinding]]:
    """Every one of `kinds`, also those without findings; the worst first, equals by name."""
    ordered = sorted(findings, key=lambda f: (-f.score, str(f.paths[0])))
    return {kind: [f for f in ordered if f.kind == kind] for kind in kinds}
