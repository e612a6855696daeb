"""The page's files, read as text: what a browser makes of them is in tests/browser."""

import re

import pytest

from mobilenets.webui import assets, policy

FILES = {name: content.decode() for name, content in assets().items()}
MODULES = {name: text for name, text in FILES.items() if name.endswith(".js")}
GIVEN = "predictor.js"  # by whoever gives the page out

LANGUAGES = dict(re.findall(r"^  (en|zh): \{\n(.*?)^  \},", FILES["i18n.js"], re.DOTALL | re.MULTILINE))
ENTRY = re.compile(r'^    "?([\w-]+)"?: "(.*)",$', re.MULTILINE)
WORDS = {language: dict(ENTRY.findall(text)) for language, text in LANGUAGES.items()}


def test_every_word_is_there_in_both_languages_with_the_same_places_to_fill_in() -> None:
    assert len(WORDS["en"]) > 30
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, text in WORDS["en"].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", WORDS["zh"][key])), key


def test_chinese_is_chinese() -> None:
    assert [key for key, text in WORDS["zh"].items() if not re.search("[一-鿿]", text)] == ["other", "spoken"]


def test_every_word_that_is_used_exists() -> None:
    named = re.findall(r'data-i18n(?:-label)?="([^"]+)"', FILES["index.html"])
    said = [key for text in MODULES.values() for key in re.findall(r'\bwords\("([^"]+)"', text)]
    assert {*named, *said} <= WORDS["en"].keys()


def test_the_html_says_what_the_english_words_say() -> None:
    for key, text in re.findall(r'data-i18n="([^"]+)"[^>]*>([^<]+)<', FILES["index.html"]):
        assert text == WORDS["en"][key]


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_another_host_and_paths_are_relative(name: str) -> None:
    text = FILES[name].replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"""https?:|['"(]//|(?:src|href|from)\s*=?\s*["']/""", text)


@pytest.mark.parametrize("name", MODULES)
def test_text_is_never_parsed_as_html(name: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", MODULES[name])


def test_every_module_that_is_imported_comes_with_the_page_or_is_the_predictor() -> None:
    imported = {name for text in MODULES.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert imported - FILES.keys() == {GIVEN}


def test_the_policy_stands_in_the_page_and_can_be_widened() -> None:
    assert f'content="{policy()}"' in FILES["index.html"]
    wider = policy({"script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'"})
    assert wider.count("script-src") == 1
    assert "worker-src 'self'" in wider
    assert wider in assets({"script-src": "'self' 'wasm-unsafe-eval'", "worker-src": "'self'"})["index.html"].decode()


def test_every_id_a_module_asks_for_is_in_the_html() -> None:
    ids = set(re.findall(r'id="([\w-]+)"', FILES["index.html"]))
    asked = {i for text in MODULES.values() for i in re.findall(r'(?:find|querySelector)\("#([\w-]+)"\)', text)}
    assert asked <= ids


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper", "ratio"),
    [("ink", "paper", 7), ("ink", "card", 7), ("ink", "track", 7), ("soft", "paper", 4.5), ("soft", "card", 4.5),
     ("on-accent", "accent", 4.5), ("bad", "bad-paper", 4.5), ("accent", "paper", 3), ("accent", "track", 3)],
)  # fmt: skip
def test_text_and_bars_have_the_contrast_wcag_asks_for(scheme: int, ink: str, paper: str, ratio: float) -> None:
    """WCAG 2.2, success criteria 1.4.3, 1.4.6 and 1.4.11."""
    block = re.findall(r":root \{(.*?)\n ?\s*\}", FILES["style.css"], re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    high, low = sorted((_luminance(colors[ink]), _luminance(colors[paper])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= ratio
