"""A trained run on tiny photographs, and a latency that needs no clock."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from conftest import write_photos
from mobilenets.search.latency import Candidate
from mobilenets.spec.cost import total
from mobilenets.training.run import train


class Counted:
    """A latency model by multiply-adds, for tests of what is done with latencies: a million are a millisecond."""

    def predict(self, candidates: Iterable[Candidate]) -> list[float]:
        return [total(c.net, c.size)[1] / 1e6 for c in candidates]


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, its data): two classes of tiny photographs."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_photos(folder / "photos", ("daisy", "rose"), 20, size=40)
    run = train(
        data, folder / "run", {"batch_size": 8}, model="mobilenet_v2", width=0.35, recipe="scratch", epochs=1, size=48,
        precision="fp32", device="cpu",
    )  # fmt: skip
    return run.path, data
