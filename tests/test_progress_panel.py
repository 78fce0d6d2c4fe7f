"""The rows of a terminal: the machine, the visit, the return beside the teacher's, the tolerances."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import (
    GuardsJudged,
    JournalRecord,
    RunClosed,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.dto.schedule import ScheduleSpec
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.report.progress.panel import look_row, machine_row, panel, return_row, tolerance_rows
from townlet.report.progress.progress_state import ProgressState
from townlet.report.progress.run_progress import RunProgress
from townlet.report.terminal import Terminal
from townlet.store.rundir import RunDirectory

GOLDEN = Path(__file__).parent / "golden" / "v1"
QUICKSTART = Path(__file__).parents[1] / "schedules" / "quickstart.yaml"
TEACHER = "teacher:scripted"


@frozen(kw_only=True)
class Point:
    """An iteration of ppo."""

    state: str = "ppo"
    visit: int = 1
    step: int = 1
    of: int = 8
    agent_steps: int = 0
    numbers: Mapping[str, float] = {}


@pytest.fixture(scope="module")
def schedule() -> ScheduleSpec:
    """Return the schedule of the quickstart."""
    return PolicyTrainingOrchestrator(QUICKSTART).plan().schedule


def started(state: str, visit: int = 1, attempt: int = 1) -> VisitStarted:
    """Return the record that begins a visit."""
    return VisitStarted(
        state=state, visit=visit, attempt=attempt, inputs={}, baseline_digests={}, expected_champion=None
    )


def finished(state: str, result: Mapping[str, object]) -> VisitFinished:
    """Return the record of a result."""
    return VisitFinished(state=state, visit=1, strategy=state, result=result)


def moved(source: str, target: str) -> TransitionTaken:
    """Return the record of a transition."""
    return TransitionTaken(source=source, target=target, edge=0, why="on purpose")


def report(**numbers: float) -> GuardReport:
    """Return the verdict of the queue tolerance, over paired episodes."""
    fields = {"value": -2.756, "baseline": 3.966, "limit": 0.5949} | numbers
    return GuardReport(
        guard="queue_tolerance",
        verdict=Verdict.PASS,
        metric="evaluate.queue_intensity",
        pairs=32,
        rule=4,
        sentence="as it should",
        **fields,
    )


def first_round() -> Iterator[tuple[JournalRecord, float]]:
    """Yield the records of capture and bc, and the beginning of ppo, with their times."""
    yield started("capture"), 0.0
    yield finished("capture", {"agent_steps": 100, "return_per_agent_day": 3.0}), 2.0
    yield moved("capture", "bc"), 2.0
    yield started("bc"), 2.0
    yield finished("bc", {"agent_steps": 0}), 5.0
    yield moved("bc", "ppo"), 5.0
    yield started("ppo"), 5.0


def state_of(schedule: ScheduleSpec) -> ProgressState:
    """Return what is known in the first visit to ppo."""
    state = ProgressState(began=0.0, schedule=schedule)
    for record, at in first_round():
        state.note_record(record, at)
    return state


def text_of(rows: object) -> list[str]:
    """Return rows as plain text."""
    return [row.plain for row in rows]  # type: ignore[attr-defined]


def test_the_machine_is_a_line_of_states_with_the_present_one_lit(schedule: ScheduleSpec) -> None:
    """Visits are counted; the state in brackets is the one that works, so that it needs no colour."""
    state = state_of(schedule)

    row = machine_row(state, 80)

    assert row is not None
    assert "capture ×1 ─ bc ×1 ─ [ppo ×1] ─ evaluate ─ promote ─ rollback" == row.plain


def test_a_narrow_line_of_states_keeps_the_present_one(schedule: ScheduleSpec) -> None:
    """What is far from it is left out, on either side."""
    state = state_of(schedule)

    assert ["… bc ×1 ─ [ppo ×1] ─ evaluate …", "… [ppo ×1] …"] == text_of(
        [machine_row(state, 40), machine_row(state, 5)]
    )


@pytest.mark.parametrize("end", ["hold", "done", "failed", "aborted"])
def test_an_end_stands_at_the_end_of_the_line(schedule: ScheduleSpec, end: str) -> None:
    """States that every schedule has are shown once the run is in one."""
    state = state_of(schedule)
    state.note_record(moved("ppo", end), 9.0)
    if end != "hold":
        state.note_record(RunClosed(state=end, reason="because", champion_moved=False), 9.0)

    row = machine_row(state, 100)

    assert row is not None
    assert row.plain.endswith(f"rollback ─ [{end}]")
    assert "" == state.state


def test_the_return_grows_beside_the_teachers_level(schedule: ScheduleSpec) -> None:
    """The scale holds both; the teacher's number says where it comes from, and the better one takes its place."""
    state = state_of(schedule)
    for step in range(1, 9):
        state.note_point(Point(step=step, numbers={"episode_return": float(2 * step)}), 5.0 + step)

    assert "return ▁▂▃▄▅▆▇█ 16  teacher ▁ 3 in capture" == text_of([return_row(state, 80)])[0]
    assert "return ▁▂▃▄▅▆▇█ 16  teacher ▁ 3" == text_of([return_row(state, 32)])[0]

    measured = [{"metric": "return_per_agent_day", "policy": TEACHER, "value": 9.0, "scenario": ""}]
    state.note_record(finished("evaluate", {"measurements": measured}), 20.0)
    assert "return ▁▂▃▄▅▆▇█ 16  teacher ▅ 9" == text_of([return_row(state, 80)])[0]
    assert "return 16  teacher ▅ 9" == text_of([return_row(state, 26)])[0]


