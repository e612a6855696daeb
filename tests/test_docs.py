"""What the documentation says can be done: every command parses, every relative link leads somewhere, Python runs."""

import pkgutil
import re
import shlex
from pathlib import Path

import pytest

from mobilenets.cli.parser import parse
from mobilenets.training.run import train

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMAND = re.compile(r"^(?:.*&& )?(mobilenets [a-z].*?)(?:\s+#.*)?$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)\)")


def _blocks(page: Path, language: str) -> list[str]:
    """What stands in fences of this language; every fence is read, so that no end is taken for a beginning."""
    return [text for name, text in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def _commands(page: Path) -> list[str]:
    return [command for block in _blocks(page, "") for command in COMMAND.findall(block)]


COMMANDS = [(str(page.relative_to(ROOT)), command) for page in PAGES for command in _commands(page)]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_documented_command_is_one_the_program_takes(page: str, command: str) -> None:
    parse(shlex.split(command)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_names_of_ours_that_a_page_mentions_are_there(page: Path) -> None:
    """But for decisions, which name scripts that went."""
    code = re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8")))
    bases = (ROOT, ROOT / "src" / "mobilenets", ROOT / "docs")
    for name in re.findall(r"(?<![\w./-])(?:\w+/)+\w+\.(?:py|js|md)(?!\w)", "\n".join(code)):
        assert page.parent.name == "decisions" or any((base / name).exists() for base in bases), name
    for name in filter(None, (re.fullmatch(r"(mobilenets(?:\.\w+)+)(?:\(.*\))?", span) for span in code)):
        assert pkgutil.resolve_name(name[1]), name[1]


def test_the_command_reference_is_what_the_commands_declare() -> None:
    from commands import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tools/commands.py"


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """A page that is in none is built, and found by nobody."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for page in ROOT.glob("docs/**/*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name in navigation or f"{name.partition('/')[0]}/\n" in navigation, f"mkdocs.yml does not list {name}"


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/zh/*.md")), ids=lambda p: p.name)
def test_a_chinese_page_shows_the_commands_of_the_english_one(page: Path) -> None:
    english = [ROOT / "docs" / page.name, *sorted(ROOT.glob(f"docs/{page.stem}/*.md"))]
    assert _commands(page) == [command for p in english if p.exists() for command in _commands(p)]


def test_both_readmes_show_the_same_code() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    code = [re.sub(r"\s*#.*", "", "".join(_blocks(page, "") + _blocks(page, "python"))) for page in (english, chinese)]
    assert code[0] == code[1]


def test_the_readmes_python_runs(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights in place of published ones, which need a network, and one quick epoch."""
    monkeypatch.chdir(photos.parent)
    train(photos, model="mobilenet_v3_large", weights="none", width=0.35, size=32, recipe="finetune", epochs=1)
    (photos / "daisy" / "000.jpg").rename(photos.parent / "rose.jpg")
    code = "".join(_blocks(ROOT / "README.md", "python")).replace('weights="default"', "weights=None")
    lines = [line for line in code.splitlines() if not line.startswith("run = ")]
    exec(compile("\n".join(lines), "README.md", "exec"), {})
