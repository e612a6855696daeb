"""The latency model: a kept table of measured subgraphs, and a line through whole networks."""

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from clockwork import Clockwork
from mobilenets.arch import build
from mobilenets.arch.cost import total
from mobilenets.arch.net import Net
from mobilenets.arch.rows import Inverted
from mobilenets.errors import UserError
from mobilenets.exporting.targets.onnx import graph_bytes
from mobilenets.nn.model import MobileNet
from mobilenets.runtime.engines.onnxruntime import make_session
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import parse_latency
from mobilenets.searching.latency.model import LatencyModel, errors
from mobilenets.searching.latency.subgraphs import subgraphs
from mobilenets.searching.latency.table import Conditions, LatencyTable
from mobilenets.searching.latency.timer import Part
from mobilenets.system.timing import Effort, Estimate, Measured


def narrow(name: str = "mobilenet_v2", **options: object) -> Net:
    return build(name, **{"width": 0.25, "num_classes": 3, **options})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("latency") / "table.json"


@pytest.fixture(scope="module")
def table(file: Path) -> Iterator[LatencyTable]:
    with LatencyTable(Conditions("onnxruntime", 1), file, Clockwork()) as table:
        yield table


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v4_conv_small"])
def test_the_pieces_of_a_network_compose_to_the_network(name: str) -> None:
    net = narrow(name)
    x = torch.zeros(1, 40, 40, 3, dtype=torch.uint8).numpy()
    for subgraph in subgraphs(net, 40):
        assert x.shape == subgraph.shape
        session = make_session(subgraph.content())
        (x,) = session.run(None, {"input": x.astype(subgraph.dtype)})
    assert x.shape == (1, 3)
    assert x.sum() == pytest.approx(1, abs=1e-5)


def test_equal_parts_of_different_networks_have_one_key() -> None:
    net = narrow("mobilenet_v3_small")
    changed = replace(net, blocks=(*net.blocks[:-1], replace(net.blocks[-1], exp=8)))
    ours, theirs = ([subgraph.key for subgraph in subgraphs(n, 64)] for n in (net, changed))
    assert [a == b for a, b in zip(ours, theirs, strict=True)].count(False) == 1
    assert all(a != b.key for a, b in zip(ours, subgraphs(net, 96), strict=True))  # the resolution is part of it
    row = net.blocks[0]
    assert isinstance(row, Inverted)
    for change in ({"kernel": 5}, {"se": 0}, {"act": "relu6"}, {"exp": 40}, {"stride": 1}, {"shortcut": False}):
        other = replace(net, blocks=(replace(row, **change), *net.blocks[1:]))
        assert list(subgraphs(other, 64))[1].key != ours[1], change


def test_what_was_measured_is_kept_and_not_measured_again(table: LatencyTable, file: Path) -> None:
    candidate = Candidate(narrow(), 32)
    (first,) = table.subgraphs_ms([candidate])
    (whole,) = table.networks_ms([candidate])
    content = file.read_bytes()
    with LatencyTable(Conditions("onnxruntime", 1), file) as again:
        assert again.subgraphs_ms([candidate]) == [first]
        assert again.networks_ms([candidate]) == [whole]
    assert file.read_bytes() == content
    assert 0 < whole < 2 * first


def test_the_engine_itself_times_pieces_and_networks_one_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    """On whatever machine: times are positive, their intervals hold them, and the process ends."""
    with LatencyTable(Conditions("onnxruntime", 1), tmp_path / "table.json") as table:
        (subgraphs_ms,) = table.subgraphs_ms([Candidate(narrow(), 32)])
        (whole,) = table.networks([Candidate(narrow(), 32)])
        factor = table.settle()
    assert subgraphs_ms > 0
    assert 0 < whole.low <= whole.seconds <= whole.high
    assert factor is None or 0 < factor < 1
    assert not multiprocessing.active_children()


def test_a_table_of_other_conditions_or_a_damaged_one_is_not_used(table: LatencyTable, file: Path) -> None:
    table.subgraphs_ms([Candidate(narrow(), 32)])
    assert len(LatencyTable(Conditions("onnxruntime", 1), file)) > 0
    assert len(LatencyTable(Conditions("openvino", 1), file)) == 0
    assert len(LatencyTable(Conditions("onnxruntime", 2), file)) == 0
    damaged = file.with_name("damaged.json")
    for text in ("", "[]", file.read_text()[:100], json.dumps({"format": 99})):
        damaged.write_text(text)
        assert len(LatencyTable(Conditions("onnxruntime", 1), damaged)) == 0


class _Told:
    """A timer that is told what each measurement gives: seconds of the one part, seconds of the reference."""

    def __init__(self, *rows: tuple[float, float]) -> None:
        self._rows = iter(rows)

    def measure(self, parts: Sequence[Part], effort: Effort) -> Measured:
        seconds, reference = (Estimate(s, s, s) for s in next(self._rows))
        return Measured([seconds][: len(parts)], reference)

    def close(self) -> None:
        pass


def test_one_measurement_disturbed_by_other_work_does_not_move_a_network(tmp_path: Path) -> None:
    #            network, reference
    timer = _Told((2.0, 1.0), (9.0, 1.0), (4.0, 2.0))  # then something else runs; then all takes twice as long
    with LatencyTable(Conditions(), tmp_path / "table.json", timer) as table:
        assert table.networks_ms([Candidate(narrow(), 32)]) == [2000.0]


