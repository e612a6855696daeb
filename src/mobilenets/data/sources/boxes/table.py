"""What annotations say of photos, in whichever units, becomes one table: relative to the upright photo, and counted."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from mobilenets.data.samples import Samples, SamplesBuilder
from mobilenets.data.sources.boxes.counts import ABROAD, BEYOND, FLAT, TWICE, Counts
from mobilenets.data.sources.boxes.photos import Photos
from mobilenets.data.sources.survey import BoxFault, Survey
from mobilenets.data.sources.tree import name_warnings
from mobilenets.errors import DataError, UserError
from mobilenets.model_card import DETECT
from mobilenets.preprocess.stored import Stored, stored, turned
from mobilenets.preprocess.upright import TURNS
from mobilenets.system.progress import Progress
from mobilenets.tasks.detect.faults import DOUBLED, EMPTY, OUTSIDE
from mobilenets.tasks.detect.targets import DECIMALS, Box, text_of

_WORKERS = 4
_ROUNDING = 0.002  # of a side that a box may reach over it by rounding, which nobody is told
_SAME_SHAPE = 0.02  # by how much the aspect of a photo and of what was drawn on may differ
_FRACTION = 1.5  # no corner of any box is beyond: relative ones, a little over the edge at most
_ROBOFLOW = ".rf."  # stands in the names of its augmented copies, behind the name of the photo they are of


@dataclass(frozen=True)
class Annotated:
    """What an annotation says of the photo `path`, relative to the data's folder.

    `size`: width and height in pixels of what `boxes` were drawn on, where that is said. Their corners are in pixels of
    it, or 0 to 1 where `relative`. `where`: what a message calls the annotation.
    """

    path: str
    boxes: Sequence[Box]
    where: str
    size: tuple[float, float] | None = None
    relative: bool = False
    split: str = ""
    group: str | None = None


@dataclass
class BoxTable:
    """Photos with their boxes under construction; paths are relative to `root`. `title`: what it is read from.

    `listed`: classes that may occur. `says_parts`: the parts of photos are as said, even where none is to train on.
    """

    root: Path
    title: str
    survey: Survey = field(default_factory=Survey)
    listed: Sequence[str] = ()
    says_parts: bool = False
    _photos: dict[str, Annotated] = field(default_factory=dict)
    _counts: Counts = field(default_factory=Counts)

    def add(self, photo: Annotated) -> None:
        """Add a photo.

        Raises
        ------
        DataError
            It was added before, or a class name is no text.
        """
        if photo.path in self._photos:
            raise DataError(
                f"{photo.where}: {photo.path} is in {self._photos[photo.path].where} already; keep one of them"
            )
        names = {box.name: _class(box.name, photo.where) for box in photo.boxes}
        boxes = [box._replace(name=names[box.name]) for box in photo.boxes]
        self._photos[photo.path] = replace(photo, boxes=boxes)

    def note_unlisted(self, photos: Photos) -> None:
        """Have it said how many of `photos` no annotation is of: whether objects are on them nobody knows."""
        self._counts.unlisted = [path for path in photos.paths if path not in self._photos]

    def note_without_file(self, paths: Sequence[str]) -> None:
        """Have it said which photos were added without boxes because nothing is written of them."""
        self._counts.without_file = list(paths)

    def samples(self) -> Samples:
        """The photos as samples, labels by label text; `survey` says how they were understood.

        Raises
        ------
        DataError
            There is none, or none of them can be used.
        """
        self.survey.task = DETECT
        photos = list(self._photos.values())
        if not photos:
            raise DataError(f"{self.root}: {self.title}: no photos are annotated; put them beside the annotations")
        self._check_units(photos)
        has_training = self.says_parts or any(photo.split == "train" for photo in photos)
        versions = Counter(_version_of(photo.path) for photo in photos)
        found = SamplesBuilder(str(self.root), self.survey, are_classes=False)
        for photo, header in zip(photos, self._headers(photos), strict=True):
            text = self._text(photo, header)
            if text is None:
                continue
            version = _version_of(photo.path)
            group = photo.group or (version if version and versions[version] > 1 else None)
            found.add(photo.path, text, photo.split if has_training else "", group)
        counts = self._counts
        counts.photos, counts.versions = len(found), sum(n for name, n in versions.items() if name and n > 1)
        for line in (*counts.lines(self.root, self.title, self.listed), *name_warnings(counts.classes)):
            self.survey.note(line)
        if len(found) == 0:
            raise DataError(f"{self.root}: no photo can be used ({'; '.join(self.survey.lines())})")
        return found.samples()

    def _check_units(self, photos: Sequence[Annotated]) -> None:
        """Refuse pixels that are fractions of a photo, which would be boxes of a pixel; say it where some are."""
        drawn = [(photo, box) for photo in photos if not photo.relative for box in photo.boxes]
        small = [(photo.path, box.name) for photo, box in drawn if _is_fraction(box)]
        if not small:
            return
        many = "1 box lies" if len(small) == 1 else f"{len(small):,} boxes lie"
        first = f"{small[0][1]!a} of {small[0][0]}"
        line = f"{self.root}: {many} within {_FRACTION} pixels of the upper left corner ({first}), as relative ones do"
        if len(small) == len(drawn):
            raise DataError(f"{line}, where pixels are read; multiply them by the photo's width and height")
        self.survey.note(f"warning: {line}; read as pixels, so if they are relative, write all in pixels")

    def _headers(self, photos: Sequence[Annotated]) -> list[Stored | None]:
        """Size and orientation of each photo; None of one that cannot be opened, which is told when it is read."""

        def header(photo: Annotated) -> Stored | None:
            try:
                return stored(self.root / photo.path)
            except UserError:
                return None

        found = []
        with Progress("looking at photos", len(photos), "photo") as progress, ThreadPoolExecutor(_WORKERS) as pool:
            for result in pool.map(header, photos):
                found.append(result)
                progress.advance()
        return found

    def _text(self, photo: Annotated, header: Stored | None) -> str | None:
        """The label text of a photo; None where it is left out."""
        if not photo.boxes:
            self._counts.without_objects += 1
            return text_of([])
        size, orientation = self._frame(photo, header)
        if size is None:
            return None
        kept: dict[Box, None] = {}
        for drawn in photo.boxes:
            box = self._relative(photo, drawn, size, orientation)
            if box is None:
                continue
            if box in kept:
                self._fault(DOUBLED, photo, box, TWICE)
                continue
            kept[box] = None
            self._counts.boxes[box.name] += not box.ignore
            self._counts.ignored += box.ignore
        self._counts.without_objects += not kept
        return text_of(kept)

    def _frame(self, photo: Annotated, header: Stored | None) -> tuple[tuple[float, float] | None, int]:
        """What the corners are divided by, and the orientation by which they are then turned; None: left out."""
        if photo.relative or photo.size is None:
            if header is None:
                self._counts.unreadable += not photo.relative
                return ((1.0, 1.0) if photo.relative else None), 1
            self._counts.orientation_unsaid += header.orientation != 1
            return ((1.0, 1.0) if photo.relative else header.upright), 1
        width, height = photo.size
        if header is None:
            return photo.size, 1
        if photo.size == header.size != header.upright:
            self._counts.turned += 1
            return photo.size, header.orientation
        if photo.size == header.upright:
            # Whether boxes were drawn on what is mirrored or upside down, or on its side and square, no size says.
            self._counts.orientation_unsaid += header.orientation != 1 and header.upright == header.size
            return photo.size, 1
        for (w, h), orientation in ((header.upright, 1), (header.size, header.orientation)):
            if abs(math.log(width * h / (height * w))) < _SAME_SHAPE:
                self._counts.resized += 1
                self._counts.turned += TURNS[orientation].swapped
                return photo.size, orientation
        shape = f"{photo.where}: {width:g}×{height:g}, but {photo.path} has {header.upright[0]}×{header.upright[1]}"
        self._counts.other_shape.append(shape)
        return None, 1

    def _relative(self, photo: Annotated, drawn: Box, size: tuple[float, float], orientation: int) -> Box | None:
        """A box on the upright photo, 0 to 1; None of one without area or wholly outside, which is counted."""
        width, height = size
        corners = (drawn.x1 / width, drawn.y1 / height, drawn.x2 / width, drawn.y2 / height)
        x1, y1, x2, y2 = turned(*corners, orientation)
        shown = drawn._replace(x1=x1, y1=y1, x2=x2, y2=y2)
        if x1 >= x2 or y1 >= y2:
            self._fault(EMPTY, photo, shown, FLAT)
            return None
        beyond = max(-x1, -y1, x2 - 1, y2 - 1)
        inside = [round(min(max(value, 0.0), 1.0), DECIMALS) for value in (x1, y1, x2, y2)]
        x1, y1, x2, y2 = inside
        if x1 >= x2 or y1 >= y2:
            self._fault(*((OUTSIDE, photo, shown, ABROAD) if beyond > _ROUNDING else (EMPTY, photo, shown, FLAT)))
            return None
        if beyond > _ROUNDING:
            self._fault(OUTSIDE, photo, shown, BEYOND)
        return Box(drawn.name, x1, y1, x2, y2, drawn.ignore)

    def _fault(self, kind: str, photo: Annotated, box: Box, why: str) -> None:
        self._counts.faults[why] += 1
        self.survey.faults.append(BoxFault(kind, self.root / photo.path, f"{box.name}: {why}", box[1:5]))


def _is_fraction(box: Box) -> bool:
    """Whether corners in pixels are rather relative: all near 0, and not whole."""
    return max(map(abs, box[1:5])) <= _FRACTION and not all(float(value).is_integer() for value in box[1:5])


def _class(name: str, where: str) -> str:
    """A class name in one Unicode form, without white space around it.

    Raises
    ------
    DataError
        It is blank, or has a character in it that is no text.
    """
    result = unicodedata.normalize("NFC", name.strip())
    if not result:
        raise DataError(f"{where}: a class name is blank; give it a name")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in result):
        raise DataError(f"{where}: the class name {name!a} has a character that is no text in it; rename the class")
    return result


def _version_of(path: str) -> str:
    """The photo that one of Roboflow's copies was made of; "" of any other photo."""
    name = path.rpartition("/")[2]
    return name.partition(_ROBOFLOW)[0] if _ROBOFLOW in name else ""
