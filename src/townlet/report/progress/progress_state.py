"""What a run has come to, as its records and points tell it: the value that progress is drawn from."""

from collections import deque
from collections.abc import Mapping
from math import isfinite, nan
from typing import Any, Protocol

from attrs import define, field, frozen

from townlet.dto.guards import ComparisonSpec, GuardReport, Verdict, is_tolerance
from townlet.dto.journal import (
    GuardsJudged,
    JournalRecord,
    ProcessStarted,
    RunClosed,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.dto.policy_ref import parse_teacher
from townlet.dto.schedule import ScheduleSpec
from townlet.report.verdicts import shown_bounds

__all__ = ["Pace", "Point", "ProgressState", "TeacherLevel", "Tolerance"]

_RETURNS = ("episode_return", "watched")
"""Numbers of a point that say what the policy in training is worth, the one with the most points first."""
_KPI = "episode_"
"""Before the name of a KPI: its mean over the training episodes of an iteration."""
_KPI_POINTS = 10
"""Iterations over whose training episodes a KPI is averaged."""
_LEAST_SECONDS = 1.0
"""A speed that was measured over less time says nothing."""


class Point(Protocol):
    """One iteration of a visit, as the metric stream reports it."""

    @property
    def state(self) -> str:
        """Name of the state."""

    @property
    def visit(self) -> int:
        """Which visit to it, from 1."""

    @property
    def step(self) -> int:
        """Iteration, from 1."""

    @property
    def of(self) -> int:
        """Iterations in all; 0 if unknown."""

    @property
    def agent_steps(self) -> int:
        """Agent-steps of the visit so far."""

    @property
    def numbers(self) -> Mapping[str, float]:
        """Statistics of the iteration by name."""


@frozen(kw_only=True)
class Pace:
    """How fast the present visit goes; what is not known yet is None."""

    left: float | None = None
    """Seconds until the visit ends, at the speed so far."""
    run_left: float | None = None
    """Seconds until the run ends at the least: on its shortest way, at the highest speed so far."""
    speed: float | None = None
    """Agent-steps per second."""


@frozen(kw_only=True)
class Tolerance:
    """A guard that lets the candidate be worse than a baseline within limits, and where the candidate stands."""

    guard: ComparisonSpec
    """The guard."""
    value: float
    """The candidate's mean, in the metric's unit."""
    baseline: float | None = None
    """The baseline's mean at the last verdict; None before the first."""
    limit: float | None = None
    """The worst value that the tolerance allowed then."""
    verdict: Verdict | None = None
    """The verdict on this value; None where the value is of training episodes, which nothing is decided by."""


@frozen
class TeacherLevel:
    """What the teacher's play is worth, in the unit of the returns."""

    value: float
    """Mean of the objective."""
    is_captured: bool
    """Whether it is the recorded play, with its perturbed decisions; False for paired episodes of an evaluation."""


@frozen
class _Mark:
    """A moment of a visit: time, iteration and agent-steps, from which its speed is measured."""

    at: float
    step: int = 0
    agent_steps: int = 0


@define(kw_only=True)
class ProgressState:
    """What is known of a run. Times are seconds of one clock, whichever it is."""

    began: float
    """When the process began to work on the run."""
    state: str = ""
    """State whose visit works now; empty between two visits."""
    started: float = 0.0
    """When this attempt of the visit began."""
    point: Point | None = None
    """Last iteration of the visit; None before the first."""
    where: str = ""
    """State that the run is in, `hold` and the ends too; empty before the first."""
    visits: dict[str, int] = field(factory=dict)
    """Visits to each state."""
    returns: list[tuple[int, float]] = field(factory=list)
    """Iteration and return of the policy in training, for the last visit that trains."""
    look: Point | None = None
    """Last look of the cliff watch in the last visit that trains."""
    teacher: TeacherLevel | None = None
    """What the teacher's play is worth; None where nobody measured it."""
    schedule: ScheduleSpec | None = None
    """The schedule in force; None while it is not known."""
    steps_after: Mapping[str, int] = field(factory=dict)
    """Agent-steps that the run plays at least after each state."""
    fastest: float = 0.0
    """Highest speed of a visit so far, in agent-steps per second."""
    _base: _Mark | None = None
    _last: _Mark | None = None
    _series: tuple[str, int, str] = ("", 0, "")
    _reports: dict[str, GuardReport] = field(factory=dict)
    _kpis: dict[str, deque[float]] = field(factory=dict)
    """KPIs of the last training episodes, until a guard decides on them."""
    _open: tuple[str, int] | None = None
    """State and number of the visit that works; empty and 0 between two; None where no record told of any."""

    def __attrs_post_init__(self) -> None:
        self.started, self._base = self.began, _Mark(self.began)

    def note_record(self, record: JournalRecord, at: float) -> None:
        """Take in one record of the journal, written at a time."""
        if isinstance(record, ProcessStarted):
            self.began = at
        elif isinstance(record, VisitStarted):
            self.state = self.where = record.state
            self.started, self.point, self._last = at, None, None
            self._open = record.state, record.visit
            # Another attempt goes on from a checkpoint: what was played before it says nothing about the speed now.
            self._base = _Mark(at) if record.attempt == 1 else None
            self.visits[record.state] = record.visit
        elif isinstance(record, VisitFinished):
            steps = record.result.get("agent_steps")
            self._measure(_Mark(at, 0, steps if isinstance(steps, int) and self._is_whole else 0))
            self.teacher = _teacher_level(record.result, self.teacher)
            self.close_visit()
        elif isinstance(record, GuardsJudged):
            self._reports |= {report.guard: report for report in record.reports}
            for report in record.reports:
                self._kpis.pop(report.metric.rpartition(".")[2], None)
        elif isinstance(record, TransitionTaken):
            self.close_visit()
            self.where = record.target
        elif isinstance(record, RunClosed):
            self.close_visit()
            self.where = record.state

    def close_visit(self) -> None:
        """Take in that no visit works now."""
        self.state, self.point, self._open = "", None, ("", 0)

    def note_point(self, point: Point, at: float | None) -> None:
        """Take in one iteration; `at` is None where nobody knows when it was reported.

        An iteration that is reported again takes the place of the first report, and of what came after it. One of a
        visit that is over leaves its return only.
        """
        self._note_return(point)
        self._note_kpis(point)
        self._note_look(point)
        if self._open is not None and self._open != (point.state, point.visit):
            return
        self.state, self.point = point.state, point
        if at is not None:
            self._last = _Mark(at, point.step, point.agent_steps)
            if self._base is None:
                self._base = self._last
            self._measure(self._last)

    def pace(self, now: float) -> Pace:
        """Return how fast the present visit goes."""
        base, last, point = self._base, self._last, self.point
        if base is None or last is None or point is None or last.step <= base.step:
            return Pace()
        seconds, since = max(last.at - base.at, 0.0), max(now - last.at, 0.0)
        left = max(seconds * max(point.of - last.step, 0) / (last.step - base.step) - since, 0.0)
        steps, after = last.agent_steps - base.agent_steps, self.steps_after.get(self.state)
        is_bounded = bool(after and self.fastest)
        return Pace(
            left=left if point.of else None,
            run_left=left + (after or 0) / self.fastest if is_bounded else None,
            speed=steps / seconds if seconds > 0 and steps > 0 else None,
        )

    def tolerances(self) -> tuple[Tolerance, ...]:
        """Return the guards with a tolerance: as they were decided last, or where training episodes stand since."""
        guards = {} if self.schedule is None else self.schedule.guards
        found = (self._tolerance(name, guard) for name, guard in guards.items() if is_tolerance(guard))
        return tuple(each for each in found if each is not None)

    def _tolerance(self, name: str, guard: ComparisonSpec) -> Tolerance | None:
        report, values = self._reports.get(name), self._kpis.get(guard.kpi)
        mean = sum(values) / len(values) if values else None
        _, _, limit = (None, None, None) if report is None else shown_bounds(report)
        if report is None or report.value is None or report.baseline is None or limit is None:
            return None if mean is None else Tolerance(guard=guard, value=mean)
        value = report.value + report.baseline if report.pairs else report.value
        return Tolerance(
            guard=guard,
            value=value if mean is None else mean,
            baseline=report.baseline,
            limit=report.baseline + limit,
            verdict=report.verdict if mean is None else None,
        )

    @property
    def _is_whole(self) -> bool:
        """Whether the present visit was played from its beginning by this process."""
        return self._base is not None and self._base.step == 0

    def _measure(self, mark: _Mark) -> None:
        """Note the speed of the present visit, if no visit was faster."""
        base = self._base
        if base is not None and mark.at - base.at > _LEAST_SECONDS:
            self.fastest = max(self.fastest, (mark.agent_steps - base.agent_steps) / (mark.at - base.at))

    def _note_return(self, point: Point) -> None:
        name = next((name for name in _RETURNS if isfinite(point.numbers.get(name, nan))), "")
        state, visit, earlier = self._series
        is_same_visit = (state, visit) == (point.state, point.visit)
        if is_same_visit:
            while self.returns and self.returns[-1][0] >= point.step:
                self.returns.pop()
        if not name or (is_same_visit and _RETURNS.index(name) > _RETURNS.index(earlier)):
            return
        if not is_same_visit:
            self._kpis.clear()
        if not is_same_visit or name != earlier:
            self._series, self.returns = (point.state, point.visit, name), []
        self.returns.append((point.step, point.numbers[name]))

    def _note_look(self, point: Point) -> None:
        if "watched_difference" in point.numbers:
            self.look = point
        elif self.look is not None and self.look.state == point.state and self.look.visit != point.visit:
            self.look = None

    def _note_kpis(self, point: Point) -> None:
        for name, value in point.numbers.items():
            if name.startswith(_KPI) and isfinite(value):
                self._kpis.setdefault(name.removeprefix(_KPI), deque(maxlen=_KPI_POINTS)).append(value)


def _teacher_level(result: Mapping[str, Any], known: TeacherLevel | None) -> TeacherLevel | None:
    """Return what a result says of the teacher's play: recorded by capture, or better, measured by evaluate."""
    captured = result.get("return_per_agent_day")
    if isinstance(captured, float):
        return TeacherLevel(captured, is_captured=True) if known is None or known.is_captured else known
    measurements = result.get("measurements") or ()
    objective = measurements[0]["metric"] if measurements else ""
    for each in measurements:
        if each["metric"] == objective and parse_teacher(each["policy"]) is not None and each["value"] is not None:
            return TeacherLevel(float(each["value"]), is_captured=False)
    return known
