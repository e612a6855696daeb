"""The block search from end to end, on a tiny run."""

import json
import time
from pathlib import Path

import pytest

from clockwork import Clockwork
from conftest import Cli
from mobilenets.arch import build
from mobilenets.arch.cost import total
from mobilenets.errors import UserError
from mobilenets.model_card import read_card
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.evolution.blocks import BlockSearch, random_candidates
from mobilenets.searching.evolution.evolve import EvaluatedCandidate, Evaluator, EvolutionPlan, evolve
from mobilenets.searching.evolution.space import ArchConfig, SearchSpace
from mobilenets.searching.job import resume, search
from mobilenets.searching.latency.model import LatencyModel
from mobilenets.searching.latency.table import Conditions, LatencyTable
from mobilenets.searching.state import SearchState
from mobilenets.training.interrupt import Interrupt
from mobilenets.weights.create import create

Trained = tuple[Path, Path]


@pytest.fixture(autouse=True)
def own_cache(latency_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(latency_home))


def _ask(trained: Trained, **options: object) -> SearchConfig:
    """Half of the seed's latency, with as little training as there is."""
    run, data = trained
    with LatencyTable(Conditions(), timer=Clockwork()) as table:
        card = read_card(run)
        (ms,) = table.networks_ms([Candidate(card.net, card.preprocess.size)])
    asked = {"latency_ms": 0.7 * ms, "method": "evolve", "tune": 2, "evaluations": 6, "epochs": 1, **options}
    return SearchConfig(data=str(data), run=str(run), **asked)  # type: ignore[arg-type]  # of several types


@pytest.fixture(scope="module")
def found(trained: Trained, latency_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOBILENETS_HOME", str(latency_home))
        result = search(_ask(trained), tmp_path_factory.mktemp("blocks") / "found", Clockwork())
    assert result.path is not None
    return result.path


def test_a_block_search_ends_in_an_ordinary_run_within_the_budget(trained: Trained, found: Path) -> None:
    card = read_card(found)
    assert card.net != read_card(trained[0]).net
    for name in ("model.onnx", "metrics.json", "report.html", "predictions.csv", "search.html"):
        assert (found / name).is_file(), name
    told = json.loads((found / "search.json").read_text())
    assert told["method"] == "evolve"
    assert told["latency_ms"] <= told["budget_ms"] < told["seed_latency_ms"]
    assert told["accuracy"] == card.metrics["accuracy"]


def test_what_was_found_is_shown_and_created_like_any_other(found: Path, cli: Cli) -> None:
    card = read_card(found)
    shown = cli("show", found)
    assert shown.returncode == 0
    assert f"at {card.preprocess.size}x{card.preprocess.size}" in shown.stdout
    assert len([line for line in shown.stdout.splitlines() if "bneck" in line]) == len(card.net.blocks)
    assert create(card.name, weights=found / "model.safetensors").net == card.net


def test_search_json_has_every_network_that_was_judged_and_ends_with_the_one_taken(
    trained: Trained, found: Path
) -> None:
    told = json.loads((found / "search.json").read_text())
    seed = read_card(trained[0])
    space = SearchSpace(seed.net, seed.preprocess.size)
    assert len(told["judged"]) == 6
    archs = [ArchConfig.from_genotype(row["genes"]) for row in told["judged"]]
    assert len(set(archs)) == 6
    assert all(arch in space for arch in archs)
    assert all(row["predicted_ms"] <= told["budget_ms"] for row in told["judged"])
    assert space.net(ArchConfig.from_genotype(told["steps"][-1]["genes"])) == read_card(found).net


def test_the_page_shows_the_front_and_the_finalists(found: Path) -> None:
    page = (found / "search.html").read_text()
    assert "The front" in page
    assert "Finalists" in page
    assert page.count("<circle") >= 6


def test_a_search_stopped_while_judging_goes_on_to_the_same_network(
    trained: Trained, found: Path, tmp_path: Path
) -> None:
    told = json.loads((found / "search.json").read_text())
    config = SearchConfig(**told["asked"])
    ctx = SearchContext(Path(config.run), Path(config.data), config.seed)
    state = SearchState(tmp_path / "stopped", config, base={"latency_ms": told["seed_latency_ms"]})
    with LatencyTable(Conditions(), timer=Clockwork()) as table, Interrupt() as interrupt:
        latency = LatencyModel(table, *(told["latency_model"][key] for key in ("slope", "intercept", "per_million")))

        def stops(evaluator: Evaluator, plan: EvolutionPlan, seed: int) -> list[EvaluatedCandidate]:
            evolve(evaluator, EvolutionPlan(3), seed)
            interrupt.requested = True
            return evolve(evaluator, plan, seed)

        assert not BlockSearch(ctx, latency, state, stops).run(interrupt, time.monotonic() + 60)
    assert len(state.evaluated) == 4
    assert not (state.folder / "model.safetensors").exists()
    resume(state.folder, timer=Clockwork())
    again = json.loads((state.folder / "search.json").read_text())
    assert again["judged"] == told["judged"]
    assert again["accuracy"] == told["accuracy"]
    assert read_card(found).net == read_card(state.folder).net


def test_a_budget_below_the_smallest_network_is_refused_and_nothing_is_written(
    trained: Trained, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="the smallest possible is"):
        search(_ask(trained, latency_ms=0.001), tmp_path / "none", Clockwork())
    assert not (tmp_path / "none").exists()


def test_random_networks_come_from_everywhere_the_lightest_and_the_heaviest_among_them() -> None:
    seed = Candidate(build("mobilenet_v2", num_classes=3), 128)
    found = random_candidates(seed, 12, 0)
    assert found == random_candidates(seed, 12, 0)
    assert len({c.size for c in found}) > 2
    space = SearchSpace(seed.net, seed.size)
    parameters = sorted(total(c.net, c.size)[0] for c in found)
    for chosen, extreme in ((space.smallest, parameters[0]), (space.largest, parameters[-1])):
        assert total(space.net(chosen), chosen.size)[0] == extreme
    assert sum(2 * p > parameters[-1] for p in parameters) > 2  # not only middling ones between them


@pytest.mark.parametrize("options", [{"evaluations": 5}, {"exponent": -0.07}])
def test_what_only_evolve_knows_is_refused_for_netadapt(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="is for --method evolve"):
        SearchConfig("data", "run", 1.0, **options)  # type: ignore[arg-type]  # an int or a float


@pytest.mark.parametrize("exponent", [0.5, -11.0, float("nan")])
def test_an_exponent_that_rewards_slowness_is_refused(exponent: float) -> None:
    with pytest.raises(UserError, match="--exponent"):
        SearchConfig("data", "run", 1.0, method="evolve", exponent=exponent)
