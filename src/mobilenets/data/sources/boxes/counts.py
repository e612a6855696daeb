"""What reading boxes came upon, in numbers, and the lines that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mobilenets.data.samples import Samples
from mobilenets.data.sources.survey import count_text, named
from mobilenets.tasks.detect.targets import boxes_of

FLAT, ABROAD, TWICE, BEYOND = "no area", "wholly outside", "drawn twice", "reaches beyond the photo"
_SHOWN = 6  # classes whose boxes are counted in the line


@dataclass
class Counts:
    """Photos and boxes, by what became of them.

    `boxes`: of each class those that count; `faults`: boxes by what is wrong with them; `other_shape`: what is to be
    said of each photo that is left out as its boxes were drawn on another one; `unlisted`: photos without annotation;
    `without_file`: those without one that are taken for photos without objects.
    """

    photos: int = 0
    without_objects: int = 0
    ignored: int = 0
    unreadable: int = 0
    turned: int = 0
    orientation_unsaid: int = 0
    resized: int = 0
    versions: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    other_shape: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    without_file: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Those with boxes that count, the one with the most first."""
        return sorted(filter(self.boxes.get, self.boxes), key=lambda name: (-self.boxes[name], name))

    def lines(self, data: Path, title: str, listed: Sequence[str]) -> Iterator[str]:
        """What was understood, in one line, then what was guessed, in one each; `listed`: classes that may occur."""
        yield f"{data}: read as {title}: {'; '.join(self._parts())}"
        without = [name for name in listed if not self.boxes[name]]
        if without:
            yield f"{data}: no box of {named(map(repr, without))}, which the annotations list as a class"
        if self.unlisted:
            yield (
                f"{data}: {count_text(len(self.unlisted))} that the annotations do not name left out, as "
                f"{self.unlisted[0]}; one with no object has to be named there, too"
            )
        if self.without_file:
            yield (
                f"{data}: {count_text(len(self.without_file))} without a label file, as {self.without_file[0]}: taken "
                "for without objects"
            )
        if self.faults[BEYOND]:
            yield f"{data}: cut off at the photo's edge, which they reach beyond: {_boxes(self.faults[BEYOND])}"
        if self.other_shape:
            yield (
                f"warning: {self.other_shape[0]}: boxes of another photo; {count_text(len(self.other_shape))} "
                "left out for that"
            )
        if self.turned:
            yield (
                f"{data}: boxes of {count_text(self.turned)} were drawn on it lying on its side, as it is stored (EXIF "
                "orientation); they are turned upright with it"
            )
        if self.orientation_unsaid:
            yield (
                f"warning: {data}: {count_text(self.orientation_unsaid)} with boxes stored turned (EXIF orientation); "
                "whether boxes were drawn on it upright is not said, but assumed"
            )
        if self.resized:
            yield f"{data}: {count_text(self.resized)} of another size than its annotation says; boxes are scaled"
        if self.versions:
            yield f"{data}: {count_text(self.versions)} made of others by Roboflow; those of one are kept together"

    def _parts(self) -> Iterator[str]:
        classes = self.classes
        counted = named([f"{name} {self.boxes[name]:,}" for name in classes], _SHOWN)
        yield f"{count_text(self.photos)}, {self.without_objects:,} without objects"
        many = "1 class" if len(classes) == 1 else f"{len(classes):,} classes"
        yield f"{_boxes(self.boxes.total())} of {many}{f' ({counted})' if classes else ''}"
        if self.ignored:
            yield f"{self.ignored:,} more that do not count (difficult, crowd)"
        left_out = [f"{_boxes(self.faults[FLAT])} without area"] if self.faults[FLAT] else []
        left_out += [f"{_boxes(self.faults[ABROAD])} outside the photo"] if self.faults[ABROAD] else []
        left_out += [f"{_boxes(self.faults[TWICE])} drawn twice"] if self.faults[TWICE] else []
        left_out += [f"{count_text(self.unreadable)} that cannot be read"] if self.unreadable else []
        if left_out:
            yield f"left out: {', '.join(left_out)}"


def counted(samples: Samples) -> Counts:
    """The photos and boxes of samples whose labels are label texts."""
    counts = Counts(photos=len(samples))
    for text, times in zip(samples.names, np.bincount(samples.labels, minlength=len(samples.names)), strict=True):
        boxes = boxes_of(text)
        counts.without_objects += 0 if boxes else int(times)
        for box in boxes:
            counts.boxes[box.name] += 0 if box.ignore else int(times)
            counts.ignored += int(times) if box.ignore else 0
    return counts


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count:,} boxes"
