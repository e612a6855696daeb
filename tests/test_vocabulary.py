"""Names in src/ use the field's words: tools/vocabulary.py has them, vocabulary_left.txt what is left to rename."""

import vocabulary

FOUND = vocabulary.retired()
LEFT = vocabulary.left()


def test_no_new_name_uses_a_retired_word() -> None:
    new = [
        f"{file}: {name}: the field says {term}"
        for file, names in FOUND.items()
        for name, term in names.items()
        if name not in LEFT.get(file, set())
    ]
    assert not new, "\n".join(new)


def test_what_was_renamed_has_left_the_list() -> None:
    """So that it only shrinks."""
    gone = [f"{file}: {name}" for file, names in LEFT.items() for name in names - FOUND.get(file, {}).keys()]
    assert not gone, "\n".join([*gone, "run: python tools/vocabulary.py --write"])


def test_a_name_is_taken_apart_into_its_words() -> None:
    assert vocabulary.term("MOST_EPOCHS", "training") == "max"
    assert vocabulary.term("_shareOfRows", "data") == "fraction, rank, lam or progress"
    assert vocabulary.term("utmost", "training") is None
    assert vocabulary.term("whole", "runtime") == "accepts_full_image"
    assert vocabulary.term("whole", "data") is None