def test_the_last_look_of_the_cliff_watch_has_its_bounds(schedule: ScheduleSpec) -> None:
    """Until the next visit that trains begins to report; a run of an earlier version has the difference alone."""
    state = state_of(schedule)
    assert look_row(state) is None
    bounds = {"watched_low": 9.0, "watched_high": 11.5, "watched_pairs": 24.0}
    for step, numbers in ((1, {"watched_difference": 2.0}), (2, {}), (3, {"watched_difference": 10.25} | bounds)):
        state.note_point(Point(step=step, numbers=numbers), 5.0 + step)
        assert look_row(state) is not None
        if step < 3:
            assert "watch 2 against its start, at iteration 1" == text_of([look_row(state)])[0]

    assert "watch 10.25 [9, 11.5] against its start in 24 pairs, at iteration 3" == text_of([look_row(state)])[0]
    state.note_record(started("ppo", 2), 20.0)
    assert look_row(state) is not None
    state.note_point(Point(visit=2), 21.0)
    assert look_row(state) is None


def test_what_is_reported_again_takes_the_place_of_the_first_report(schedule: ScheduleSpec) -> None:
    """An attempt that goes back to its checkpoint: the curve goes back with it."""
    state = state_of(schedule)
    for step, value in ((1, 1.0), (2, 2.0), (3, 99.0), (2, 2.5)):
        state.note_point(Point(step=step, numbers={"episode_return": value}), 10.0)

    assert [(1, 1.0), (2, 2.5)] == state.returns


def test_each_visit_that_trains_has_a_curve_of_its_own(schedule: ScheduleSpec) -> None:
    """Looks of the cliff watch are shown until training episodes end; an evaluation keeps the curve before it."""
    state = state_of(schedule)
    state.note_point(Point(step=1, numbers={"watched": 7.0}), 6.0)
    assert [(1, 7.0)] == state.returns
    state.note_point(Point(step=2, numbers={"episode_return": 1.0}), 7.0)
    state.note_point(Point(step=3, numbers={"watched": 8.0}), 8.0)
    assert [(2, 1.0)] == state.returns
    state.note_record(started("evaluate"), 9.0)
    state.note_point(Point(state="evaluate", numbers={"candidate x": 3.0}), 9.5)
    assert [(2, 1.0)] == state.returns
    state.note_record(started("ppo", visit=2), 10.0)
    state.note_point(Point(visit=2, numbers={"episode_return": 5.0}), 11.0)
    assert [(1, 5.0)] == state.returns


def test_a_kpi_is_shown_against_its_tolerance(schedule: ScheduleSpec) -> None:
    """First as the schedule gives it, then as it was decided, then where training episodes stand since."""
    state = state_of(schedule)
    assert [] == text_of(tolerance_rows(state, 80))

    state.note_point(Point(numbers={"episode_return": 1.0, "episode_queue_intensity": 2.0, "episode_length": 9.0}), 6.0)
    state.note_point(Point(step=2, numbers={"episode_return": 1.0, "episode_queue_intensity": 4.0}), 7.0)
    assert ["queue_intensity 3 in training, may be 15% worse than champion"] == text_of(tolerance_rows(state, 80))
    assert ["queue_intensity 3, may be 15% worse"] == text_of(tolerance_rows(state, 40))

    state.note_record(GuardsJudged(state="evaluate", visit=1, reports=(report(),)), 9.0)
    decided = "queue_intensity ●╌╌╌╌╌╌╌╌╌╌╌╌┆╌╌┃ 1.21, at most 4.561 (pass)"
    assert [decided] == text_of(tolerance_rows(state, 80))
    assert ["queue_intensity 1.21, at most 4.561 (pass)"] == text_of(tolerance_rows(state, 50))

    state.note_point(Point(visit=2, numbers={"episode_return": 1.0, "episode_queue_intensity": 5.0}), 12.0)
    beyond = "queue_intensity ┆╌╌╌╌╌╌╌╌┃╌╌╌╌╌╌● 5 in training, at most 4.561"
    assert [beyond] == text_of(tolerance_rows(state, 80))
    assert ["queue_intensity 5, at most 4.561"] == text_of(tolerance_rows(state, 40))


