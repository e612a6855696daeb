"""`mobilenets models`: the catalogue for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mobilenets.weights.catalog import CATALOG, COCO


def test_every_checkpoint_is_a_line(cli) -> None:
    result = cli("models")
    head, *rows, note = result.stdout.splitlines()
    assert result.returncode == 0, result.stderr
    assert head.split() == ["model", "width", "tag", "params", "MACs", "top-1", "licence"]
    assert len(rows) == len(CATALOG + COCO)
    assert note.startswith("* the default")


def test_a_line_tells_cost_accuracy_and_licence(cli) -> None:
    (row,) = cli("models", "mobilenet_v2/torchvision-v1").stdout.splitlines()[1:-1]
    assert " ".join(row.split()) == "mobilenet_v2 1 torchvision-v1 3.50 M 300.8 M 71.9 @224 BSD-3-Clause"


def test_a_detector_tells_its_map(cli) -> None:
    (row,) = cli("models", "ssdlite*").stdout.splitlines()[1:-1]
    expected = "ssdlite_mobilenet_v3_large 1 torchvision-coco * 3.44 M 583.2 M mAP 21.3 @320 BSD-3-Clause"
    assert " ".join(row.split()) == expected
    (found,) = json.loads(cli("models", "ssdlite*", "--json").stdout)
    assert (found["top1"], found["map"]) == (None, 21.3)


def test_cost_is_that_of_the_size_at_which_the_accuracy_holds(cli) -> None:
    (row,) = json.loads(cli("models", "mobilenet_v2/keras-96", "--json").stdout)[:1]
    assert (row["size"], row["top1"]) == (96, 60.3)
    assert row["macs"] == pytest.approx(56e6, rel=0.02)  # the published figure


def test_one_default_is_marked_for_every_network_and_width(cli) -> None:
    rows = json.loads(cli("models", "--json").stdout)
    defaults = [(row["model"], row["width"]) for row in rows if row["default"]]
    assert len(set(defaults)) == len(defaults)
    assert set(defaults) == {(c.model, c.width) for c in CATALOG + COCO}
    assert {r["tag"] for r in rows if r["default"] and r["model"] == "mobilenet_v3_large" and r["width"] == 1} == {
        "timm-miil_in21k_ft_in1k"
    }


def test_the_pattern_chooses_models_or_tags(cli) -> None:
    assert {row["model"] for row in json.loads(cli("models", "*v4*", "--json").stdout)} == {
        "mobilenet_v4_conv_small",
        "mobilenet_v4_conv_medium",
        "mobilenet_v4_conv_large",
    }
    assert {row["tag"] for row in json.loads(cli("models", "*/torchvision-v2", "--json").stdout)} == {"torchvision-v2"}


@pytest.mark.parametrize("arguments", [["resnet*"], ["?", "--json"], ["mobilenet_v2/nothing"]])
def test_no_match_is_told_in_one_line_with_the_models_there_are(cli, arguments: list[str]) -> None:
    result = cli("models", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert "no published weights match" in line
    assert "mobilenet_v3_small_minimal" in line


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from mobilenets.cli.main import main; main(['models', '*v1*']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
