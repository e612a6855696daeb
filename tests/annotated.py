"""Photos with boxes, and the forms that annotation tools write them in: one table, written in five."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 50, 40  # of the upright photo: all corners have few decimals
Corners = tuple[int, int, int, int]
UNDO = {  # from EXIF orientation to what makes a stored photo of an upright one
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Photo:
    """Boxes in pixels of the upright photo, which is stored in an EXIF orientation."""

    boxes: Sequence[tuple[str, Corners]]
    orientation: int = 1

    @property
    def stored(self) -> tuple[list[tuple[str, Corners]], tuple[int, int]]:
        """Boxes and size as a tool sees them that does not know of EXIF; of one that is not on its side, as they are.

        Where a box goes is looked up in a picture of it, turned as the photo is.
        """
        if self.orientation < 5:
            return list(self.boxes), (WIDTH, HEIGHT)
        found = []
        for name, (left, top, right, bottom) in self.boxes:
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[top:bottom, left:right] = 255
            rows, columns = np.nonzero(np.asarray(Image.fromarray(mask).transpose(UNDO[self.orientation])))
            corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            found.append((name, tuple(map(int, corners))))
        return found, (HEIGHT, WIDTH)


PHOTOS: dict[str, Photo] = {
    **{
        f"exif{k}.jpg": Photo([("dog", (5, 4, 20, 30)), ("cat", (10 + k, 20, 50, 40)), ("dog", (0, 0, 3, 2))], k)
        for k in range(1, 9)
    },
    "empty.jpg": Photo([]),
    "one.png": Photo([("黄花", (1, 1, 49, 39))]),
}
CLASSES = ["cat", "dog", "黄花"]


def table(photos: Mapping[str, Photo] = PHOTOS) -> dict[str, list[tuple[str, float, float, float, float]]]:
    """What every reader is to find: relative boxes of the upright photos, sorted."""
    return {
        name: sorted((c, a / WIDTH, b / HEIGHT, x / WIDTH, y / HEIGHT) for c, (a, b, x, y) in photo.boxes)
        for name, photo in photos.items()
    }


def write_photos(folder: Path, photos: Mapping[str, Photo] = PHOTOS) -> None:
    """Noise of the right size, turned and tagged."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, photo in photos.items():
        image = Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
        exif = Image.Exif()
        exif[0x0112] = photo.orientation
        if photo.orientation in UNDO:
            image = image.transpose(UNDO[photo.orientation])
        image.save(folder / name, exif=exif)


