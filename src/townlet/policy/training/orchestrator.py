"""The façade: one object that takes a schedule and runs it, all of it or the part that a mode asks for."""

from collections.abc import Callable
from pathlib import Path

import attrs
from attrs import define

from townlet.dto.boundary import RolloutFrameDTO
from townlet.dto.journal import Entry
from townlet.dto.policy import (
    AnnealSummary,
    BCTrainingResult,
    CaptureResult,
    PPOTrainingResult,
    ReplayResult,
)
from townlet.dto.schedule import Plan, ScheduleSpec
from townlet.dto.strategies import Device
from townlet.dto.train import TrainRequest, as_text
from townlet.dto.training_log import TrainingLogEntry
from townlet.imports import Imports
from townlet.machine.audit.snapshot import load_run
from townlet.machine.catalogue import StrategyAvailability
from townlet.machine.engine.visit import never
from townlet.machine.schedule.loader import Replacements
from townlet.policy.compat.frames import captured_frames
from townlet.policy.compat.legacy import last_result
from townlet.policy.compat.modes import check_request, requested_schedule
from townlet.policy.compat.records import CompatWriter
from townlet.policy.compat.rounds import with_rounds
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.launch import RunLauncher, ScheduleSource
from townlet.policy.training.resume import RunResumer
from townlet.policy.training.services import TrainingServices, promotion_of
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.policy.training.telemetry import MetricPoint, Telemetry
from townlet.ports import EnvironmentProvider, Script, Teacher
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["PolicyTrainingOrchestrator"]


def _ignore(_: object) -> None:
    """Listen to nothing."""


