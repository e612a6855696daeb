"""Which folders are classes and which are parts, from what lies in them, how many there are, and their names.

Folders without a photograph in them or below, hidden ones and those of the system do not count. Then, in this order:

1. One folder alone, with several in it, is gone down into, as often as that is so: the data lies deeper.
2. A folder called as a part (`split_names`: train, `training_set`, `Val-Images`, dev …) that holds class folders is
   a part, if one of them is the training part. One that holds photographs itself is a class that happens to be called
   so, unless all folders are called as parts. What stands beside the parts is named, counted and left out.
3. Folders that hold the same folders (two or more in common, most of what they hold) are never classes. They are
   parts, where a word of each name says which; folds, where they are called so: the first validates; with `train`,
   `val` … in each, and photographs in those, classes; otherwise they are refused.
4. A folder that holds folders called as those beside it is a part, or is left out, but never a class.
5. Else each folder is a class, and what lies deeper in it belongs to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobilenets.data.sources.split_names import is_fold, split_inside, splits_called
from mobilenets.data.sources.survey import Survey, count_text, give_or_list, named
from mobilenets.data.sources.tree import Folder, key
from mobilenets.errors import DataError


@dataclass(frozen=True)
class ClassFolder:
    """A folder whose pictures are of the class `name` and belong to `split`."""

    path: Path
    name: str
    split: str = ""


@dataclass
class Layout:
    """The class folders of a data set.

    `holders`: folders that hold class folders or parts; pictures directly in them belong to no class. `beside`:
    folders with pictures that belong to no part, or are no class folders; `unfilled`: folders beside them without
    pictures. `empty`: class folders to train on that hold no pictures.
    """

    classes: list[ClassFolder] = field(default_factory=list)
    holders: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    unfilled: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)


def understand(data: Folder, survey: Survey, *, known: Collection[str] = (), held_out: bool = False) -> Layout:
    """The layout of `data`; what was guessed is noted in `survey`.

    `known`: class names; a folder called so is not gone down into. `held_out`: other photographs validate, so that
    folds all train.

    Raises
    ------
    UserError
        Folders that are parts but do not say which, or parts without class folders.
    """
    layout = Layout()
    data = _innermost(data, layout, survey, {key(name) for name in known})
    folders = data.filled
    layout.holders.append(data.path)
    named_splits = splits_called([f.name for f in folders])
    splits = _splits(data, folders, named_splits)
    if not splits and _are_alike(folders):
        splits = _of_alike(data, folders, layout, survey, held_out)
        if layout.classes:
            return layout
    if splits:
        _read_layout_splits(data, splits, layout, survey)
    else:
        _read_classes(data, folders, named_splits, layout, survey)
    return layout


def _innermost(data: Folder, layout: Layout, survey: Survey, known: Collection[str]) -> Folder:
    """The folder that holds the classes or parts, where that is one further down (rule 1)."""
    passed: list[Folder] = []
    at = data
    while len(at.filled) == 1:
        only = at.filled[0]
        if key(only.name) in known or (splits_called([only.name]) and only.filled) or not only.filled:
            break
        passed.append(at)
        at = only
    if at is data or (len(at.filled) < 2 and not (at.filled and splits_called([at.filled[0].name]))):
        return data
    layout.holders += [f.path for f in passed]
    layout.unfilled += [g.path for f in passed for g in f.folders if not g.is_filled]
    survey.note(f"the class folders are read from {at.path}, the one folder with photos in {data.path}")
    return at


def _splits(data: Folder, folders: Sequence[Folder], called: dict[str, str]) -> dict[Folder, str]:
    """The folders that are parts by their names and what lies in them (rule 2); none where there is no training part.

    Raises
    ------
    UserError
        All are called as parts, but hold no class folders; or a part and classes cannot be told apart.
    """
    all_called = len(called) == len(folders)
    with_folders = [f for f in folders if f.name in called and f.filled]
    inside = Counter(k for f in with_folders for k in f.keys)
    splits = {}
    for f in with_folders:
        shared = sum(inside[k] > 1 for k in f.keys)
        if f.is_nested or all_called or (2 * shared >= len(f.keys) and shared > 0):
            splits[f] = called[f.name]
    flat = [f for f in folders if f not in splits]
    if folders and all_called and (not splits or any(called[f.name] == "train" for f in flat)):
        raise DataError(
            f"{data.path}: {_and(_names(flat))} {_hold(flat)} {count_text(sum(map(Folder.count, flat)))}, but no "
            f"folders of classes; make one for each class, as {flat[-1].path / 'CLASS'}, and put them there, or "
            f"{give_or_list(data.path, *(f.path for f in flat))}"
        )
    if all_called:
        return splits
    if "train" not in splits.values():
        return {}
    others = [f for f in folders if f not in splits and f.name not in called and f.has_images]
    if len(splits) == 1 and others:
        (train,) = splits
        raise DataError(
            f"{data.path}: {train.name} holds the folders {named(_names(train.filled))}, and {_and(_names(others))} "
            f"beside it {_hold(others)} photos: part or class? If {train.name} is the training part, give "
            f"{train.path} alone; if it is a class, put its photos directly into it"
        )
    return splits


def _are_alike(folders: Sequence[Folder]) -> bool:
    """Whether most of the folders hold the same folders: two or more in common, most of what they hold (rule 3)."""
    beside = {key(f.name) for f in folders if f.has_images}
    nested = [f for f in folders if f.is_nested and not f.keys <= beside]
    if len(nested) < 2 or 2 * len(nested) < len(folders):
        return False
    inside = Counter(k for f in nested for k in f.keys)
    common = [k for k, n in inside.items() if n > 1]
    return len(common) > 1 and 2 * sum(inside[k] for k in common) > sum(inside.values())


def _of_alike(
    data: Folder, folders: Sequence[Folder], layout: Layout, survey: Survey, held_out: bool
) -> dict[Folder, str]:
    """What folders are that hold the same folders: parts, or folds, or classes, noted in `layout` (rule 3).

    Raises
    ------
    UserError
        They do not say what they are.
    """
    nested = [f for f in folders if f.is_nested]
    inside = {f: splits_called(_names(f.filled)) for f in nested}
    if all("train" in called.values() and len(called) == len(f.filled) for f, called in inside.items()):
        if all(g.has_images and not g.filled for f in nested for g in f.filled):
            survey.note(
                f"{data.path}: each class folder is read with its own parts ({named(_names(nested[0].filled))})"
            )
            layout.classes += [ClassFolder(g.path, f.name, inside[f][g.name]) for f in nested for g in f.filled]
            layout.holders += [f.path for f in nested]
            layout.beside += [f.path for f in folders if f not in nested]
            layout.unfilled += [f.path for f in data.folders if not f.is_filled]
            return {}
        raise DataError(
            f"{data.path}: {_and(_names(nested))} each {_hold(nested[:1])} parts of its own "
            f"({named(_names(nested[0].filled))}); give one of them, as {nested[0].path}"
        )
    splits = {f: split_inside(f.name) for f in nested}
    if all(splits.values()) and "train" in splits.values():
        return splits
    folds = [f for f in nested if is_fold(f.name)]
    splits = {f: split for f, split in splits.items() if f not in folds}
    if len(folds) > 1 and all(splits.values()) and "train" not in splits.values():
        if held_out or "val" in splits.values():
            return {**dict.fromkeys(folds, "train"), **splits}
        first, rest = folds[0], folds[1:]
        survey.note(
            f"{data.path}: read as {len(folds)} folds; {first.name} validates, {named(_names(rest))} "
            f"{'train' if len(rest) > 1 else 'trains'} (another one: --val {rest[0].path})"
        )
        return {first: "val", **dict.fromkeys(rest, "train"), **splits}
    classes = named([f.name for f in max(nested, key=lambda f: len(f.filled)).filled])
    raise DataError(
        f"{data.path}: {_and(_names(nested))} {'all' if len(nested) > 2 else 'both'} hold the same folders "
        f"({classes}), so they are parts or folds, not classes; call them train, val and test, or train on one and "
        f"validate on another: {nested[0].path} --val {nested[-1].path}. If they are classes, list them in a CSV"
    )


def _read_layout_splits(data: Folder, splits: dict[Folder, str], layout: Layout, survey: Survey) -> None:
    """Note the class folders of every part, and what stands beside them."""
    layout.beside += [f.path for f in data.filled if f not in splits]
    guessed = [f"{f.name} as {split}" for f, split in splits.items() if f.name.lower() != split and not is_fold(f.name)]
    if guessed:
        survey.note(f"{data.path}: {_and(guessed)} {'is' if len(guessed) == 1 else 'are'} read")
    called = splits_called(_names(data.folders))
    for f in data.folders:
        if not f.is_filled:
            layout.unfilled.append(f.path)
            if f.name in called:
                survey.note(f"{f.path}: holds no photos; it would be the {called[f.name]} part")
    for f, split in splits.items():
        inner = _inside_split(f, [g for g in splits if g is not f], survey)
        layout.holders += [f.path] if inner is f else [f.path, inner.path]
        layout.classes += [ClassFolder(g.path, g.name, split) for g in inner.filled]
        empty = [g.path for g in inner.folders if not g.is_filled]
        (layout.empty if split == "train" else layout.unfilled).extend(empty)


def _inside_split(split: Folder, others: Sequence[Folder], survey: Survey) -> Folder:
    """The folder that holds the classes of a part, where that is one further down: `seg_train/seg_train/CLASS`."""
    at = split
    while len(at.filled) == 1 and len(at.filled[0].filled) > 1 and at.filled[0].is_nested:
        if any(key(at.filled[0].name) in other.keys for other in others if len(other.filled) > 1):
            break  # a class of the other parts
        at = at.filled[0]
    if at is not split:
        survey.note(f"{split.path}: its class folders are read from {at.path}")
    return at


def _read_classes(
    data: Folder, folders: Sequence[Folder], called: dict[str, str], layout: Layout, survey: Survey
) -> None:
    """Note every folder as a class, except those that hold the classes once more (rules 4 and 5)."""
    for f in folders:
        siblings = {key(g.name) for g in folders if g is not f}
        if f.is_nested and len(f.keys) > 1 and f.keys <= siblings:
            split = called.get(f.name, "")
            if split in ("val", "test"):
                survey.note(f"{f.path}: holds the classes beside it once more, and is read as the {split} part")
                layout.classes += [ClassFolder(g.path, g.name, split) for g in f.filled]
            else:
                layout.beside.append(f.path)
            continue
        layout.classes.append(ClassFolder(f.path, f.name))
    deeper = [c.name for c in layout.classes if c.split == "" and any(f.name == c.name and f.filled for f in folders)]
    if deeper:
        survey.note(f"{data.path}: what lies in folders of {named(deeper)} belongs to that class")
    layout.empty += [f.path for f in data.folders if not f.is_filled]


def _names(folders: Sequence[Folder]) -> list[str]:
    return [f.name for f in folders]


def _and(names: Sequence[str], max_named: int = 5) -> str:
    """Names with "and" before the last."""
    if len(names) > max_named:
        return named(names, max_named)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def _hold(folders: Sequence[Folder]) -> str:
    return "holds" if len(folders) == 1 else "hold"
