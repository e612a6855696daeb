"""A search from end to end: what it writes, and what it refuses."""

import json
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from clockwork import Clockwork
from mobilenets.errors import UserError
from mobilenets.model_card import read_card, read_tensors
from mobilenets.nn.model import MobileNet
from mobilenets.searching.candidate import Candidate
from mobilenets.searching.config import SearchConfig
from mobilenets.searching.context import SearchContext
from mobilenets.searching.distill import whole_network_recipe
from mobilenets.searching.job import resume, search
from mobilenets.searching.pruning.groups import channel_groups

Trained = tuple[Path, Path]


@pytest.fixture(autouse=True)
def own_cache(latency_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENETS_HOME", str(latency_home))


def _latency_ms(trained: Trained) -> float:
    nothing = search(SearchConfig(str(trained[1]), str(trained[0]), 1e6), timer=Clockwork())
    return float(nothing.summary["seed_latency_ms"])


def test_photographs_that_changed_are_told_and_left_out(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = shutil.copytree(trained[1], tmp_path / "photos")
    broken = next(iter(SearchContext(trained[0], photos).splits.train)).path
    broken.write_bytes(b"no photo")
    parts = SearchContext(trained[0], photos).splits
    assert f"1 photo is changed and left out: {broken.relative_to(photos)}" in capsys.readouterr().err
    assert len(parts.train) == len(SearchContext(*trained).splits.train) - 1
    for photo in (photos / "rose").iterdir():
        photo.write_bytes(b"no photo")
    with pytest.raises(UserError, match="no training photo of rose is left"):
        search(SearchConfig(str(photos), str(trained[0]), 0.9 * _latency_ms(trained)), tmp_path / "out", Clockwork())
    assert not (tmp_path / "out").exists()


def test_a_search_gives_an_ordinary_run_within_the_budget(searched: Path, trained: Trained) -> None:
    summary = json.loads((searched / "search.json").read_text())
    assert {
        "engine", "threads", "seed_latency_ms", "budget_ms", "latency_ms", "predicted_ms", "seed_accuracy", "accuracy",
        "steps",
    } <= set(summary)  # fmt: skip
    assert summary["latency_ms"] <= summary["budget_ms"] < summary["seed_latency_ms"]
    assert summary["accuracy"] == json.loads((searched / "metrics.json").read_text())["accuracy"]
    assert summary["steps"][-1]["latency_ms"] == summary["latency_ms"]
    for step in summary["steps"]:
        assert step["after"] < step["before"]
        assert 1 <= len(step["tuned"]) <= 3
    for file in (
        "model.onnx",
        "model.safetensors",
        "card.json",
        "class_indices.json",
        "report.html",
        "history.csv",
        "config.yaml",
    ):
        assert (searched / file).exists(), file
    assert (searched / "data.csv").read_bytes() == (trained[0] / "data.csv").read_bytes()
    seed, card = read_card(trained[0]), read_card(searched)
    assert card.classes == seed.classes
    assert card.net != seed.net or card.preprocess.size < seed.preprocess.size
    assert channel_groups(card.net).rows == channel_groups(seed.net).rows
    assert {k: v.shape for k, v in read_tensors(searched / "model.safetensors").items()} == {
        k: tuple(v.shape) for k, v in MobileNet(card.net).state_dict().items()
    }


def test_what_was_found_is_taken_up_again_with_the_data_and_the_split_of_its_seed(
    searched: Path, trained: Trained
) -> None:
    seed, again = SearchContext(*trained), SearchContext(searched, trained[1])
    for name in ("train", "rest", "holdout", "val"):
        assert list(getattr(again.splits, name)) == list(getattr(seed.splits, name)), name
    assert again.base_candidate == Candidate(read_card(searched).net, read_card(searched).preprocess.size)
    assert again.recipe == whole_network_recipe(seed.recipe, epochs=3)


def test_the_page_tells_the_path_and_loads_nothing(searched: Path) -> None:
    page = (searched / "search.html").read_text(encoding="utf-8")
    for text in ("The path", "What was cut where", "Step by step", "predicted ms", "<svg"):
        assert text in page
    assert SearchConfig(**json.loads((searched / "search.json").read_text())["asked"]).command() in unescape(page)
    assert "http" not in page
    assert "<script" not in page


def test_create_loads_what_was_found(searched: Path) -> None:
    import mobilenets as mn

    model = mn.create("mobilenet_v2", weights=searched / "model.safetensors")
    assert model.net == read_card(searched).net
    assert model.provenance["classifier"] == "pretrained"


def test_the_same_search_gives_the_same_weights(searched: Path, tmp_path: Path) -> None:
    """Latencies come from the table, everything else from the seed."""
    config = SearchConfig(**json.loads((searched / "search.json").read_text())["asked"])
    search(config, tmp_path / "again", Clockwork())
    first, second = (read_tensors(f / "model.safetensors") for f in (searched, tmp_path / "again"))
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name], err_msg=name)


def test_a_budget_out_of_reach_says_the_smallest_possible(trained: Trained, tmp_path: Path) -> None:
    run, data = trained
    with pytest.raises(UserError, match=r"out of reach of .*; the smallest possible is 0\.\d+ ms"):
        search(SearchConfig(str(data), str(run), 1e-5), tmp_path / "out", Clockwork())
    assert not (tmp_path / "out").exists()


def test_wrong_runs_and_data_are_named(trained: Trained, tmp_path: Path, photos: Path) -> None:
    run, data = trained
    with pytest.raises(UserError, match=r"nowhere: is no run folder"):
        search(SearchConfig(str(data), str(tmp_path / "nowhere"), 1.0), tmp_path / "out")
    with pytest.raises(UserError, match=r"gone: no such file or folder"):
        search(SearchConfig(str(tmp_path / "gone"), str(run), 1.0), tmp_path / "out")
    with pytest.raises(UserError, match=r"its classes are not those of"):
        search(SearchConfig(str(photos), str(run), 1.0), tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        search(SearchConfig(str(data), str(run), 1.0), tmp_path)
    with pytest.raises(UserError, match="no search to go on with"):
        resume(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "search.json").write_text("[")
    with pytest.raises(UserError, match="damaged"):
        resume(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("method", "magic"), ("minutes", 0), ("seed", -1), ("tune", -1), ("epochs", 0)]
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"--{name}"):
        SearchConfig("data", "run", 1.0, **{name: value})
