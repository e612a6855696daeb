"""The report says where the unknown begins and shows the strangest training photographs."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mobilenets.features.images import ImageFeatures
from mobilenets.features.index import build_index
from mobilenets.features.known import Known
from mobilenets.model_card import read_card
from mobilenets.report.known_section import known_section
from mobilenets.report.run_report import write_report
from mobilenets.runtime.index_file import find_index


def test_the_ten_strangest_are_shown_the_strangest_first_with_what_they_are_most_like(
    trained: tuple[Path, Path],
) -> None:
    run, data = trained
    section = known_section(run, read_card(run))
    assert section is not None
    assert len(section.strangest) == 10
    distances = [each.distance for each in section.strangest]
    assert distances == sorted(distances, reverse=True)
    for each in section.strangest:
        assert (data / each.path).is_file()
        assert (each.label, each.nearest_label) == (Path(each.path).parts[0], Path(each.nearest).parts[0])
        assert each.image.uri is not None
    assert section.chart is not None
    assert sum(int(bar.title.split()[0]) for bar in section.chart.bars) == len(
        find_index(run, read_card(run)).known.distances
    )


def test_the_page_has_the_section_and_one_without_an_index_has_not(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run = shutil.copytree(trained[0], tmp_path / "run")
    write_report(run)
    page = (run / "report.html").read_text()
    assert 'id="known"' in page
    assert "training photos least like the others" in page
    assert len(re.findall(r"[\d.]+ from <bdi>", page)) == 10
    (run / "index.safetensors").unlink()
    write_report(run)
    assert 'id="known"' not in (run / "report.html").read_text()


def test_photographs_that_are_gone_are_named(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run = shutil.copytree(trained[0], tmp_path / "run")
    (run / "data.csv").unlink()
    section = known_section(run, read_card(run))
    assert section is not None
    assert [each.image.uri for each in section.strangest] == [None] * 10


def test_a_single_photograph_has_none_to_be_unlike() -> None:
    one = ImageFeatures.of(np.ones((1, 4)), np.zeros(1, np.int64), ["a"])
    alone = build_index(one, one, "")
    assert alone.strangest(10) == []


@pytest.mark.parametrize(("count", "farthest"), [(5, None), (99, 0.95)])
def test_the_unknown_begins_where_the_known_are_no_longer_accepted(count: int, farthest: float | None) -> None:
    distances = np.arange(1, count + 1) / 100
    assert Known.of(distances).farthest(0.95) == (None if farthest is None else pytest.approx(farthest))
