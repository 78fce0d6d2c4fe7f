"""The façade: one object that takes a schedule and walks it, all of it or the part that a mode asks for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import attrs
from attrs import define

from townlet.dto.boundary import RolloutFrameDTO
from townlet.dto.catalogue import StrategyAvailability
from townlet.dto.journal import Entry
from townlet.dto.policy import (
    AnnealSummary,
    BCTrainingResult,
    CaptureResult,
    PPOTrainingResult,
    ReplayResult,
    TrainingResult,
)
from townlet.dto.schedule import EnvironmentSpec, Plan, ScheduleSpec
from townlet.dto.strategies import Device
from townlet.dto.train import TrainRequest
from townlet.errors import HoldError, StrategyFailedError
from townlet.machine.loader import load, load_text
from townlet.machine.visit import never
from townlet.policy.experience import Experience
from townlet.policy.training.frames import frames_of
from townlet.policy.training.launch import Launch, Paper, read_schedule, schedule_text
from townlet.policy.training.modes import check_request, find_data, machine_of
from townlet.policy.training.records import RunRecords, captured_play
from townlet.policy.training.resume import Resumption
from townlet.policy.training.rounds import Rounds
from townlet.policy.training.services import TrainingServices
from townlet.policy.training.strategies.base import TrainingStrategy, catalogue
from townlet.policy.training.telemetry import MetricPoint, Telemetry
from townlet.ports import EnvironmentDescription, EnvironmentProvider, provider
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["PolicyTrainingOrchestrator"]

Result = TypeVar("Result", bound=TrainingResult)


def _nobody(_: object) -> None:
    """Listen to nothing."""


def _or_empty(strategies: Mapping[str, TrainingStrategy] | None) -> Mapping[str, TrainingStrategy]:
    return strategies or {}


@define
class PolicyTrainingOrchestrator:
    """Takes a scripted policy to a learned one: every method delegates to a strategy and returns a frozen result.

    Methods named for one strategy walk a machine of that part of the schedule; HoldError or StrategyFailedError where
    it does not reach done.
    """

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
    stopping: Callable[[], bool] = attrs.field(default=never, kw_only=True)
    """Asked between two steps and inside long visits: whether the process should save its work and stop."""
    _last_walk: AnnealSummary | None = attrs.field(default=None, init=False)

    def plan(self) -> Plan:
        """Return the schedule, proven sound; ScheduleError with every mistake. Nothing is written."""
        known = catalogue(self.strategies)
        if isinstance(self.config, ScheduleSpec):
            return load_text(schedule_text(self.config), self.config.name, known, self._describe, seed=self.seed)
        return load(self.config, known, self._describe, seed=self.seed)

    def taught_by(self, teacher: str) -> "PolicyTrainingOrchestrator":
        """Return the façade of the same schedule with another of the environment's teachers."""
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
        records = RunRecords.of(request, Rounds(schedule=plan.schedule, catalogue=known))

        def listen(entry: Entry) -> None:
            records.listen(entry)
            self.listen(entry)

        launch = self._launch(plan, listen, Telemetry(listen=self.watch, log=records.log))
        summary = launch.walk(Paper(text=text, folder=folder, source=source), rehearse=rehearse, directory=directory)
        records.close(summary, BlobStore(self.home / "blobs"))
        self._last_walk = summary
        return summary

    def resume(self, run: str | Path = "latest", *, accept_schedule: bool = False) -> AnnealSummary:
        """Go on with a run of this schedule where its journal stands; a finished one is only told.

        `run` is a directory, the beginning of an id, or ``latest``. BadInputError with the difference where the
        schedule was edited since, unless `accept_schedule` takes the edit over; JournalBrokenError where the journal
        does not hold; HoldError where another process is at work.
        """
        self._last_walk = Resumption(
            run=RunDirectory.find(self.home, run), config=self.config, accept=accept_schedule,
            describe=self._describe, launch=self._launch, blobs=BlobStore(self.home / "blobs"),
        ).walk()  # fmt: skip
        return self._last_walk

    def run_anneal(self, *, log_dir: Path | None = None) -> AnnealSummary:
        """Walk the whole machine; `log_dir` gets the results, the promotion snapshot and the training log."""
        return self.train(TrainRequest(mode="anneal", anneal_log_dir=_word(log_dir)))

    def run_bc_training(self, *, manifest: Path | None = None) -> BCTrainingResult:
        """Clone what is captured, or the accepted samples of a manifest."""
        return self._last(TrainRequest(mode="bc", bc_manifest=_word(manifest)), BCTrainingResult)

    def run_ppo(
        self, *, epochs: int | None = None, manifest: Path | None = None, log: Path | None = None
    ) -> PPOTrainingResult:
        """Fine-tune without a clone, on own rollouts or on the recorded play of a manifest."""
        request = TrainRequest(mode="ppo", epochs=epochs, replay_manifest=_word(manifest), ppo_log=_word(log))
        return self._last(request, PPOTrainingResult)

    def capture_rollout(self, *, ticks: int | None = None, save_dir: Path | None = None) -> CaptureResult:
        """Record the teacher; `transitions` and `trajectory` hold the play afterwards."""
        request = TrainRequest(mode="capture", rollout_ticks=ticks, rollout_save_dir=_word(save_dir))
        return self._last(request, CaptureResult)

    def run_replay(self, sample: Path, *, meta: Path | None = None) -> ReplayResult:
        """Summarise one sample."""
        request = TrainRequest(mode="replay", replay_sample=_word(sample), replay_meta=_word(meta))
        return self._last(request, ReplayResult)

    def run_replay_dataset(
        self, manifest: Path, *, batch_size: int | None = None, streaming: bool = False
    ) -> ReplayResult:
        """Summarise the samples of a manifest, batch by batch."""
        request = TrainRequest(
            mode="replay", replay_manifest=_word(manifest), replay_batch_size=batch_size, replay_streaming=streaming
        )
        return self._last(request, ReplayResult)

    @property
    def transitions(self) -> tuple[RolloutFrameDTO, ...]:
        """Every decision of every world that the last walk captured, world by world."""
        played = self._played()
        return () if played is None else frames_of(played)

    @property
    def trajectory(self) -> tuple[RolloutFrameDTO, ...]:
        """The decisions of the first world that the last walk captured, in order."""
        played = self._played()
        return () if played is None else frames_of(played, worlds=1)

    def _played(self) -> Experience | None:
        return None if self._last_walk is None else captured_play(self._last_walk, BlobStore(self.home / "blobs"))

    def _launch(
        self, plan: Plan, listen: Callable[[Entry], None] | None = None, telemetry: Telemetry | None = None
    ) -> Launch:
        return Launch(
            plan=plan, home=self.home, environments=self._provider(plan.schedule.environment.id),
            services=self.services, strategies=self.strategies, listen=listen or self.listen,
            telemetry=telemetry or Telemetry(listen=self.watch), stopping=self.stopping,
        )  # fmt: skip

    def _provider(self, environment_id: str) -> EnvironmentProvider:
        return provider(environment_id) if self.environments is None else self.environments

    def _describe(self, spec: EnvironmentSpec) -> EnvironmentDescription:
        return self._provider(spec.id).describe(spec.scenario)

    def _last(self, request: TrainRequest, kind: type[Result]) -> Result:
        summary = self.train(request)
        if summary.state != "done":
            raise (HoldError if summary.state == "hold" else StrategyFailedError)(f"{summary.reason} ({summary.path})")
        result = summary.stages[-1].result
        if not isinstance(result, kind):
            raise StrategyFailedError(f"the walk answered with {type(result).__name__}, expected {kind.__name__}")
        return result


def _word(path: Path | None) -> str | None:
    return None if path is None else str(path)
