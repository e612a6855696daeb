"""Names in src/ use the field's words: tools/vocabulary.py has those that are retired."""

import vocabulary


def test_no_name_uses_a_retired_word() -> None:
    found = [
        f"{file}: {name}: the field says {term}"
        for file, names in vocabulary.retired().items()
        for name, term in names.items()
    ]
    assert not found, "\n".join(found)


def test_a_name_is_taken_apart_into_its_words() -> None:
    assert vocabulary.term("MOST_EPOCHS", "training") == "max"
    assert vocabulary.term("_shareOfRows", "data") == "fraction, rank, lam or progress"
    assert vocabulary.term("utmost", "training") is None
    assert vocabulary.term("whole", "runtime") == "accepts_full_image"
    assert vocabulary.term("whole", "data") is None


def test_the_name_of_an_option_or_of_a_key_in_a_file_stays() -> None:
    assert vocabulary.term("float_ends", "verbs") is None
    assert vocabulary.term("float_ends", "exporting") == "skip_first_last"
