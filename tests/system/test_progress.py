"""Who sees progress: a person on the command line, a program by its own function, else nobody."""

import threading

import pytest

from mobilenets.system import progress
from mobilenets.system.progress import Progress, reported_to, shown_on_stderr


def _work() -> None:
    with Progress("counting", 3, "sheep", initial=1) as bar:
        bar.advance()
        bar.advance(loss=0.25)


def test_where_nobody_asked_there_is_nothing_to_see(capfd: pytest.CaptureFixture[str]) -> None:
    _work()
    assert capfd.readouterr() == ("", "")


def test_on_the_command_line_a_file_gets_a_last_line(capfd: pytest.CaptureFixture[str]) -> None:
    with shown_on_stderr():
        _work()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("counting: 3/3 [")
    assert err.endswith("loss 0.25]\n")


def test_a_programs_function_is_told_instead(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int | None, str]] = []
    with shown_on_stderr(), reported_to(lambda *report: told.append(report)):
        _work()
    assert told == [(2, 3, "counting"), (3, 3, "counting: loss 0.25")]
    assert capfd.readouterr() == ("", "")


def test_two_threads_each_follow_their_own() -> None:
    both = threading.Barrier(2)
    told: dict[str, list[str]] = {"a": [], "b": []}

    def run(name: str) -> None:
        with reported_to(lambda done, total, what: told[name].append(what)):
            both.wait(timeout=60)
            with Progress(name, 1) as bar:
                bar.advance()

    threads = [threading.Thread(target=run, args=(name,)) for name in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {"a": ["a"], "b": ["b"]}


def test_lines_come_now_and_then(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with shown_on_stderr():
        _work()
    assert len(capfd.readouterr().err.splitlines()) == 3
