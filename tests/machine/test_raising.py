"""What a strategy raises or wrongly answers is retried, held or failed, and never swallowed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Bench

from townlet.dto.policy import TrainingResult
from townlet.errors import EnvironmentFaultError, HoldError
from townlet.machine.engine.visit import Visit


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh run."""
    return Bench(tmp_path)


def raising(error: BaseException) -> Callable[[Visit, TrainingResult], TrainingResult]:
    """Return a script entry that raises."""

    def change(visit: Visit, result: TrainingResult) -> TrainingResult:
        raise error

    return change


@pytest.mark.parametrize("error", [EnvironmentFaultError("a world froze"), OSError("disk")])
def test_environment_faults_are_retried_with_the_same_seed(bench: Bench, error: Exception) -> None:
    """Two faults, a third attempt from the last checkpoint, and the walk goes on."""
    left = [error, error]

    def faulty(visit: Visit, result: TrainingResult) -> TrainingResult:
        if left:
            raise left.pop()
        return result

    bench.school.script = {("ppo", 1): faulty}
    assert "done" == bench.walk().state
    attempts = [visit for visit in bench.school.visits if visit.state == "ppo"]
    assert [1, 2, 3] == [visit.attempt for visit in attempts]
    assert 1 == len({visit.seed for visit in attempts})
    assert [True, False, False] == [visit.checkpoint is None for visit in attempts]


def test_faults_beyond_the_attempts_fail_with_a_traceback(bench: Bench) -> None:
    """Capture has one attempt."""
    bench.school.script = {("capture", 1): raising(EnvironmentFaultError("a world froze"))}
    state = bench.walk()
    assert ("failed", "capture: EnvironmentFaultError: a world froze") == (state.state, state.reason)
    assert state.closed is not None
    assert "a world froze" in (bench.home / "traceback.txt").read_text()


def test_any_other_exception_fails_at_once(bench: Bench) -> None:
    """A bug is not retried."""
    bench.school.script = {("ppo", 1): raising(ZeroDivisionError("oops"))}
    assert ("failed", "ppo: ZeroDivisionError: oops") == (bench.walk().state, bench.engine().state.reason)
    assert 1 == len([visit for visit in bench.school.visits if visit.state == "ppo"])


def test_an_answer_of_another_class_fails(bench: Bench) -> None:
    """The journal could not be read back otherwise."""
    bench.school.script = {("ppo", 1): lambda visit, result: TrainingResult()}
    assert "ppo: StrategyFailedError: answered with TrainingResult, expected PPOTrainingResult" == bench.walk().reason


def test_a_strategy_may_ask_to_hold(bench: Bench) -> None:
    """HoldError is a reason, not a failure."""
    bench.school.script = {("ppo", 1): raising(HoldError("look at this first"))}
    assert ("hold", "look at this first") == (bench.walk().state, bench.engine().state.reason)


def test_ctrl_c_passes_through_and_leaves_the_visit_open(bench: Bench) -> None:
    """The next process takes the same visit up again."""
    bench.school.script = {("ppo", 1): raising(KeyboardInterrupt())}
    with pytest.raises(KeyboardInterrupt):
        bench.walk()
    assert "checkpoint" == bench.kinds()[-1]
    bench.school.script = {}
    assert "done" == bench.walk().state


def test_a_visit_that_ends_three_processes_without_a_checkpoint_holds(bench: Bench) -> None:
    """The fourth process does not try."""
    bench.school.script = {("bc", 1): raising(SystemExit())}
    for _ in range(3):
        with pytest.raises(SystemExit):
            bench.walk()
    state = bench.walk()
    assert ("hold", "bc ended 3 processes without a new checkpoint") == (state.state, state.reason)
