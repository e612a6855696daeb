"""docs/tasks.md says what each command does with a run of each task: what it refuses, and what it does at once."""

import re
from pathlib import Path

import pytest

import four
from conftest import Cli

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
TASKS = ("classify", "multilabel", "detect", "anomaly")  # the columns
COMMANDS = {
    "predict": "predict RUN PHOTO --engine onnxruntime",
    "predict --save": "predict RUN PHOTO --engine onnxruntime --save sheet.png",
    "predict --accept": "predict RUN PHOTO --engine onnxruntime --accept 0.9",
    "predict --sort-into": "predict RUN PHOTO --engine onnxruntime --sort-into sorted",
    "predict --tile": "predict RUN PHOTO --engine onnxruntime --tile 100",
    "evaluate": "evaluate RUN DATA --engine onnxruntime",
    "evaluate --unknown": "evaluate RUN DATA --engine onnxruntime --unknown PHOTO",
    "audit": "audit DATA --weights none",
    "show": "show RUN",
    "explain": "explain RUN PHOTO",
    "export --to onnx": "export RUN --to onnx --out onnx",
    "export --to onnx --int8": "export RUN --to onnx --int8 --out int8",
    "export --to web": "export RUN --to web --out web",
    "embed": "embed RUN PHOTO --engine onnxruntime --out features.npy",
    "similar among the training photos": "similar RUN PHOTO --engine onnxruntime",
    "similar --among": "similar RUN PHOTO --engine onnxruntime --among PHOTO",
    "label-next --from": "label-next FOLDER --from RUN --out next.csv",
    "add-class": "add-class RUN FOLDER --name new --out added",
    "search": "search DATA --from RUN --latency 1ms --out found",
    "train --from": "train DATA --from RUN --out on",
    "serve --label": "serve RUN --port 0 --engine onnxruntime --label LIST",
}
# What is ticked and takes long, or does not end; each has tests of its own.
NOT_RUN = {"export --to onnx --int8", "export --to web", "search", "train --from", "serve --label", "label-next --from"}
NOT_RUN |= {"add-class", "export --to onnx", "explain"}


def _table(page: Path = PAGE) -> dict[str, list[str]]:
    rows = re.findall(
        r"^\| `(.+?)`(.*?) \| (.) \| (.) \| (.) \| (.) \|$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {command + rest: list(cells) for command, rest, *cells in rows}


def test_every_row_is_known_and_every_command_has_one() -> None:
    table = _table()
    assert table.keys() == COMMANDS.keys()
    assert {cell for cells in table.values() for cell in cells} == {"✓", "–"}
    assert list(_table(PAGE.parent / "zh" / PAGE.name).values()) == list(table.values())


@pytest.mark.parametrize("task", TASKS)
def test_what_the_page_ticks_works_and_the_rest_is_refused_in_one_line_with_the_remedy(
    task: str, tmp_path: Path, cli: Cli
) -> None:
    tiny = four.RUNS[task](tmp_path)
    (tmp_path / "list.csv").write_text(f"path,label,rank\n{tiny.photo},,1\n")
    places = {
        "RUN": tiny.run, "DATA": tiny.data, "PHOTO": tiny.photo, "FOLDER": tiny.photo.parent,
        "LIST": tmp_path / "list.csv",
    }  # fmt: skip
    for command, cells in _table().items():
        works = cells[TASKS.index(task)] == "✓"
        if works and command in NOT_RUN:
            continue
        (tmp_path / command.replace(" ", "_")).mkdir()
        done = cli(
            *[places.get(word, word) for word in COMMANDS[command].split()], cwd=tmp_path / command.replace(" ", "_")
        )
        lines = [line for line in done.stderr.splitlines() if "/s]" not in line]  # but for progress
        assert "Traceback" not in done.stderr, command
        assert done.returncode == (0 if works else 2), (command, done.stderr)
        if not works:
            assert done.stdout == "", command
            assert re.search("[;:] .*(use|give|leave|train|draws)", lines[-1]), (command, lines)
