"""What the documentation says can be done: every command parses, every relative link leads somewhere, Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from mobilenets.cli.parser import parse
from mobilenets.training.run import train

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
COMMAND = re.compile(r"^(?:.*&& )?(mobilenets [a-z].*?)(?:\s+#.*)?$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)\)")


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


COMMANDS = [(page.name, c) for page in PAGES for block in _blocks(page, "") for c in COMMAND.findall(block)]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_documented_command_is_one_the_program_takes(page: str, command: str) -> None:
    parse(shlex.split(command)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


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