def test_a_kpi_that_should_be_high_has_its_limit_below(schedule: ScheduleSpec) -> None:
    """The limit is on the other side of the baseline."""
    state = state_of(schedule)
    judged = evolve(report(value=0.1, baseline=0.87, limit=-0.026), guard="at_work", metric="evaluate.attendance")
    state.note_record(GuardsJudged(state="evaluate", visit=1, reports=(judged,)), 9.0)

    assert ["attendance ┃╌╌┆╌╌╌╌╌╌╌╌╌╌╌╌● 0.97, at least 0.844 (pass)"] == text_of(tolerance_rows(state, 80))


def test_a_visit_that_is_resumed_tells_its_own_speed(schedule: ScheduleSpec) -> None:
    """What was played before its checkpoint took no time of this attempt, and says nothing of the time that is left."""
    state = ProgressState(began=100.0, schedule=schedule)
    state.note_record(started("ppo", attempt=2), 100.0)
    state.note_point(Point(step=41, of=90, agent_steps=41_000), 101.0)
    assert state.pace(101.0).left is None

    state.note_point(Point(step=42, of=90, agent_steps=42_000), 103.0)

    assert 48 * 2.0 == state.pace(103.0).left
    assert 500.0 == state.pace(103.0).speed
    assert 48 * 2.0 - 1.5 == state.pace(104.5).left


def test_a_resumed_run_knows_what_it_came_to(schedule: ScheduleSpec) -> None:
    """Visits, the teacher's level and verdicts of earlier processes are there, and nothing of them is printed."""
    stream = io.StringIO()
    progress = RunProgress(Terminal(file=stream, width=80, height=40))
    progress.recall(RunDirectory.find(GOLDEN, "latest"), catalogue())

    assert {"capture": 1, "bc": 1, "ppo": 1, "evaluate": 1, "promote": 1} == progress.state.visits
    assert progress.state.teacher is not None
    assert ("", "") == (progress.state.state, stream.getvalue())


def test_a_run_that_cannot_be_read_is_no_matter_for_progress(tmp_path: Path) -> None:
    """What is wrong with it, the resume itself says."""
    progress = RunProgress(Terminal(file=io.StringIO(), width=80, height=40))
    progress.recall(RunDirectory(tmp_path, "nothing"), catalogue())
    assert {} == progress.state.visits


@given(width=st.integers(1, 200), height=st.integers(1, 60), steps=st.integers(0, 8))
def test_every_row_fits_every_terminal(schedule: ScheduleSpec, width: int, height: int, steps: int) -> None:
    """One line each, no wider than the terminal; a low terminal keeps the row of the visit."""
    state = state_of(schedule)
    state.note_record(GuardsJudged(state="evaluate", visit=1, reports=(report(),)), 9.0)
    for step in range(1, steps + 1):
        numbers = {"episode_return": 1.0 / step, "reward": 0.5, "watched_difference": -1.0, "watched_high": -0.5}
        state.note_point(Point(step=step, numbers=numbers), 9.0 + step)

    rows = list(panel(state, 60.0, width, height))

    assert all(row.cell_len <= width and "\n" not in row.plain for row in rows)
    assert (1 if height < 10 else 3 + 2 * bool(steps)) == len(rows)


def test_an_error_in_drawing_is_told_once_and_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The thread that draws goes on with nothing; the next record tells what was wrong."""
    stream = io.StringIO()
    console = Terminal(file=stream, force_terminal=True, width=80, height=40, _environ={"TERM": "xterm"})
    with RunProgress(console) as progress:
        progress.watch(Point(step=1))
        progress.state.point = "no point"  # type: ignore[assignment]
        progress._live.refresh()
        progress._live.refresh()

    assert 1 == capsys.readouterr().err.count("progress cannot be shown any more (AttributeError:")
