"""What walks a schedule: ready for a run, a part of one that a mode asks for, or one that stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import attrs
from attrs import define

from townlet.dto.journal import Entry
from townlet.dto.policy import AnnealSummary
from townlet.dto.schedule import EnvironmentSpec, Plan, ScheduleSpec
from townlet.dto.strategies import Device
from townlet.dto.train import TrainRequest
from townlet.machine.catalogue import StrategyAvailability
from townlet.machine.engine.visit import never
from townlet.machine.schedule.loader import load, load_text
from townlet.policy.compat.modes import check_request, find_data, machine_of
from townlet.policy.compat.records import CompatWriter
from townlet.policy.compat.rounds import Rounds
from townlet.policy.training.launch import RunLauncher, ScheduleSource, read_schedule, schedule_text
from townlet.policy.training.resume import RunResumer
from townlet.policy.training.services import TrainingServices
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.policy.training.telemetry import MetricPoint, Telemetry
from townlet.ports import EnvironmentDescription, EnvironmentProvider, provider
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["ScheduleRunner"]


def _nobody(_: object) -> None:
    """Listen to nothing."""


def _or_empty(strategies: "Strategies | None") -> "Strategies":
    return strategies or {}


@define
class ScheduleRunner:
    """A schedule with all that a walk of it needs; remembers how its last walk ended."""

    config: ScheduleSpec | Path
    """A schedule, or the path of one."""
    services: TrainingServices | None = attrs.field(default=None, kw_only=True)
    """Used instead of the built-in services."""
    strategies: Strategies = attrs.field(factory=dict, kw_only=True, converter=_or_empty)
    """Strategies that run in place of declared ones, or entries that add one, by name."""
    environments: EnvironmentProvider | None = attrs.field(default=None, kw_only=True)
    """Used instead of the provider that the schedule's environment id is registered under."""
    home: Path = attrs.field(default=Path(".townlet"), kw_only=True)
    """Where runs, blobs and the registry live."""
    seed: int | None = attrs.field(default=None, kw_only=True)
    """Takes the place of the schedule's seed."""
    listen: Callable[[Entry], None] = attrs.field(default=_nobody, kw_only=True)
    """Hears every journal record once it is durable."""
    watch: Callable[[MetricPoint], None] = attrs.field(default=_nobody, kw_only=True)
    """Hears every iteration of every strategy."""
    stopping: Callable[[], bool] = attrs.field(default=never, kw_only=True)
    """Asked between two steps and inside long visits: whether the process should save its work and stop."""
    _last_walk: AnnealSummary | None = attrs.field(default=None, init=False)

    def plan(self) -> Plan:
        """Return the schedule, proven sound; ScheduleError with every mistake. Nothing is written."""
        known = catalogue(self.strategies)
        if isinstance(self.config, ScheduleSpec):
            return load_text(schedule_text(self.config), self.config.name, known, self._describe, seed=self.seed)
        return load(self.config, known, self._describe, seed=self.seed)

    def with_teacher(self, teacher: str) -> Self:
        """Return what walks the same schedule with another of the environment's teachers."""
        schedule = self.plan().schedule
        if isinstance(self.config, Path):
            files = {n: attrs.evolve(p, file=str(self.config.parent / p.file)) for n, p in schedule.policies.items()}
            schedule = attrs.evolve(schedule, policies=files)
        return attrs.evolve(self, config=attrs.evolve(schedule, teacher=teacher))

    def available_strategies(self) -> tuple[StrategyAvailability, ...]:
        """Return each strategy, whether it can run here, and what to install where it cannot."""
        return catalogue(self.strategies).availability()

    def run(
        self, *, rehearse: bool = False, directory: Path | None = None, device: Device | None = None
    ) -> AnnealSummary:
        """Walk the whole machine in a new run directory and return what happened; `device` is where networks train."""
        return self.train(TrainRequest(device=device), rehearse=rehearse, directory=directory)

    def train(self, request: TrainRequest, *, rehearse: bool = False, directory: Path | None = None) -> AnnealSummary:
        """Walk the machine that a request asks for; what can be refused is refused before anything is written."""
        check_request(request)
        plan = self.plan()
        data = find_data(request, self._describe(plan.schedule.environment))
        machine, known = machine_of(plan.schedule, request, data), catalogue(self.strategies)
        folder = self.config.parent if isinstance(self.config, Path) else Path()
        source = self.config if isinstance(self.config, Path) and machine is plan.schedule else None
        if machine is plan.schedule:
            text = read_schedule(self.config)
        else:
            text, name = schedule_text(machine), f"{machine.name} --mode {request.mode}"
            plan = load_text(text, name, known, self._describe, folder=folder)
        records = CompatWriter.of(request, Rounds(schedule=plan.schedule, catalogue=known))

        def listen(entry: Entry) -> None:
            records.listen(entry)
            self.listen(entry)

        launch = self._launch(plan, listen, Telemetry(listen=self.watch, log=records.log))
        summary = launch.walk(
            ScheduleSource(text=text, folder=folder, source=source), rehearse=rehearse, directory=directory
        )
        records.close(summary, BlobStore(self.home / "blobs"))
        self._last_walk = summary
        return summary

    def resume(self, run: str | Path = "latest", *, accept_schedule: bool = False) -> AnnealSummary:
        """Go on with a run of this schedule where its journal stands; a finished one is only told.

        `run` is a directory, the beginning of an id, or ``latest``. BadInputError with the difference where the
        schedule was edited since, unless `accept_schedule` takes the edit over; JournalBrokenError where the journal
        does not hold; HoldError where another process is at work.
        """
        self._last_walk = RunResumer(
            run=RunDirectory.find(self.home, run),
            config=self.config,
            accept=accept_schedule,
            describe=self._describe,
            catalogue=catalogue(self.strategies),
            launch=self._launch,
            blobs=BlobStore(self.home / "blobs"),
        ).walk()
        return self._last_walk

    def _launch(
        self, plan: Plan, listen: Callable[[Entry], None] | None = None, telemetry: Telemetry | None = None
    ) -> RunLauncher:
        return RunLauncher(
            plan=plan, home=self.home, environments=self._provider(plan.schedule.environment.id),
            services=self.services, catalogue=catalogue(self.strategies), listen=listen or self.listen,
            telemetry=telemetry or Telemetry(listen=self.watch), stopping=self.stopping,
        )  # fmt: skip

    def _provider(self, environment_id: str) -> EnvironmentProvider:
        return provider(environment_id) if self.environments is None else self.environments

    def _describe(self, spec: EnvironmentSpec) -> EnvironmentDescription:
        return self._provider(spec.id).describe(spec.scenario)
