"""What the parts of a data set are called: folders, shards, and values of a CSV's column `split`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import normalize

SPLITS = ("", "train", "val", "test")  # "" where the data does not say

_NAMES = {
    "train": ("train", "training", "trn", "训练"),
    "val": ("val", "valid", "validation", "validate", "validating", "dev", "development", "eval", "evaluation", "验证"),
    "test": ("test", "testing", "tst", "holdout", "heldout", "测试"),
}
# These are another name for either; where the part has its own, they are the other one.
_EITHER = {"eval": "test", "evaluation": "test", "holdout": "val", "heldout": "val"}
SPLIT_NAMES = {name: split for split, names in _NAMES.items() for name in names}

# What is written around such a name and says nothing: `training_set`, `train_images`, `validation split`, 训练集.
_FILLING = (
    r"(?:datasets?|data|sets?|images?|imgs?|photos?|photographs|pictures?|pics?|splits?|parts?|samples|folders?|files|"
    r"集合?|数据|图[片像])"
)
_NAME = re.compile(f"{_FILLING}*({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))}){_FILLING}*")
_FOLD = re.compile(r"(?:k?fold|cv|split|cvsplit|cvfold|kfoldsplit|foldsplit|splitfold)s?|折")


def words(name: str) -> list[str]:
    """The words and numbers in a name, in lower case: `TrainSet_2` gives train, set, 2."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", normalize("NFKC", name))
    return re.findall(r"[^\W\d_]+|\d+", spaced.lower())


def split_called(name: str) -> str:
    """The part that a folder or a value says it is, "" where it does not.

    Case, separators, numbers and words such as "set" or "images" do not count.
    """
    found = _found(words(name))
    return SPLIT_NAMES[found] if found else ""


def splits_called(names: Sequence[str]) -> dict[str, str]:
    """The part of each of some names that stand side by side, of those that say one.

    What all names share says nothing (`seg_train`, `seg_test`). `evaluation` and `holdout` are what is missing
    of validation and test.
    """
    tokens = [words(name) for name in names]
    shared = set.intersection(*map(set, tokens)) if len(tokens) > 1 else set()
    found: dict[str, str] = {}
    for name, own in zip(names, tokens, strict=True):
        word = _found(own) or _found([w for w in own if w not in shared])
        if word:
            found[name] = word
    own_names = {SPLIT_NAMES[word] for word in found.values() if word not in _EITHER}
    splits = {}
    for name, word in found.items():
        split = SPLIT_NAMES[word]
        other = _EITHER.get(word, split)
        splits[name] = other if split in own_names and other not in own_names else split
    return splits


def split_inside(name: str) -> str:
    """The one part that some word of a name says, as in `bees_train_v2`; "" where there is none, or several."""
    splits = {split_called(word) for word in words(name)} - {""}
    return splits.pop() if len(splits) == 1 else ""


def split_of_shard(stem: str) -> str:
    """The part that a shard belongs to by its file name, as `train-00000-of-00010` or `val_3`."""
    letters = [word for word in words(stem) if not word.isdigit()]
    return split_called(letters[0]) or split_called(stem) if letters else ""


def is_fold(name: str) -> bool:
    """Whether a name is that of one of several folds: `fold1`, `fold_2`, `Fold-C`, `split0`, `cv3`."""
    own = words(name)
    letters = [word for word in own if not word.isdigit()]
    if len(letters) == 2 and len(letters[1]) == 1 and len(own) == 2:  # a letter for a number
        return _FOLD.fullmatch(letters[0]) is not None
    return len(own) - len(letters) == 1 and _FOLD.fullmatch("".join(letters)) is not None


def _found(own: Sequence[str]) -> str:
    """The name of a part that words and numbers make up; "" where they make up something else."""
    match = _NAME.fullmatch("".join(word for word in own if not word.isdigit()))
    return match[1] if match else ""
