"""The façade: one object that takes a schedule and walks it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
from attrs import frozen

from townlet.dto.journal import Entry
from townlet.dto.policy import AnnealSummary
from townlet.dto.schedule import EnvironmentSpec, Plan, ScheduleSpec
from townlet.machine.journal import Journal
from townlet.machine.loader import load, load_text, require_torch
from townlet.machine.rehearsal import shrink
from townlet.machine.visit import Visit
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.launch import (
    check_champion,
    fingerprint,
    open_registry,
    run_created,
    schedule_text,
    weights_from_outside,
)
from townlet.policy.training.services import ReplayDatasetService, TrainingServices
from townlet.policy.training.strategies.anneal import AnnealStrategy
from townlet.policy.training.strategies.base import TrainingStrategy, catalogue
from townlet.policy.training.telemetry import MetricPoint, Telemetry
from townlet.ports import EnvironmentDescription, EnvironmentProvider, provider
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["PolicyTrainingOrchestrator"]


def _nobody(_: object) -> None:
    """Listen to nothing."""


def _or_empty(strategies: Mapping[str, TrainingStrategy] | None) -> Mapping[str, TrainingStrategy]:
    return strategies or {}


@frozen
class PolicyTrainingOrchestrator:
    """Takes a scripted policy to a learned one: every method delegates to a strategy and returns a frozen result."""

    config: ScheduleSpec | Path
    """A schedule, or the path of one."""
    services: TrainingServices | None = attrs.field(default=None, kw_only=True)
    """Used instead of the built-in services."""
    strategies: Mapping[str, TrainingStrategy] = attrs.field(factory=dict, kw_only=True, converter=_or_empty)
    """Used instead of the built-in strategies, by name."""
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

    def plan(self) -> Plan:
        """Return the schedule, proven sound; ScheduleError with every mistake. Nothing is written."""
        known = catalogue(self.strategies)
        if isinstance(self.config, ScheduleSpec):
            return load_text(schedule_text(self.config), self.config.name, known, self._describe, seed=self.seed)
        return load(self.config, known, self._describe, seed=self.seed)

    def _provider(self, environment_id: str) -> EnvironmentProvider:
        return provider(environment_id) if self.environments is None else self.environments

    def _describe(self, spec: EnvironmentSpec) -> EnvironmentDescription:
        return self._provider(spec.id).describe(spec.scenario)

    def run(self, *, rehearse: bool = False, directory: Path | None = None) -> AnnealSummary:
        """Walk the machine in a new run directory and return what happened.

        Everything that can be refused is refused before the directory exists: a schedule with mistakes, torch that is
        missing, weights from outside that do not fit, a champion of another environment.
        """
        plan = shrink(self.plan()) if rehearse else self.plan()
        schedule, known = plan.schedule, catalogue(self.strategies)
        require_torch(plan, known)
        environments, blobs = self._provider(schedule.environment.id), BlobStore(self.home / "blobs")
        description = environments.describe(schedule.environment.scenario)
        folder = self.config.parent if isinstance(self.config, Path) else Path()
        outside = weights_from_outside(schedule, folder, description)
        check_champion(schedule, self.home, blobs, description)
        text = self.config.read_bytes() if isinstance(self.config, Path) else schedule_text(self.config)
        run = RunDirectory.create(
            self.home, schedule.name, text, {"seed": schedule.seed, "versions": fingerprint()}, target=directory
        )
        with run.lock():
            for data in outside:
                blobs.put(data)
            journal = Journal(run.journal, run.head, known)
            created = run_created(schedule, text, run, description.signature, rehearsal=rehearse)
            self.listen(journal.append(created))
            context = TrainingContext(
                visit=Visit.outermost(schedule.seed),
                plan=plan,
                blobs=blobs,
                environments=environments,
                services=self.services or TrainingServices(replay=ReplayDatasetService(blobs)),
                telemetry=Telemetry(path=run.metrics, listen=self.watch),
            )
            strategy = AnnealStrategy(
                run_directory=run,
                journal=journal,
                registry=open_registry(schedule, self.home, run),
                catalogue=known,
                strategies=self.strategies,
                listen=self.listen,
            )
            strategy.prepare(context)
            return strategy.run(context)
