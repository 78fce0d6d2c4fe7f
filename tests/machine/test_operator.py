"""Commands of an operator are journalled, carried out once, and rejected in one sentence where they do not fit."""

import os
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from attrs import evolve
from commands import journalled_commands, rederived, run_with_approval, send_command
from fakes import Bench
from plans import SCHEDULE, make_plan

from townlet.dto.journal import OperatorCommand, ProcessStarted
from townlet.dto.policy import TrainingResult
from townlet.errors import BadInputError, EnvironmentFaultError, StoppedError
from townlet.machine.engine.inbox import has_commands, send
from townlet.machine.engine.operator_commands import edge_named, open_commands
from townlet.machine.engine.visit import Visit
from townlet.machine.journal.run_state import RunState


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh run whose promotion asks a person."""
    return run_with_approval(tmp_path)


def test_a_clock_that_goes_back_changes_nothing(tmp_path: Path) -> None:
    """Neither budgets nor deadlines move backwards, and no edge changes."""
    bench = Bench(tmp_path, plan=make_plan(budget={"wall_clock": "1h"}))
    bench.school.script = {("ppo", 1): lambda visit, result: _set_back(bench, result)}
    assert "done" == bench.walk().state
    assert [entry.at for entry in bench.journal().entries] != sorted(entry.at for entry in bench.journal().entries)


def _set_back(bench: Bench, result: TrainingResult) -> TrainingResult:
    bench.clock.now -= timedelta(days=400)
    return result


def test_a_budget_that_was_used_up_stays_used_up(tmp_path: Path) -> None:
    """Setting the clock back does not give the time back."""
    bench = Bench(tmp_path, plan=make_plan(budget={"wall_clock": "1h"}))
    (tmp_path / "inbox").mkdir()

    def late(visit: Visit, result: TrainingResult) -> TrainingResult:
        bench.clock.now += timedelta(hours=2)
        return result

    bench.school.script = {("capture", 1): late}
    assert "beyond the budget of wall_clock: 3600.0s" == bench.walk().reason
    bench.clock.now -= timedelta(hours=3)
    send_command(bench, "retry")
    assert "beyond the budget of wall_clock: 3600.0s" == bench.walk().reason


def test_hold_stops_before_the_next_visit_and_retry_goes_on(bench: Bench) -> None:
    """Work that was done is kept."""

    def interrupt(visit: Visit, result: TrainingResult) -> TrainingResult:
        send_command(bench, "hold")
        return result

    bench.school.script = {("capture", 1): interrupt}
    state = bench.walk()
    assert ("hold", "bc", "hold by ada: I looked") == (state.state, state.held_state, state.reason)
    assert ("retry", "abort") == open_commands(state, bench.plan.schedule)
    send_command(bench, "retry")
    assert "edge 1 of evaluate (to promote) waits for an approval" == bench.walk().reason
    assert {"capture": 1, "bc": 1, "ppo": 1, "evaluate": 1} == dict(bench.engine().state.visits)
    assert rederived(bench).clean


def test_abort_comes_before_everything_else(bench: Bench) -> None:
    """Of several commands the abort is read first; the rest is rejected."""

    def interrupt(visit: Visit, result: TrainingResult) -> TrainingResult:
        send_command(bench, "hold")
        send_command(bench, "abort")
        return result

    bench.school.script = {("capture", 1): interrupt}
    assert "aborted" == bench.walk().state
    assert [("abort", ""), ("hold", "abort was given already and comes first")] == journalled_commands(bench)


def test_a_retry_beyond_the_count_cannot_promote_without_accepting_the_risk(tmp_path: Path) -> None:
    """The error was divided over four evaluate visits; a fifth is UNKNOWN, and a person may take its edge."""
    bench = Bench(tmp_path, plan=make_plan(most_visits={**dict.fromkeys(SCHEDULE["states"], 1), "evaluate": 0}))
    (tmp_path / "inbox").mkdir()
    state = bench.walk()
    assert "beyond those the error was divided over" in state.reason
    edge = edge_named(state, bench.plan.schedule, "promote")
    send_command(bench, "accept_risk", edge=edge)
    state = bench.walk()
    assert ("done", True) == (state.state, state.champion_moved)
    assert rederived(bench).clean


@pytest.mark.parametrize(
    ("command", "arguments", "why"),
    [
        ("approve", {"report": "0" * 64}, "no approval was requested"),
        ("hold", {}, "holds already"),
        ("accept_risk", {"edge": "7"}, "has no edge '7'"),
        ("accept_risk", {"edge": "1"}, "leads to hold"),
        ("accept_risk", {}, "has no edge ''"),
        ("dance", {}, "unknown command 'dance'"),
    ],
)
def test_a_command_that_does_not_fit_is_journalled_as_rejected(
    tmp_path: Path, command: str, arguments: dict[str, str], why: str
) -> None:
    """The run stays where it is."""
    bench = Bench(tmp_path)
    (tmp_path / "inbox").mkdir()
    bench.school.script = {("capture", 1): lambda visit, result: evolve(result, episodes=3.0)}
    bench.walk()
    send_command(bench, command, **arguments)
    assert "hold" == bench.walk().state
    ((_, refused),) = journalled_commands(bench)
    assert why in refused


def test_an_edge_is_named_by_its_number_or_by_where_it_leads(bench: Bench) -> None:
    """Anything else is told with what there is."""
    state = bench.walk()
    assert ["1", "1", "2"] == [edge_named(state, bench.plan.schedule, word) for word in ("2", "promote", "ppo")]
    with pytest.raises(BadInputError, match=r"evaluate has no edges 'bc'; expected one of: 1 \(to rollback\)"):
        edge_named(state, bench.plan.schedule, "bc")
    with pytest.raises(BadInputError, match="not held"):
        edge_named(RunState(state="ppo"), bench.plan.schedule, "0")


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"command": 3}', b"[" * 60_000, b"x" * 70_000])
def test_what_is_no_command_is_recorded_and_put_away(bench: Bench, data: bytes) -> None:
    """A file that somebody dropped does no harm."""
    bench.walk()
    (bench.home / "inbox" / "00000000000000000001-000000000000.json").write_bytes(data)
    (bench.home / "inbox" / "notes.txt").write_text("not a command's name")
    bench.walk()
    ((command, refused),) = journalled_commands(bench)
    assert ("unreadable", True) == (command, refused.startswith("not a command"))
    assert ["notes.txt"] == [path.name for path in (bench.home / "inbox").iterdir()]


def test_a_command_whose_file_outlived_its_record_is_obeyed_once(bench: Bench) -> None:
    """The process died between the record and the removal of the file."""
    bench.walk()
    name = send_command(bench, "retry")
    data = (bench.home / "inbox" / name).read_bytes()
    bench.walk()
    (bench.home / "inbox" / name).write_bytes(data)
    bench.walk()
    assert [("retry", "")] == journalled_commands(bench)
    assert not has_commands(bench.home / "inbox")


def test_a_held_run_without_commands_is_not_changed(bench: Bench) -> None:
    """Not one record is added."""
    bench.walk()
    before = bench.path.read_bytes()
    bench.walk()
    assert before == bench.path.read_bytes()


def test_a_process_that_was_asked_to_stop_is_no_death(tmp_path: Path) -> None:
    """Five stops without a new checkpoint hold nothing."""
    bench = Bench(tmp_path)

    def stop(visit: Visit, result: TrainingResult) -> TrainingResult:
        raise StoppedError("stopped in bc")

    bench.school.script = {("bc", 1): stop}
    for _ in range(5):
        with pytest.raises(StoppedError):
            bench.walk()
    bench.school.script = {}
    assert "done" == bench.walk().state
    assert [("stop", "")] * 5 == journalled_commands(bench)


def test_deaths_of_processes_are_no_retries(tmp_path: Path) -> None:
    """Two processes die in ppo; the third meets a fault of the environment and still has its three attempts."""
    bench = Bench(tmp_path)
    faults = iter([KeyboardInterrupt(), KeyboardInterrupt(), EnvironmentFaultError("a"), EnvironmentFaultError("b")])

    def fail(visit: Visit, result: TrainingResult) -> TrainingResult:
        for fault in faults:
            raise fault
        return result

    bench.school.script = {("ppo", 1): fail}
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            bench.walk()
    assert "done" == bench.walk().state


@pytest.mark.parametrize("kind", ["another table", "no table", "nothing"])
def test_replay_names_evidence_that_says_something_else(tmp_path: Path, kind: str) -> None:
    """The stored table is changed, replaced by other bytes or gone; what stood on it comes out otherwise."""
    bench = Bench(tmp_path)
    state = bench.walk()
    assert state.evidence is not None
    path = bench.school.blobs.path(state.evidence)
    bytes_ = {"another table": path.read_bytes().replace(b"candidate", b"Candidate"), "no table": b"\0" * 64}
    path.unlink()
    if kind in bytes_:
        path.write_bytes(bytes_[kind])
    found = rederived(bench)
    assert any("better was pass, derived: unknown" in difference for difference in found.differences)


def test_processes_introduce_themselves(tmp_path: Path) -> None:
    """Old journals, which said less of them, are read as they were."""
    bench = Bench(tmp_path)
    bench.walk()
    (first,) = [e.record for e in bench.journal().entries if isinstance(e.record, ProcessStarted)]
    assert ({}, "exact") == (dict(first.changed), first.promise)


def test_a_command_of_another_user_is_refused(bench: Bench) -> None:
    """The owner of its file counts, whatever actor it claims; the record holds the user id."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    bench.walk()
    name = send_command(bench, "abort")
    os.chown(bench.home / "inbox" / name, 65534, 65534)

    assert "hold" == bench.walk().state
    ((_, refused),) = journalled_commands(bench)
    assert "given by the user with the id 65534, who may not command this run" in refused
    record = bench.journal().entries[-1].record
    assert isinstance(record, OperatorCommand)
    assert (65534, False) == (record.uid, record.is_allowed)
    assert rederived(bench).clean