def coco(photos: Mapping[str, Photo] = PHOTOS, prefix: str = "") -> dict[str, object]:
    """The content of a COCO file; ids leave gaps, as real ones do."""
    images, annotations = [], []
    for k, (name, photo) in enumerate(photos.items()):
        boxes, (width, height) = photo.stored
        images.append({"id": 7 + 10 * k, "file_name": f"{prefix}{name}", "width": width, "height": height})
        for label, (left, top, right, bottom) in boxes:
            bbox = [left, top, right - left, bottom - top]
            category = 3 * CLASSES.index(label) + 1
            annotations.append(
                {"id": 100 + 3 * len(annotations), "image_id": 7 + 10 * k, "category_id": category, "bbox": bbox}
            )
    categories = [{"id": 3 * k + 1, "name": name, "supercategory": "all"} for k, name in enumerate(CLASSES)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def write_coco(folder: Path, photos: Mapping[str, Photo] = PHOTOS) -> Path:
    """`annotations.json` above `images/`."""
    write_photos(folder / "images", photos)
    (folder / "annotations.json").write_text(json.dumps(coco(photos)))
    return folder


def voc(name: str, photo: Photo, zero: bool = False) -> str:
    """The XML of a photo; `zero`: corners count from 0."""
    boxes, (width, height) = photo.stored
    objects = "".join(
        f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{left + 1 - zero}</xmin>"
        f"<ymin>{top + 1 - zero}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for label, (left, top, right, bottom) in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><folder>x</folder><filename>{name}</filename>{size}{objects}</annotation>"


def write_voc(folder: Path, photos: Mapping[str, Photo] = PHOTOS, zero: bool = False) -> Path:
    """`Annotations/` beside `JPEGImages/`, corners as Pascal's: the first pixel is 1, the last one is inside."""
    write_photos(folder / "JPEGImages", photos)
    (folder / "Annotations").mkdir()
    for name, photo in photos.items():
        (folder / "Annotations" / f"{Path(name).stem}.xml").write_text(voc(name, photo, zero), encoding="utf-8")
    return folder


def labelme(name: str, photo: Photo) -> dict[str, object]:
    """The content of a labelme file: rectangles from the lower right corner, and polygons."""
    boxes, (width, height) = photo.stored
    shapes = []
    for k, (label, (left, top, right, bottom)) in enumerate(boxes):
        corners = [[right, bottom], [left, top]]
        if k % 2:
            corners = [[left, top], [right, top + 1], [right - 1, bottom], [left, bottom - 1]]
        kind = "polygon" if k % 2 else "rectangle"
        shapes.append({"label": label, "points": corners, "group_id": None, "shape_type": kind, "flags": {}})
    return {
        "version": "5.1.1", "flags": {}, "shapes": shapes, "imagePath": f"..\\photos\\{name}", "imageData": None,
        "imageHeight": height, "imageWidth": width,
    }  # fmt: skip


def write_labelme(folder: Path, photos: Mapping[str, Photo] = PHOTOS) -> Path:
    """A JSON file beside each photo."""
    write_photos(folder, photos)
    for name, photo in photos.items():
        (folder / name).with_suffix(".json").write_text(json.dumps(labelme(name, photo)))
    return folder


def yolo(photo: Photo) -> str:
    """The lines of a label file, of boxes and polygons by turns; on the upright photo, as YOLO itself sees it."""
    lines = []
    for k, (label, (left, top, right, bottom)) in enumerate(photo.boxes):
        x1, y1, x2, y2 = left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT
        values = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1] if k % 2 else [x1, y2, x2, y1, x2, y2, x1, y1]
        lines.append(" ".join([str(CLASSES.index(label)), *(f"{value:.9g}" for value in values)]))
    return "\n".join(lines)


def write_yolo(folder: Path, photos: Mapping[str, Photo] = PHOTOS) -> Path:
    """`data.yaml`, `images/` and `labels/`; of a photo without objects there is no label file."""
    write_photos(folder / "images", photos)
    (folder / "labels").mkdir()
    names = "\n".join(f"  {k}: {name}" for k, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(
        f"path: ../datasets/pets  # where it lay\ntrain: images\nval: images\ntest:\n\nnames:\n{names}\n",
        encoding="utf-8",
    )
    for name, photo in photos.items():
        if photo.boxes:
            (folder / "labels" / name).with_suffix(".txt").write_text(yolo(photo))
    return folder


def write_csv(folder: Path, photos: Mapping[str, Photo] = PHOTOS) -> Path:
    """`boxes.csv`: a row for each box."""
    write_photos(folder / "photos", photos)
    rows = ["image_path,label,xmin,ymin,xmax,ymax"]
    for name, photo in photos.items():
        rows += [f"photos/{name},{label},{','.join(map(str, corners))}" for label, corners in photo.boxes]
        rows += [] if photo.boxes else [f"photos/{name}"]
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "boxes.csv"


def write_roboflow(folder: Path, photos: Mapping[str, Photo] = PHOTOS) -> Path:
    """`_annotations.csv` beside the photos: a row for each box, sizes as stored; one without boxes has no row."""
    write_photos(folder, photos)
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for name, photo in photos.items():
        boxes, (width, height) = photo.stored
        rows += [f"{name},{width},{height},{label},{','.join(map(str, corners))}" for label, corners in boxes]
    (folder / "_annotations.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


FORMS = {"COCO": write_coco, "VOC": write_voc, "labelme": write_labelme, "YOLO": write_yolo, "CSV": write_csv}
