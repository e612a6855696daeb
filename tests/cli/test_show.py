"""`mobilenets show` as a user runs it: the paper's table, what it adds up to, and wrong use."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from mobilenets.arch import NAMES, build
from mobilenets.arch.cost import total

Cli = Callable[..., subprocess.CompletedProcess[str]]


def _rows(output: str) -> list[list[str]]:
    """Cells of the printed table, without its heading; columns are at least two spaces apart."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]
    return [cells for cells in lines if len(cells) == 9 and cells[0] != "Input"]


def _number(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_v3_small_prints_table_2_of_its_paper(cli: Cli) -> None:
    result = cli("show", "mobilenet_v3_small")
    assert (result.returncode, result.stderr) == (0, "")
    rows = [tuple(cells[:7]) for cells in _rows(result.stdout)]
    assert rows == [
        ("224x224x3", "conv2d, 3x3", "-", "16", "-", "HS", "2"),
        ("112x112x16", "bneck, 3x3", "16", "16", "yes", "RE", "2"),
        ("56x56x16", "bneck, 3x3", "72", "24", "-", "RE", "2"),
        ("28x28x24", "bneck, 3x3", "88", "24", "-", "RE", "1"),
        ("28x28x24", "bneck, 5x5", "96", "40", "yes", "HS", "2"),
        ("14x14x40", "bneck, 5x5", "240", "40", "yes", "HS", "1"),
        ("14x14x40", "bneck, 5x5", "240", "40", "yes", "HS", "1"),
        ("14x14x40", "bneck, 5x5", "120", "48", "yes", "HS", "1"),
        ("14x14x48", "bneck, 5x5", "144", "48", "yes", "HS", "1"),
        ("14x14x48", "bneck, 5x5", "288", "96", "yes", "HS", "2"),
        ("7x7x96", "bneck, 5x5", "576", "96", "yes", "HS", "1"),
        ("7x7x96", "bneck, 5x5", "576", "96", "yes", "HS", "1"),
        ("7x7x96", "conv2d, 1x1", "-", "576", "-", "HS", "1"),
        ("7x7x576", "pool, 7x7", "-", "-", "-", "-", "-"),
        ("1x1x576", "conv2d, 1x1, NBN", "-", "1024", "-", "HS", "1"),
        ("1x1x1024", "linear", "-", "1000", "-", "-", "1"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_rows_add_up_to_the_printed_totals(cli: Cli, name: str) -> None:
    output = cli("show", name, "--width", "0.75", "--size", "161", "--classes", "5").stdout
    params, macs = total(build(name, width=0.75, num_classes=5), 161)
    rows = _rows(output)
    assert (sum(_number(row[7]) for row in rows), sum(_number(row[8]) for row in rows)) == (params, macs)
    assert re.search(rf"^parameters +{params:,} ", output, re.MULTILINE)
    assert re.search(rf"^MACs +{macs:,} .*161x161$", output, re.MULTILINE)


def test_dilation_and_the_four_kinds_of_v4s_block_are_named(cli: Cli) -> None:
    output = cli("show", "mobilenet_v4_conv_medium", "--output-stride", "16").stdout
    operators = {row[1] for row in _rows(output)}
    assert {"fused IB, 3x3", "extra DW, 3x3 5x5", "ConvNext, 3x3", "FFN", "extra DW, 5x5 5x5, dilated 2"} <= operators
    assert [row[0] for row in _rows(output)][-3] == "14x14x960"
    small = cli("show", "mobilenet_v4_conv_small", "--output-stride", "16").stdout
    assert "IB, 5x5, dilated 2" in {row[1] for row in _rows(small)}


def test_options_reach_the_table(cli: Cli) -> None:
    output = cli("show", "mobilenet_v3_large", "--flavor", "torchvision", "--reduced-tail", "--classes", "0").stdout
    rows = _rows(output)
    assert "flavor torchvision" in output
    assert [row[3] for row in rows][-3:] == ["480", "-", "640"]
    assert "linear" not in {row[1] for row in rows}


def test_without_hidden_layer_and_classifier_the_table_ends_with_pooling(cli: Cli) -> None:
    assert _rows(cli("show", "mobilenet_v2", "--classes", "0").stdout)[-1][:2] == ["7x7x1280", "pool, 7x7"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["mobilenet_v9"], ["mobilenet_v9", *NAMES]),
        (["mobilenet_v2", "--width", "0"], ["width"]),
        (["mobilenet_v2", "--width", "nan"], ["width"]),
        (["mobilenet_v2", "--width", "wide"], ["--width", "wide"]),
        (["mobilenet_v2", "--width", "16", "--classes", "90000"], ["weights"]),
        (["mobilenet_v2", "--size", "31"], ["size", "32"]),
        (["mobilenet_v2", "--size", "9000"], ["--size", "8192"]),
        (["mobilenet_v2", "--flavor", "caffe"], ["caffe", "torchvision, timm, tf"]),
        (["mobilenet_v1", "--flavor", "torchvision"], ["mobilenet_v1", "timm or tf"]),
        (["mobilenet_v4_conv_small", "--flavor", "tf"], ["mobilenet_v4_conv_small", "timm"]),
        (["mobilenet_v2", "--reduced-tail"], ["reduced_tail", "V3"]),
        (["mobilenet_v2", "--output-stride", "4"], ["output_stride", "8, 16, 32"]),
        (["mobilenet_v2", "--classes", "-1"], ["num_classes"]),
        ([], ["MODEL"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("mobilenet_v") else None,
)
def test_wrong_use_is_told_in_one_line(cli: Cli, arguments: list[str], named: list[str]) -> None:
    result = cli("show", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.strip().splitlines()) == 1
    assert all(name in result.stderr for name in named), result.stderr


def test_showing_a_network_does_not_load_torch() -> None:
    code = (
        "import sys; from mobilenets.cli.main import main\n"
        "try: main(['show', 'mobilenet_v2'])\n"
        "except SystemExit: pass\n"
        "print('loaded:', *sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mobilenet_v2, width 1" in result.stdout
    assert result.stdout.splitlines()[-1].strip() == "loaded:"
