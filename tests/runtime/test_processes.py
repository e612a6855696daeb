"""A classifier in threads, copies, spawned processes and forked ones."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

import mobilenets as mn
from mobilenets.errors import UserError
from mobilenets.exporting.targets.onnx import export_onnx
from mobilenets.nn.io import write_network
from mobilenets.runtime.classifier import Classifier
from mobilenets.runtime.engines.torch import TorchEngine
from small import card_of, expected, network, noise

ENGINES = ["onnxruntime", "openvino", "torch"]
PIXELS = noise(4, card_of(network()).preprocess)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    model = network()
    export_onnx(model, card_of(model), folder / "model.onnx")
    write_network(folder / "model.safetensors", model, card_of(model))
    return folder


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """What the network in torch gives."""
    model = network()
    return expected(model, card_of(model).preprocess, PIXELS)


def _same(found: np.ndarray, rows: np.ndarray) -> bool:
    np.testing.assert_allclose(found, rows, atol=1e-4)
    return True


@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_and_a_pickle_open_the_same_file_in_the_same_engine(
    run_folder: Path, rows: np.ndarray, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run_folder.parent)
    classifier = mn.load(run_folder.name, engine, threads=2)
    content = pickle.dumps(classifier)
    assert len(content) < 20_000  # no weights
    monkeypatch.chdir("/")
    for other in (pickle.loads(content), copy.deepcopy(classifier), copy.copy(classifier)):
        assert _same(other.probabilities(PIXELS), rows)
        assert other._engine.origin == classifier._engine.origin
        assert other._engine.origin.threads == 2
        assert other.classes == classifier.classes


def test_a_network_in_memory_is_pickled_as_a_whole(rows: np.ndarray) -> None:
    model = network()
    classifier = Classifier(TorchEngine(model, card_of(model)))
    assert _same(pickle.loads(pickle.dumps(classifier)).probabilities(PIXELS), rows)


def test_a_file_that_is_gone_or_another_is_told_where_the_pickle_is_opened(run_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes((run_folder / "model.onnx").read_bytes())
    content = pickle.dumps(mn.load(path, "onnxruntime"))
    model = network("mobilenet_v2")
    export_onnx(model, card_of(model), path)
    with pytest.raises(UserError, match=r"model\.onnx: holds another model"):
        pickle.loads(content)
    path.unlink()
    with pytest.raises(UserError, match=r"model\.onnx"):
        pickle.loads(content)


@pytest.mark.parametrize("engine", ENGINES)
def test_four_threads_get_the_answers_of_one(run_folder: Path, rows: np.ndarray, engine: str) -> None:
    classifier = mn.load(run_folder, engine, threads=1)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: classifier.probabilities(PIXELS), range(24)):
            assert _same(found, rows)


def test_a_spawned_process_has_it_handed_over(run_folder: Path, rows: np.ndarray) -> None:
    classifier = mn.load(run_folder, "onnxruntime")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert _same(pool.submit(classifier.probabilities, PIXELS).result(timeout=100), rows)


def test_joblibs_processes_have_it_handed_over(run_folder: Path, rows: np.ndarray) -> None:
    classifier = mn.load(run_folder, "onnxruntime")
    try:
        (found,) = joblib.Parallel(n_jobs=2)([joblib.delayed(classifier.probabilities)(PIXELS)])
    finally:
        get_reusable_executor().shutdown()  # or its processes stay for later tests
    assert _same(found, rows)


def _forked(work: Callable[[], np.ndarray]) -> np.ndarray:
    """What `work` gives in a process that is forked here; a fault is raised, waiting in vain too."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            sender.send(work())
        finally:
            os._exit(0)
    sender.close()
    try:
        assert receiver.poll(60), "the forked process gives no answer"
        found: np.ndarray = receiver.recv()
        return found
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_forked_process_predicts_with_what_was_in_use_before(run_folder: Path, engine: str) -> None:
    """In a process of its own: what other tests left open in this one, with its threads, is not to be forked."""
    code = f"import runpy, sys; runpy.run_path({__file__!r})['_fork'](sys.argv[1], sys.argv[2])"
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", code, str(run_folder), engine]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300
    )
    assert (result.returncode, result.stdout) == (0, "all the same\n"), result.stderr


def _fork(run_folder: str, engine: str) -> None:
    model = network()
    rows = expected(model, card_of(model).preprocess, PIXELS)
    classifier = mn.load(run_folder, engine, threads=4)
    many = partial(_many, classifier, list(PIXELS))
    assert _same(classifier.probabilities(PIXELS), rows)
    first = many()
    assert _same(_forked(partial(classifier.probabilities, PIXELS)), rows)
    assert _same(_forked(many), first)
    assert _same(_forked(lambda: _forked(many)), first)  # a process that is forked from a forked one
    assert _same(classifier.probabilities(PIXELS), rows)
    print("all the same", flush=True)


def _many(classifier: Classifier, pictures: list[np.ndarray]) -> np.ndarray:
    return np.stack([row.outputs for _, row in classifier.rows(pictures, batch=2, workers=2)])  # type: ignore[union-attr]
