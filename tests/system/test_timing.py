"""Times on a machine that does other things: what is added is not counted, and what cannot be told is not told."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mobilenets.system.timing import Effort, Estimate, measure, seconds_each, timed

EFFORT = Effort(rounds=8, max_rounds=48, turn_s=0.01, min_calls=8, max_calls=40, spread=0.02, max_s=1e9)


class Machine:
    """A clock that goes on only when something is called: `work` makes a function that takes so many seconds.

    `disturbed`: how often in a second other work takes the core, for up to 8 ms; `slow`: by how much all is slower at
    the moment (a function of the time).
    """

    def __init__(self, disturbed: float = 0.0, slow: Callable[[float], float] = lambda now: 1.0, seed: int = 0) -> None:
        self.now, self.disturbed, self.slow = 0.0, disturbed, slow
        self.rng = np.random.default_rng(seed)

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            takes = seconds * self.slow(self.now) * (1 + 0.01 * self.rng.random())
            waits = self.rng.uniform(0, 8e-3, self.rng.poisson(self.disturbed * takes))
            self.now += takes + waits.sum()

        return run


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("disturbed", [0, 30, 100, 300])
def test_calls_that_wait_for_other_work_do_not_count(disturbed: int, seed: int) -> None:
    machine = Machine(disturbed, seed=seed)
    turns = [timed(machine.work(s), machine) for s in (1e-3, 3e-3, 0.2e-3)]
    reference = timed(machine.work(0.5e-3), machine)
    found = measure(turns, EFFORT, reference, clock=machine).estimates
    assert [e.seconds for e in found] == pytest.approx([1e-3, 3e-3, 0.2e-3], rel=0.04)
    assert all(e.low <= e.seconds <= e.high for e in found)


def test_what_slows_all_alike_moves_no_ratio() -> None:
    machine = Machine(slow=lambda now: 1 + 0.5 * (now > 0.2))  # the processor becomes warm in the middle
    turns = [timed(machine.work(s), machine) for s in (1e-3, 2e-3)]
    first, second = measure(turns, EFFORT, clock=machine).estimates
    assert second.seconds / first.seconds == pytest.approx(2, rel=0.01)
    assert second.spread < 0.02


def test_a_long_call_is_compared_with_as_long_a_row_of_the_reference() -> None:
    """Every 5 ms the system gives the core away for 5 ms: short calls mostly escape that, a long one never does."""

    class Shared(Machine):
        def work(self, seconds: float) -> Callable[[], None]:
            def run() -> None:
                left = seconds
                while left > 0:
                    ours = 5e-3 - self.now % 10e-3
                    if ours <= 1e-6:  # someone else's turn
                        self.now += 5e-3 + ours + 1e-6
                    else:
                        self.now, left = self.now + min(left, ours), left - ours

            return run

    machine = Shared()
    (found,) = measure([timed(machine.work(50e-3), machine)], EFFORT, timed(machine.work(0.5e-3), machine)).estimates
    assert found.seconds == pytest.approx(50e-3, rel=0.15)  # the clock on the wall says 100


@pytest.mark.parametrize("seed", range(3))
def test_a_short_call_is_compared_in_rows_as_long_as_the_reference(seed: int) -> None:
    machine = Machine(200, seed=seed)
    turns, reference = [timed(machine.work(0.05e-3), machine)], timed(machine.work(5e-3), machine)
    measured = measure(turns, EFFORT, reference, clock=machine)
    ratio = measured.estimates[0].seconds / measured.reference.seconds
    assert ratio == pytest.approx(0.01, rel=0.12)  # whatever the reference itself took: never escapes other work


def test_more_rounds_are_made_while_it_is_not_clear_and_no_longer_than_allowed() -> None:
    def takes(machine: Machine, effort: Effort) -> int:
        turns = []
        measure([timed(machine.work(s), machine) for s in (1e-3, 2e-3)], effort, clock=machine,
                enough=lambda estimates: turns.append(1) or len(turns) >= 5)  # fmt: skip
        return len(turns)

    assert takes(Machine(), EFFORT) == 5
    assert takes(Machine(), replace(EFFORT, max_rounds=10)) == 3
    assert takes(Machine(), replace(EFFORT, max_s=1e-3)) == 1


def test_an_undisturbed_machine_is_measured_in_the_fewest_rounds() -> None:
    machine, calls = Machine(), []
    work = machine.work(1e-3)
    measure([timed(lambda: (calls.append(1), work()), machine)], replace(EFFORT, turn_s=9.5e-3), clock=machine)
    assert len(calls) == 3 + 3 + 8 * (1 + 9)  # warm-up, a first look, 8 rounds of 9 calls and one before


def test_the_number_of_calls_can_be_fixed_so_that_several_processes_make_the_same() -> None:
    fixed = Effort(rounds=4, max_rounds=4, min_calls=1, max_calls=1, warm_up=1, settle=0)
    counts = []
    for slow in (1.0, 7.0):
        machine, calls = Machine(), {"a": 0, "b": 0}

        def count(name: str, work: Callable[[], None], calls: dict[str, int] = calls) -> Callable[[], None]:
            return lambda: (calls.__setitem__(name, calls[name] + 1), work())

        turns = [timed(count("a", machine.work(1e-3)), machine), timed(count("b", machine.work(slow * 1e-3)), machine)]
        measured = measure(turns, fixed, clock=machine)
        assert [len(row) for row in measured.seconds] == [4, 4]
        counts.append(calls)
    assert counts[0] == counts[1] == {"a": 6, "b": 6}


def test_an_estimate_says_whether_it_decides() -> None:
    estimate = Estimate(1.0, 0.9, 1.2)
    assert [estimate.decides(limit) for limit in (0.8, 0.95, 1.1, 1.2, 1.3)] == [True, False, False, True, True]
    assert estimate.doubt(1.0, Effort(spread=0.02)) == "too busy to measure 1,000 ms"
    assert Estimate(4e-4, 3.99e-4, 4.01e-4).doubt(4e-4, Effort(spread=0.02)) == "0.4 ms is too close to tell"
    assert estimate.describe() == "900 to 1,200 ms"


def test_plans_take_the_median_of_the_steps() -> None:
    machine = Machine()

    def steps() -> object:
        for seconds in (1.0, 1.0, 9.0):
            machine.now += seconds
            yield

    assert seconds_each(steps(), machine) == 1.0
    with pytest.raises(ValueError, match="no steps"):
        seconds_each([], machine)


def test_the_real_clock_goes_on() -> None:
    """Whatever else runs: a sleep of 2 ms takes no less, and the interval holds the estimate."""
    (found,) = measure([timed(lambda: time.sleep(2e-3))], Effort(rounds=4, max_rounds=4)).estimates
    assert found.seconds >= 2e-3
    assert 0 < found.low <= found.seconds <= found.high