def test_a_command_of_the_group_that_shares_the_home_is_carried_out(bench: Bench) -> None:
    """The set-group-id bit on the inbox is the option."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    bench.walk()
    (bench.home / "inbox").chmod(0o2770)
    name = send_command(bench, "abort")
    os.chown(bench.home / "inbox" / name, 65534, -1)

    assert "aborted" == bench.walk().state
    assert rederived(bench).clean


def test_a_command_cannot_name_its_own_owner(bench: Bench) -> None:
    """What the file claims of user and time is replaced by what the file system says."""
    bench.walk()
    order = OperatorCommand(command="hold", actor="ada", uid=12345, arrived=1.0, is_allowed=False)
    send(bench.home / "inbox", order)
    bench.walk()
    record = bench.journal().entries[-1].record
    assert isinstance(record, OperatorCommand)
    assert (os.geteuid(), True) == (record.uid, record.is_allowed)
    assert record.arrived == pytest.approx(bench.clock.now.timestamp(), abs=60)


def test_a_linked_command_is_refused(bench: Bench) -> None:
    """A hard link to somebody's file would borrow its owner."""
    bench.walk()
    name = send_command(bench, "abort")
    (bench.home / "copy").hardlink_to(bench.home / "inbox" / name)

    assert "hold" == bench.walk().state
    assert [("unreadable", "not a command (ValueError)")] == journalled_commands(bench)


def test_a_flood_of_commands_takes_seconds_and_an_abort_comes_through(bench: Bench) -> None:
    """A hundred are carried out or rejected each, the abort among them first; the rest is one record."""
    bench.walk()
    inbox = bench.home / "inbox"
    name = send_command(bench, "hold")
    data = (inbox / name).read_bytes()
    for number in range(20_000):
        (inbox / f"{number:020d}-000000000000.json").write_bytes(data)
    send_command(bench, "abort")

    begun = monotonic()
    assert "aborted" == bench.walk().state
    assert monotonic() - begun < 60
    commands = journalled_commands(bench)
    assert ("abort", "") == commands[0]
    assert ("excess", 101) == (commands[-1][0], len(commands))
    assert "19902 more commands" in commands[-1][1]
    assert not has_commands(inbox)
    assert rederived(bench).clean
