"""An edge that asks holds the run until a person agrees, in time and to this very report."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

import pytest
from commands import journalled_commands, open_request, rederived, run_with_approval, send_command
from fakes import Bench, Clock

from townlet.dto.journal import ApprovalRequested, OperatorCommand, TransitionTaken
from townlet.machine.engine.inbox import has_commands, send
from townlet.machine.engine.operator_commands import open_commands
from townlet.machine.guards.evaluate import report_hash


class RealClock(Clock):
    """The clock of the machine."""

    def __call__(self) -> datetime:
        """Return the present time."""
        self.now = datetime.now(UTC)
        return self.now


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh run whose promotion asks a person."""
    return run_with_approval(tmp_path)


def test_an_edge_that_asks_holds_and_says_what_is_open(bench: Bench) -> None:
    """The question is bound to the hash of the guard report, and its deadline is absolute."""
    state = bench.walk()
    asked = open_request(bench)
    assert ("hold", "edge 1 of evaluate (to promote) waits for an approval") == (state.state, state.reason)
    assert state.held is not None
    assert report_hash(state.held) == asked.report
    requested = next(e for e in bench.journal().entries if isinstance(e.record, ApprovalRequested))
    assert asked.expires is not None
    assert 72 * 3600 == pytest.approx(asked.expires - bench.clock.now.timestamp(), abs=60)
    assert requested.seq == len(bench.journal().entries) - 2
    assert ["reject", "retry", "abort"] == list(open_commands(state, bench.plan.schedule)[1:])
    assert bench.registry.champion("fake-town", "champion") is None


def test_an_approval_takes_the_edge_that_asked(bench: Bench) -> None:
    """The promotion is carried out, and replay derives the operator's edge too."""
    bench.walk()
    send_command(bench, "approve", report=open_request(bench).report)
    state = bench.walk()
    assert ("done", True) == (state.state, state.champion_moved)
    assert [("approve", "")] == journalled_commands(bench)
    assert not has_commands(bench.home / "inbox")
    moves = [e.record for e in bench.journal().entries if isinstance(e.record, TransitionTaken)]
    assert ("hold", "promote", 1, "approve by ada: I looked") == (
        moves[-2].source,
        moves[-2].target,
        moves[-2].edge,
        moves[-2].why,
    )
    found = rederived(bench)
    assert (True, 1) == (found.clean, found.commands)


def test_a_rejection_aborts_and_the_champion_stays(bench: Bench) -> None:
    """No is an answer that ends the run."""
    bench.walk()
    send_command(bench, "reject", report=open_request(bench).report)
    assert ("aborted", "reject by ada: I looked") == ((state := bench.walk()).state, state.reason)
    assert bench.registry.champion("fake-town", "champion") is None
    assert rederived(bench).clean


def test_an_approval_of_another_report_is_refused(bench: Bench) -> None:
    """It is recorded as refused, and the question stands."""
    bench.walk()
    send_command(bench, "approve", report="0" * 64)
    state = bench.walk()
    assert "hold" == state.state
    assert state.approval is not None
    ((command, refused),) = journalled_commands(bench)
    assert "approve" == command
    assert "the request names the guard report" in refused
    assert rederived(bench).clean


def test_a_question_that_nobody_answers_in_time_aborts(bench: Bench) -> None:
    """The deadline counts across processes; a later yes comes too late."""
    bench.walk()
    bench.clock.now += timedelta(hours=73)
    assert ("aborted", "nobody approved in time") == ((state := bench.walk()).state, state.reason)
    assert rederived(bench).clean


def test_a_yes_in_time_counts_even_if_it_is_read_late(tmp_path: Path) -> None:
    """What matters is when it arrived, by the clock of the file system."""
    bench = run_with_approval(tmp_path, expires="2s")
    bench.clock = RealClock()
    bench.walk()
    send_command(bench, "approve", report=open_request(bench).report)
    sleep(2.5)
    assert "done" == bench.walk().state


def test_a_late_yes_that_claims_to_be_early_is_refused(bench: Bench) -> None:
    """When it was given is what the file system says, not what the command says."""
    bench.walk()
    report = open_request(bench).report
    early = bench.clock.now.timestamp()
    bench.clock.now += timedelta(hours=73)
    claims = OperatorCommand(command="approve", actor="ada", arguments={"report": report}, sent=early, arrived=early)
    send(bench.home / "inbox", claims)
    assert "aborted" == bench.walk().state
    assert "expired" in journalled_commands(bench)[0][1]
    assert rederived(bench).clean


def test_a_late_yes_is_refused(bench: Bench) -> None:
    """The run is aborted by its deadline."""
    bench.walk()
    report = open_request(bench).report
    bench.clock.now += timedelta(hours=73)
    send_command(bench, "approve", report=report)
    assert "aborted" == bench.walk().state
    assert "expired" in journalled_commands(bench)[0][1]
