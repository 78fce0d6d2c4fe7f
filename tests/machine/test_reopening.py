"""An accident leaves a visit open, a failed run can be reopened, and waiting for a person costs no budget."""

import errno
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve
from commands import journalled_commands, open_request, rederived, run_with_approval, send_command
from fakes import Bench
from plans import CATALOGUE, make_plan

from townlet.canonical import GENESIS
from townlet.dto.codec import CodecError, Problem
from townlet.dto.journal import OperatorCommand, RunClosed, TransitionTaken, VisitFinished
from townlet.dto.policy import TrainingResult
from townlet.errors import BadInputError, EnvironmentFaultError, StoppedError, TownletError
from townlet.machine.engine.operator_commands import open_commands, rejection_reason
from townlet.machine.engine.visit import Visit
from townlet.machine.engine.visit_errors import outcome_of
from townlet.machine.journal.semantic_hash import next_semantic_hash


class AcceleratorError(RuntimeError):
    """What torch raises where a GPU has gone; torch itself may not be installed."""

    __module__ = "torch"


ACCIDENTS = (
    BadInputError("blobs: blob 12ab is missing; restore it or run its state again"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "data.npz"),
    PermissionError(errno.EACCES, "Permission denied", "data.npz"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    MemoryError(),
    ImportError("numba.so: failed to map segment from shared object"),
    AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh run with an inbox."""
    (tmp_path / "inbox").mkdir()
    return Bench(tmp_path)


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The same run without an accident, at its end."""
    bench = Bench(tmp_path_factory.mktemp("undisturbed"))
    assert "done" == bench.walk().state
    return bench


def raising(error: BaseException) -> Callable[[Visit, TrainingResult], TrainingResult]:
    """Return a script entry that raises."""

    def change(visit: Visit, result: TrainingResult) -> TrainingResult:
        raise error

    return change


def results(bench: Bench) -> list[object]:
    """Return what the visits of a run answered, without what may differ between equal runs."""
    records = [entry.record for entry in bench.journal().entries]
    names = {"duration", "samples_per_second"}
    return [{k: v for k, v in r.result.items() if k not in names} for r in records if isinstance(r, VisitFinished)]


@pytest.mark.parametrize("error", ACCIDENTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("state", ["bc", "evaluate"])
def test_an_accident_leaves_the_visit_open_however_often_it_is_tried(
    bench: Bench, undisturbed: Bench, error: Exception, state: str
) -> None:
    """One sentence, a code that is not 0, nothing closed; once it is mended, the run ends as if nothing had been."""
    bench.school.script = {(state, 1): raising(error)}
    for _ in range(4):
        with pytest.raises(TownletError, match=rf"^{state}.*resume") as caught:
            bench.walk()
        assert caught.value.exit_code in (2, 4)
        assert "\n" not in str(caught.value)
    kinds = bench.kinds()
    assert "run_closed" not in kinds
    assert state == bench.engine().state.state
    bench.school.script = {}
    assert "done" == bench.walk().state
    assert bench.journal().semantic == undisturbed.journal().semantic
    assert rederived(bench).clean


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("oops"), EnvironmentFaultError("froze"), CodecError((Problem((), "worse"),))]
)
def test_a_failed_run_is_reopened_by_an_operator(bench: Bench, undisturbed: Bench, error: Exception) -> None:
    """Retry with a reason continues the visit with its seeds; without one it is rejected, as is everything else."""
    bench.school.script = {("bc", 1): raising(error)}
    failed = bench.walk()
    assert ("failed", True) == (failed.state, failed.closed is not None)
    assert ("retry",) == open_commands(failed, bench.plan.schedule)
    bench.school.script = {}
    for command in ("abort", "hold", "approve", "accept_risk"):
        send_command(bench, command)
        assert "failed" == bench.walk().state
    assert all("ended (failed)" in refused for _, refused in journalled_commands(bench))
    assert 1 == bench.kinds().count("run_closed")

    send_command(bench, "retry")
    assert "done" == bench.walk().state
    assert ("retry", "") == journalled_commands(bench)[-1]
    assert results(bench) == results(undisturbed)
    assert 2 == bench.kinds().count("run_closed")
    assert rederived(bench).clean


def test_reopening_a_failed_run_needs_a_reason(bench: Bench) -> None:
    """The journal keeps who reopened the run and why."""
    bench.school.script = {("bc", 1): raising(ZeroDivisionError("oops"))}
    state = bench.walk()
    order = OperatorCommand(command="retry", actor="ada")
    assert "say with --reason why" in rejection_reason(state, bench.plan.schedule, order)


def test_a_reopened_run_cut_after_any_record_ends_the_same(bench: Bench, tmp_path: Path) -> None:
    """The fold goes on from the operator's record, wherever a process dies."""
    bench.school.script = {("ppo", 1): raising(ZeroDivisionError("oops"))}
    bench.walk()
    bench.school.script = {}
    send_command(bench, "retry")
    weights = bench.walk().candidate
    lines = bench.path.read_bytes().splitlines(keepends=True)
    closed = next(e.seq for e in bench.journal().entries if isinstance(e.record, RunClosed))
    for cut in range(closed + 3, len(lines)):  # after the retry is on disk
        (tmp_path / f"cut-{cut}").mkdir()
        copy = Bench(tmp_path / f"cut-{cut}")
        copy.school.blobs.root.parent.joinpath("blobs").symlink_to(bench.home / "blobs")
        copy.path.write_bytes(b"".join(lines[:cut]))
        entry = bench.journal().entries[cut - 1]
        semantic = _semantic_at(bench, cut)
        (copy.home / "head.json").write_text(
            f'{{"hash":"{entry.hash}","semantic":"{semantic}","seq":{entry.seq}}}', encoding="utf-8"
        )
        end = copy.walk()
        assert ("done", weights) == (end.state, end.candidate), cut


def _semantic_at(bench: Bench, count: int) -> str:
    semantic = GENESIS
    for entry in bench.journal().entries[:count]:
        semantic = next_semantic_hash(semantic, entry.record, CATALOGUE)
    return semantic


def test_three_deaths_and_the_advised_retry_give_the_same_weights(bench: Bench, undisturbed: Bench) -> None:
    """The held visit was not finished: retry continues it, with its seeds and its checkpoint."""
    bench.school.script = {("ppo", 1): raising(SystemExit())}
    for _ in range(3):
        with pytest.raises(SystemExit):
            bench.walk()
    assert "ppo ended 3 processes without a new checkpoint" == bench.walk().reason
    bench.school.script = {}
    send_command(bench, "retry")
    assert "done" == bench.walk().state
    assert results(bench) == results(undisturbed)
    ppo = [visit for visit in bench.school.visits if visit.state == "ppo"]
    assert {1} == {visit.number for visit in ppo}
    assert 1 == len({visit.seed for visit in ppo})
    assert ppo[-1].checkpoint is not None
    assert rederived(bench).clean


def test_a_new_visit_is_had_on_request(bench: Bench) -> None:
    """`townlet retry --new`: seeds of its own, from the start of the visit."""
    bench.school.script = {("ppo", 1): raising(ZeroDivisionError("oops"))}
    bench.walk()
    send_command(bench, "retry", visit="new")
    assert "done" == bench.walk().state
    ppo = [visit for visit in bench.school.visits if visit.state == "ppo"]
    assert [(1, 1), (2, 1)] == [(visit.number, visit.attempt) for visit in ppo]
    assert 2 == len({visit.seed for visit in ppo})
    assert rederived(bench).clean


def test_evidence_that_is_missing_before_it_is_judged_leaves_the_run_where_it_is(
    bench: Bench, undisturbed: Bench
) -> None:
    """No verdict is derived from what cannot be read; brought back, it is judged as if nothing had been."""

    class KilledError(BaseException):
        """The process is gone."""

    def die(entry: object) -> None:
        record = getattr(entry, "record", None)
        if isinstance(record, VisitFinished) and record.state == "evaluate":
            raise KilledError

    with pytest.raises(KilledError):
        bench.engine(die).run()
    evidence = bench.engine().state.evidence
    assert evidence is not None
    blob = bench.school.blobs.path(evidence)
    data = blob.read_bytes()
    blob.unlink()
    for _ in range(4):
        with pytest.raises(BadInputError, match=r"^evaluate cannot go on: .*missing.*resume"):
            bench.walk()
    assert 3 == bench.kinds().count("guards")
    blob.write_bytes(data)
    assert "done" == bench.walk().state
    assert bench.journal().semantic == undisturbed.journal().semantic


def test_waiting_for_an_approval_costs_no_budget(tmp_path: Path) -> None:
    """A weekend in hold, and the approved run goes on under a budget of one hour."""
    bench = run_with_approval(tmp_path)
    budget = evolve(bench.plan.schedule.budget, wall_clock=3600.0)
    bench.plan = evolve(bench.plan, schedule=evolve(bench.plan.schedule, budget=budget))
    assert "hold" == bench.walk().state
    bench.clock.now += timedelta(hours=60)
    send_command(bench, "approve", report=open_request(bench).report)
    end = bench.walk()
    assert ("done", True) == (end.state, end.champion_moved)
    assert 60 * 3600 < end.idle_seconds < 61 * 3600


def test_a_night_after_a_clean_stop_costs_no_budget(tmp_path: Path) -> None:
    """From Ctrl-C to the resume nobody works; a process that dies says nothing, so its time counts."""
    for error, state in ((StoppedError("asked to"), "done"), (SystemExit(), "hold")):
        (tmp_path / state).mkdir()
        bench = Bench(tmp_path / state, plan=make_plan(budget={"wall_clock": "1h"}))
        bench.school.script = {("bc", 1): raising(error)}
        with pytest.raises(type(error)):
            bench.walk()
        bench.clock.now += timedelta(hours=12)
        bench.school.script = {}
        assert state == bench.walk().state


def test_a_failed_run_that_nobody_reopens_is_left_alone(bench: Bench) -> None:
    """Not one byte changes."""
    bench.school.script = {("bc", 1): raising(ZeroDivisionError("oops"))}
    bench.walk()
    before = bench.path.read_bytes()
    assert "failed" == bench.walk().state
    assert before == bench.path.read_bytes()
    assert "failed" == [e.record for e in bench.journal().entries if isinstance(e.record, TransitionTaken)][-1].target


def test_an_input_and_output_error_is_tried_again_first() -> None:
    """Only the last attempt leaves the visit open; a full disk is not tried again."""
    assert "retry" == outcome_of(OSError(errno.EIO, "Input/output error"), last_attempt=False)
    assert "open" == outcome_of(OSError(errno.EIO, "Input/output error"), last_attempt=True)
    assert "open" == outcome_of(OSError(errno.ENOSPC, "No space left on device"), last_attempt=False)
