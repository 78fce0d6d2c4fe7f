"""Listens to a run, and gives each of its trackers what the records and the metric stream say."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter, time
from typing import Any, Protocol

from attrs import define, field

from townlet.dto.journal import (
    EffectDone,
    Entry,
    GuardsJudged,
    RunClosed,
    RunCreated,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.dto.schedule import Plan, RegistrySpec
from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read
from townlet.ports import Tracker
from townlet.store.blobs import BlobStore
from townlet.store.hints import command_line
from townlet.store.rundir import RunDirectory
from townlet.trackers.background import BackgroundTracker
from townlet.trackers.find import TrackerOptions, Trackers, find_trackers, is_registered
from townlet.trackers.names import gate_numbers, point_numbers, result_numbers

__all__ = ["Point", "Tracking"]

_LOG = logging.getLogger("townlet")


class Point(Protocol):
    """One iteration of a visit, as the metric stream reports it."""

    @property
    def state(self) -> str:
        """Name of the state."""

    @property
    def step(self) -> int:
        """Iteration or epoch of the visit, from 1."""

    @property
    def agent_steps(self) -> int:
        """Agent-steps of the visit so far; 0 where it plays nothing."""

    @property
    def numbers(self) -> Mapping[str, float]:
        """Statistics of the iteration by name."""

    @property
    def returns(self) -> tuple[float, ...]:
        """Return of each whole training episode that ended in the iteration."""


@define
class Tracking:
    """Gives the trackers of one run what is reported; an error in here is told once, and the run goes on."""

    trackers: Mapping[str, Tracker]
    """By name; none: nothing is done."""
    home: Path
    """Where the weights are that an alias names."""
    catalogue: StrategyCatalogue
    """Strategies of the run: which of them fine-tune."""
    _run: RunCreated | None = field(default=None, init=False)
    _plan: Plan | None = field(default=None, init=False)
    _running: tuple[BackgroundTracker, ...] = field(default=(), init=False)
    _agent_steps: int = field(default=0, init=False)
    """Of the visits that are finished."""
    _epochs: dict[str, int] = field(factory=dict, init=False)
    """By state that plays nothing while it learns: epochs of its finished visits."""
    _step: int = field(default=0, init=False)
    """Step of the open visit's last point."""
    _last: tuple[float, int] = field(factory=lambda: (perf_counter(), 0), init=False)
    """When the last point came, and its agent-steps within the visit."""
    _is_continued: bool = field(default=False, init=False)
    _end: str = field(default="stopped", init=False)
    _is_broken: bool = field(default=False, init=False)

    @classmethod
    def of(
        cls,
        given: Trackers,
        of_schedule: TrackerOptions,
        home: Path,
        catalogue: StrategyCatalogue,
        run: RunDirectory | None = None,
    ) -> "Tracking":
        """Return the trackers that are named, for a new run or the one that goes on; errors as of `find_trackers`."""
        tracking = cls(find_trackers(given, of_schedule, home), home.absolute(), catalogue)
        if run is not None and tracking.trackers:
            tracking._safely(lambda: tracking._continue_run(run))
        return tracking

    def __enter__(self) -> "Tracking":
        """Return this; the trackers begin with the run."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let every tracker take what waits, no longer than the run can spare."""
        for each in self._running:
            each.end(self._end)
        for each in self._running:
            each.wait()
        self._running = ()

    def _continue_run(self, run: RunDirectory) -> None:
        """Go on with a run that an earlier process began: count what it has played."""
        self._is_continued = True
        for entry in read(run.journal, run.head, self.catalogue).entries:
            self._count(entry)

    def begin(self, plan: Plan) -> None:
        """Open the trackers for the run of a plan, before its first visit."""
        self._safely(lambda: self._begin(plan))

    def listen(self, entry: Entry) -> None:
        """Take one record of the journal."""
        self._safely(lambda: self._listen(entry))

    def watch(self, point: Point) -> None:
        """Take one iteration of a visit."""
        self._safely(lambda: self._watch(point))

    def _safely(self, call: Callable[[], object]) -> None:
        """Let no error out; after the first one nothing more is tracked."""
        if self._is_broken:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in tracking must not end a run
            self._is_broken = True
            _LOG.warning("nothing is tracked any more (%s: %s); the run goes on", type(error).__name__, error)

    def _begin(self, plan: Plan) -> None:
        if self._run is None or self._running:
            return
        self._plan = plan
        run = TrackedRun(
            id=self._run.run,
            name=self._run.name,
            seed=self._run.seed,
            rehearsal=self._run.rehearsal,
            continued=self._is_continued,
            parameters=dict(_leaves("", _plain(plan))),
        )
        self._running = tuple(
            BackgroundTracker(name, each, run, self._advice(name, each, plan.schedule.registry))
            for name, each in self.trackers.items()
        )

    def _advice(self, name: str, tracker: Tracker, registry: RegistrySpec) -> str:
        """Return how a tracker that is found by its name is told of a promotion that it did not take."""
        if self._run is None or not (tracker.keeps_aliases and is_registered(name)):
            return ""
        words = ("--alias", registry.champion, "--track", name, "--run", self._run.run)
        return f"later, tell it with: {command_line('registry', 'mirror', registry.name, *words, home=self.home)}"

    def _listen(self, entry: Entry) -> None:
        self._count(entry)
        record = entry.record
        if isinstance(record, VisitFinished):
            self._log(self._agent_steps, result_numbers(record.state, record.result))
        elif isinstance(record, GuardsJudged):
            numbers = {name: value for report in record.reports for name, value in gate_numbers(report).items()}
            self._log(self._agent_steps, numbers)
        elif isinstance(record, EffectDone):
            self._move(record)

    def _watch(self, point: Point) -> None:
        if not self._running or self._plan is None:
            return
        self._step = point.step
        fine_tunes = self.catalogue.entry(self._plan.schedule.states[point.state].strategy).fine_tunes
        numbers = point_numbers(point.state, point.numbers, fine_tunes=fine_tunes)
        if not point.agent_steps:
            self._log(self._epochs.get(point.state, 0) + point.step, numbers)
            return
        (before, steps), now = self._last, perf_counter()
        self._last = now, point.agent_steps
        total = self._agent_steps + point.agent_steps
        speed = {"time/fps": (point.agent_steps - steps) / (now - before)} if now > before else {}
        self._log(total, numbers | speed | {"time/total_timesteps": total}, point.returns)

    def _count(self, entry: Entry) -> None:
        """Follow the journal: which run it is, what it has played, and how it ended."""
        record = entry.record
        if isinstance(record, RunCreated):
            self._run = record
        elif isinstance(record, VisitStarted):
            self._last, self._step = (perf_counter(), 0), 0
        elif isinstance(record, VisitFinished):
            steps = record.result.get("agent_steps")
            self._agent_steps += steps if isinstance(steps, int) else 0
            self._epochs[record.state] = self._epochs.get(record.state, 0) + self._step
        elif isinstance(record, TransitionTaken):
            self._end = "hold" if record.target == "hold" else "stopped"
        elif isinstance(record, RunClosed):
            self._end = record.state

    def _log(self, step: int, numbers: Mapping[str, float], returns: tuple[float, ...] = ()) -> None:
        if self._running and (numbers or returns):
            point = TrackedPoint(step=step, at=time(), numbers=numbers, returns=returns)
            for each in self._running:
                each.log(point)

    def _move(self, record: EffectDone) -> None:
        if self._plan is None:
            return
        move = AliasMove(
            policy=self._plan.schedule.registry.name,
            alias=record.alias,
            version=record.version,
            weights=record.target,
            file=BlobStore(self.home / "blobs").path(record.target),
            reason=f"promoted by run {self._run.run}" if self._run else "",
        )
        for each in self._running:
            each.move(move)


def _plain(plan: Plan) -> dict[str, Any]:
    """Return the schedule as plain data, with every option of every state, the defaults too."""
    plain = plan.schedule.model_dump()
    for name, options in plan.options.items():
        plain["states"][name]["with"] = options.model_dump()
    return plain


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield each value of plain data by the keys that lead to it, with dots between them."""
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        if value is not None:
            yield path, str(value)
        return
    for key, item in items:
        yield from _leaves(f"{path}.{key}" if path else key, item)