def test_a_table_begun_beside_other_work_is_put_right_when_that_has_ended(tmp_path: Path) -> None:
    timer = _Told(*[(2.0, 1.0)] * 3, (0.0, 0.99), (0.0, 0.5))
    network = Candidate(narrow(), 32)
    with LatencyTable(Conditions(), tmp_path / "table.json", timer) as table:
        (before,) = table.networks_ms([network])
        assert table.settle() is None  # a hundredth is a warmer processor
        assert table.settle() == 0.5
        assert table.networks_ms([network]) == [before / 2]
    assert LatencyTable(Conditions(), tmp_path / "table.json").networks_ms([network]) == [before / 2]


def test_a_timer_that_was_given_is_closed_with_the_table(tmp_path: Path) -> None:
    timer = Clockwork()
    with LatencyTable(Conditions(), tmp_path / "table.json", timer) as table:
        table.subgraphs_ms([Candidate(narrow(), 32)])
    assert timer.asked > 10
    assert timer.closed


def test_measuring_leaves_the_random_numbers_of_a_search_alone(table: LatencyTable) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    table.networks_ms([Candidate(narrow(), 48)])
    assert torch.equal(torch.rand(2), expected)


def test_the_fitted_line_orders_networks_as_their_latencies_do(table: LatencyTable) -> None:
    sizes, widths = (32, 96, 160), (0.25, 0.5, 0.75, 1.0)
    candidates = [Candidate(build("mobilenet_v2", width=w, num_classes=3), size) for w in widths for size in sizes]
    model = LatencyModel.fit(table, candidates)
    predicted, measured = model.predict(candidates), table.networks_ms(candidates)
    result = errors(predicted, measured)
    assert result.n == 12
    assert result.spearman > 0.99  # benchmarks/search.py has the figures of real engines
    assert result.mape < 0.03


class _Known:
    """A table that knows: they take a nanosecond per multiply-add, whole networks `c` more per million parameters."""

    def __init__(self, c: float) -> None:
        self.c = c

    def subgraphs_ms(self, candidates: Sequence[Candidate]) -> list[float]:
        return [total(c.net, c.size)[1] / 1e6 for c in candidates]

    def networks_ms(self, candidates: Sequence[Candidate]) -> list[float]:
        millions = [total(c.net, c.size)[0] / 1e6 for c in candidates]
        return [1.5 * ms + 0.25 + self.c * m for ms, m in zip(self.subgraphs_ms(candidates), millions, strict=True)]


@pytest.mark.parametrize("c", [0.0, 0.125])
def test_the_fit_finds_what_a_network_costs_besides_its_pieces(c: float) -> None:
    candidates = [
        Candidate(build("mobilenet_v2", width=w, num_classes=3), size)
        for w in (0.25, 0.5, 0.75, 1.0)
        for size in (32, 96, 160)
    ]
    model = LatencyModel.fit(cast(LatencyTable, _Known(c)), candidates)
    assert (model.slope, model.intercept, model.per_million) == pytest.approx((1.5, 0.25, c), abs=1e-6)
    other = [Candidate(build("mobilenet_v3_large", num_classes=3), 224)]
    assert model.predict(other) == pytest.approx(_Known(c).networks_ms(other))


def test_no_parameter_is_fetched_in_less_than_no_time() -> None:
    candidates = [Candidate(narrow(width=w), size) for w in (0.25, 0.5, 0.75, 1.0) for size in (64, 96, 160)]
    assert LatencyModel.fit(cast(LatencyTable, _Known(-0.1)), candidates).per_million == 0


def test_too_few_networks_are_refused(table: LatencyTable) -> None:
    with pytest.raises(ValueError, match="10 or more"):
        LatencyModel.fit(table, [Candidate(narrow(), 32)] * 9)


@pytest.mark.slow
def test_openvino_measures_too(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    with LatencyTable(Conditions("openvino", 1), tmp_path / "table.json") as table:
        (ms,) = table.networks_ms([Candidate(narrow(), 32)])
    assert ms > 0


def test_an_engine_that_cannot_measure_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"--engine litert: .*onnxruntime or openvino"):
        Conditions("litert")
    with pytest.raises(UserError, match=r"--threads: 0"):
        Conditions(threads=0)


def test_errors_are_those_of_the_textbook() -> None:
    result = errors([1.1, 1.8, 4.0], [1.0, 2.0, 4.0])
    assert result.mape == pytest.approx((0.1 + 0.1 + 0) / 3)
    assert result.spearman == pytest.approx(1)
    assert errors([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).spearman == pytest.approx(-1)


def test_a_part_of_a_network_is_exported_as_it_computes() -> None:
    torch.manual_seed(0)
    block = MobileNet(narrow("mobilenet_v3_small", flavor="tf")).eval().blocks[0]
    x = torch.randn(1, 16, 17, 17)
    (y,) = make_session(graph_bytes(block, x, "input", "output")).run(None, {"input": x.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(y, block(x).numpy(), atol=1e-5)


@pytest.mark.parametrize(("text", "ms"), [("2.0ms", 2.0), ("2", 2.0), ("1500us", 1.5), ("0.002 s", 2.0), ("3µs", 3e-3)])
def test_a_latency_is_read_with_its_unit(text: str, ms: float) -> None:
    assert parse_latency(text) == pytest.approx(ms)


@pytest.mark.parametrize("text", ["", "ms", "fast", "-1ms", "0", "nan", "inf", "2 hours", "1e999"])
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"2\.0ms"):
        parse_latency(text)