@define
class PolicyTrainingOrchestrator:
    """Takes a scripted policy to a learned one: every method runs strategies and returns a frozen result.

    Methods named for one strategy run a machine of that part of the schedule; HoldError or StrategyFailedError where
    it does not reach done.
    """

    config: ScheduleSpec | Path | ScheduleSource
    """A schedule, the path of one, or its text."""
    services: TrainingServices | None = attrs.field(default=None, kw_only=True)
    """Used instead of the built-in services."""
    strategies: Strategies | None = attrs.field(default=None, kw_only=True)
    """Strategies that run in place of declared ones, or entries that add one, by name."""
    environments: EnvironmentProvider | str | None = attrs.field(default=None, kw_only=True)
    """Provider, or id, used instead of the schedule's environment id."""
    teacher: Teacher | Script | None = attrs.field(default=None, kw_only=True)
    """Teacher that the environment offers under the name ``custom``."""
    imports: Imports = attrs.field(default=Imports(), kw_only=True)
    """The modules that the schedule may name."""
    home: Path = attrs.field(default=Path(".townlet"), kw_only=True)
    """Directory of runs, blobs and the registry."""
    seed: int | None = attrs.field(default=None, kw_only=True)
    """Replaces the schedule's seed."""
    listen: Callable[[Entry], None] = attrs.field(default=_ignore, kw_only=True)
    """Called with every journal record once it is durable."""
    watch: Callable[[MetricPoint], None] = attrs.field(default=_ignore, kw_only=True)
    """Called with every iteration of every strategy."""
    stopping: Callable[[], bool] = attrs.field(default=never, kw_only=True)
    """Asked between two steps and inside long visits: whether the process should save its work and stop."""
    on_plan: Callable[[Plan], None] = attrs.field(default=_ignore, kw_only=True)
    """Called with the sound machine, that of a rehearsal shrunk, before its first state is visited."""
    last_epoch: TrainingLogEntry | None = attrs.field(default=None, init=False)
    """Last iteration of ppo in the last call of a mode, as a line of the training log."""
    _summary: AnnealSummary | None = attrs.field(default=None, init=False)

    def plan(self, source: ScheduleSource | None = None, replaced: Replacements | None = None) -> Plan:
        """Return the schedule, or what was read of it, proven sound; ScheduleError with every mistake.

        What is `replaced` takes the place of what the schedule says.
        """
        source = source or ScheduleSource.of(self.config)
        plan = self._load(source, replaced)
        self.source.of_schedule(plan.schedule, source.folder)  # refuses a teacher that is not there
        return plan

    def available_strategies(self) -> tuple[StrategyAvailability, ...]:
        """Return each strategy, whether it can run here, and what to install where it cannot."""
        return catalogue(self.strategies).availability()

    def run(
        self, *, rehearse: bool = False, directory: Path | None = None, device: Device | None = None
    ) -> AnnealSummary:
        """Run the whole machine in a new run directory; `device` is where networks are trained."""
        return self.train(TrainRequest(device=device), rehearse=rehearse, directory=directory)

    def train(self, request: TrainRequest, *, rehearse: bool = False, directory: Path | None = None) -> AnnealSummary:
        """Run the machine that a request asks for; what can be refused is refused before anything is written."""
        check_request(request)
        source, strategies = ScheduleSource.of(self.config), catalogue(self.strategies)
        plan = self.plan(source)
        described = self.source.describe(plan.schedule.environment)
        machine = requested_schedule(request, plan.schedule, described, strategies)
        if machine is not plan.schedule:
            source = source.replaced_by(machine, f"{machine.name} --mode {request.mode}")
            plan = self._load(source)
        writer = CompatWriter.open(request, plan.schedule, strategies)

        def listen(entry: Entry) -> None:
            writer.on_record(entry)
            self.listen(entry)

        points = Telemetry(listen=self.watch, report=writer.on_iteration)
        launcher = self._launcher(plan, source.folder, listen, points)
        summary = self._with_rounds(launcher.start(source, rehearse=rehearse, directory=directory))
        self._summary, self.last_epoch = summary, writer.last_epoch
        writer.close(summary, BlobStore(self.home / "blobs"))
        return summary

    def resume(self, run: str | Path = "latest", *, accept_schedule: bool = False) -> AnnealSummary:
        """Resume a run of this schedule from its journal; a finished one is only summarised.

        `run` is a directory, the beginning of an id, or ``latest``. BadInputError with the difference where the
        schedule was edited since, unless `accept_schedule` takes the edit over; JournalBrokenError where the journal
        does not hold; HoldError where another process is at work. A run of another home is refused.
        """
        resumer = RunResumer(
            run=RunDirectory.find(self.home, run),
            config=self.config,
            accept=accept_schedule,
            describe=self.source.describe,
            catalogue=catalogue(self.strategies),
            launcher=lambda plan, folder: self._launcher(plan, folder, self.listen, Telemetry(listen=self.watch)),
            home=self.home,
        )
        self._summary = self._with_rounds(resumer.resume())
        return self._summary

    def run_anneal(self, *, log_dir: Path | None = None) -> AnnealSummary:
        """Run the whole machine; `log_dir` gets the results, the promotion snapshot and the training log."""
        return self.train(TrainRequest(mode="anneal", anneal_log_dir=as_text(log_dir)))

    def run_bc_training(self, *, manifest: Path | None = None) -> BCTrainingResult:
        """Clone what is captured, or the accepted samples of a manifest."""
        return last_result(self.train(TrainRequest(mode="bc", bc_manifest=as_text(manifest))), BCTrainingResult)

    def run_ppo(
        self, *, epochs: int | None = None, manifest: Path | None = None, log: Path | None = None
    ) -> PPOTrainingResult:
        """Fine-tune without a clone, on own rollouts or on the recorded trajectories of a manifest."""
        request = TrainRequest(mode="ppo", epochs=epochs, replay_manifest=as_text(manifest), ppo_log=as_text(log))
        return last_result(self.train(request), PPOTrainingResult)

    def capture_rollout(self, *, ticks: int | None = None, save_dir: Path | None = None) -> CaptureResult:
        """Record the teacher; `transitions` and `trajectory` hold the recording afterwards."""
        request = TrainRequest(mode="capture", rollout_ticks=ticks, rollout_save_dir=as_text(save_dir))
        return last_result(self.train(request), CaptureResult)

    def run_replay(self, sample: Path, *, meta: Path | None = None) -> ReplayResult:
        """Summarise one sample."""
        request = TrainRequest(mode="replay", replay_sample=as_text(sample), replay_meta=as_text(meta))
        return last_result(self.train(request), ReplayResult)

    def run_replay_dataset(
        self, manifest: Path, *, batch_size: int | None = None, streaming: bool = False
    ) -> ReplayResult:
        """Summarise the samples of a manifest, batch by batch."""
        request = TrainRequest(
            mode="replay", replay_manifest=as_text(manifest), replay_batch_size=batch_size, replay_streaming=streaming
        )
        return last_result(self.train(request), ReplayResult)

    @property
    def transitions(self) -> tuple[RolloutFrameDTO, ...]:
        """Every decision of every world that the last run captured, world by world."""
        return self._frames(worlds=None)

    @property
    def trajectory(self) -> tuple[RolloutFrameDTO, ...]:
        """The decisions of the first world that the last run captured, in order."""
        return self._frames(worlds=1)

    def _frames(self, worlds: int | None) -> tuple[RolloutFrameDTO, ...]:
        return () if self._summary is None else captured_frames(self._summary, BlobStore(self.home / "blobs"), worlds)

    @property
    def source(self) -> EnvironmentSource:
        """Where environment and teacher come from."""
        return EnvironmentSource(passed=self.environments, teacher=self.teacher, imports=self.imports, home=self.home)

    def _load(self, source: ScheduleSource, replaced: Replacements | None = None) -> Plan:
        return source.plan(catalogue(self.strategies), self.source.describe, seed=self.seed, replaced=replaced)

    def _launcher(self, plan: Plan, folder: Path, listen: Callable[[Entry], None], points: Telemetry) -> RunLauncher:
        return RunLauncher(
            plan=plan,
            home=self.home,
            environments=self.source.of_schedule(plan.schedule, folder),
            services=self.services,
            catalogue=catalogue(self.strategies),
            listen=listen,
            telemetry=points,
            stopping=self.stopping,
            on_plan=self.on_plan,
        )

    def _with_rounds(self, summary: AnnealSummary) -> AnnealSummary:
        """Return the summary with status, rounds and promotion, folded from the run's journal."""
        strategies = catalogue(self.strategies)
        run = load_run(RunDirectory.at(Path(summary.path)), BlobStore(self.home / "blobs"), strategies)
        promotion = promotion_of if self.services is None else self.services.promotion
        return with_rounds(summary, run, strategies, promotion(run.schedule, strategies).fold(run.entries).snapshot())
