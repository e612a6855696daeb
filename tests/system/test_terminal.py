"""Tables in the columns of a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenets.system.terminal import columns, padded, shortened, table


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("rose", 4),
        ("雏菊", 4),
        ("ローズ", 6),
        ("장미", 4),
        ("é", 1),
        ("e\u0301", 1),
        ("กุหลาบ", 5),
        ("a\u200db", 2),
        ("…", 1),
    ],
)
def test_a_character_takes_the_columns_that_terminals_give_it(text: str, width: int) -> None:
    assert columns(text) == width


def test_chinese_names_are_aligned_by_columns_not_by_characters() -> None:
    assert table([("class", "n"), ("雏菊", "12"), ("rose", "7")], "lr") == ["class   n", "雏菊   12", "rose    7"]


def test_the_last_letter_stands_for_all_further_columns_and_no_line_ends_in_spaces() -> None:
    assert table([("a", "bb", "c"), ("aaa", "b", "")], "lr", gap=1) == ["a   bb c", "aaa  b"]


@given(st.lists(st.tuples(st.text("aé雏ー", min_size=1), st.text("01", min_size=1)), min_size=1))
def test_every_line_of_a_table_is_equally_wide(rows: list[tuple[str, str]]) -> None:
    assert len({columns(line) for line in table(rows, "lr")}) == 1


@given(st.text("ab雏菊"), st.integers(1, 12))
def test_a_shortened_text_fits_and_a_short_one_stays(text: str, width: int) -> None:
    result = shortened(text, width)
    assert columns(result) <= width
    assert result == text or (columns(text) > width and result.endswith("…"))
    assert columns(padded(result, width)) == width
