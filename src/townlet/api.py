"""The calls of the Python interface: `run` a schedule, `anneal` with objects of your own, `resume` what was stopped."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from os import write
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

from attrs import define, evolve

from townlet.dto.journal import Entry, RunCreated
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.schedule import EnvironmentSpec, ScheduleSpec
from townlet.dto.strategies import Device
from townlet.env.python_factory import PythonProvider
from townlet.errors import BadInputError, ResourceFaultError, StoppedError, UnfitInputError
from townlet.machine.engine.visit import never
from townlet.machine.schedule.loader import Replacements
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training.anneal_result import AnnealResult
from townlet.policy.training.argument_checks import (
    as_environment,
    as_metrics,
    as_overrides,
    as_teacher,
    require_callable,
    require_imports,
    require_mapping,
    require_text,
)
from townlet.policy.training.custom_teacher import CUSTOM
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.first_schedule import first_schedule
from townlet.policy.training.launch import ScheduleSource, with_absolute_files
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.passed_objects import source_of_run
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.policy.training.telemetry import MetricPoint
from townlet.ports import EnvironmentProvider, Script, Teacher
from townlet.report import terminal
from townlet.report.jupyter import is_notebook, notebook_console
from townlet.report.progress import RunProgress
from townlet.report.run_warnings import log_warnings, warnings_shown
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["anneal", "resume", "run"]

_HOME = ".townlet"
_SECONDS_PER_REWRITE = 1.0


def run(
    schedule: ScheduleSpec | Path | str,
    *,
    home: Path | str = _HOME,
    seed: int | None = None,
    rehearse: bool = False,
    directory: Path | str | None = None,
    device: Device | None = None,
    overrides: Mapping[str, object] | None = None,
    strategies: Strategies | None = None,
    allow_imports: Sequence[str] = (),
    progress: bool | None = None,
    stopping: Callable[[], bool] = never,
) -> AnnealResult:
    """Run a whole schedule, as `townlet run` does, and return its summary.

    `schedule` is a record, a path, or the name of a shipped schedule such as ``quickstart``. `home` holds runs, blobs
    and the registry; `seed` replaces the schedule's; `rehearse` visits every state with tiny numbers and promotes
    nothing; `directory` is the run directory to create; `device` is where networks are trained; `overrides` are values
    in place of the schedule's own, as ``{"states.ppo.with.learning_rate": 3e-4}``; `strategies` are used besides the
    installed ones; `allow_imports` are the modules that the schedule may name for an environment or a teacher.

    `progress` is shown by default where the main thread calls from a terminal or a notebook; True shows it anywhere,
    False nowhere. `stopping` is asked between two steps: once it returns True, the run is saved and StoppedError says
    how to continue. In the main thread the first Ctrl-C does the same and raises KeyboardInterrupt; the second raises
    it at once.

    Raises ScheduleError for a schedule with mistakes, BadInputError for an unknown name or a wrong object,
    TorchNotAvailableError where a state needs torch and torch is not installed; nothing is written then.
    """
    with _Call.open(home, progress, stopping) as call:
        config = ScheduleSource.overriding(_schedule(schedule), as_overrides(overrides))
        orchestrator = call.orchestrator(config, None, strategies, allow_imports, seed=seed)
        target = None if directory is None else _path("directory", directory)
        summary = orchestrator.run(rehearse=rehearse, directory=target, device=device)
        return AnnealResult.of(summary)


def anneal(
    schedule: ScheduleSpec | Path | str | None = None,
    *,
    environment: EnvironmentProvider | Callable[..., Any] | str | None = None,
    teacher: Teacher | Script | str | None = None,
    metrics: Mapping[str, InfoMetricSpec | Mapping[str, str]] | Sequence[str] = (),
    strategies: Strategies | None = None,
    allow_imports: Sequence[str] = (),
    home: Path | str = _HOME,
    seed: int | None = None,
    rehearse: bool = False,
    overrides: Mapping[str, object] | None = None,
    progress: bool | None = None,
    stopping: Callable[[], bool] = never,
) -> AnnealResult:
    """Run a schedule with an environment and a teacher of your own, and return its summary.

    Without a `schedule`, the one that `townlet init` writes for this environment and this teacher runs.

    `environment` replaces the schedule's: an id such as ``gymnasium:CartPole-v1``, a function that returns a new
    environment of Gymnasium, or a provider. `teacher` replaces the schedule's: the name of one of the environment's
    teachers, an object with `act`, or, where the environment has observations of its own, a function from its
    observation to its action, or a controller with `reset`. `townlet.resume` wants the same objects again.

    `metrics` are KPIs from the infos of the environment, beside the schedule's: by name what a schedule says under
    ``environment.metrics``, or a list of keys of infos, each a KPI of its last value and without a better direction.
    They are part of the run, so `townlet.resume` knows them. Other arguments and errors are those of `townlet.run`.
    """
    own = None if environment is None else as_environment(environment)
    own_teacher = None if teacher is None else as_teacher(teacher)
    own_metrics = as_metrics(metrics)
    with _Call.open(home, progress, stopping) as call:
        if schedule is None:
            source = EnvironmentSource(passed=own, imports=require_imports(allow_imports))
            config: ScheduleSpec | Path | ScheduleSource = _first_schedule(source, own_teacher, own_metrics)
        else:
            config = _schedule(schedule)
        config = ScheduleSource.overriding(config, as_overrides(overrides))
        orchestrator = call.orchestrator(config, own, strategies, allow_imports, seed=seed)
        name = own_teacher if own_teacher is None or isinstance(own_teacher, str) else CUSTOM
        if own_teacher is not None and not isinstance(own_teacher, str):
            orchestrator = evolve(orchestrator, teacher=own_teacher)
        if name is not None or own_metrics:
            orchestrator = _replaced(orchestrator, Replacements(teacher=name, metrics=own_metrics))
        return AnnealResult.of(orchestrator.run(rehearse=rehearse))


def resume(
    run: Path | str = "latest",
    *,
    environment: EnvironmentProvider | Callable[..., Any] | str | None = None,
    teacher: Teacher | Script | str | None = None,
    strategies: Strategies | None = None,
    allow_imports: Sequence[str] = (),
    home: Path | str | None = None,
    accept_schedule: bool = False,
    progress: bool | None = None,
    stopping: Callable[[], bool] = never,
) -> AnnealResult:
    """Continue a run from its journal, as `townlet resume` does; one that has ended is only summarised.

    `run` is a directory, the beginning of an id, or ``latest``. Objects that were passed to `townlet.anneal` are passed
    again: the environment's signature is compared with the journal's, a teacher with the schedule's, and another one is
    refused before anything is written. That a teacher object acts as before is the caller's promise. A run given as a
    directory brings its home; `accept_schedule` takes an edited schedule over. Other arguments are those of
    `townlet.run`.

    Raises BadInputError for an unknown run or for other objects, HoldError where another process is at work,
    JournalBrokenError where the journal does not hold.
    """
    require_text("run", run, "a run's directory, the beginning of its id, or 'latest'")
    own = None if environment is None else as_environment(environment)
    own_teacher = None if teacher is None else as_teacher(teacher)
    own_home = _path("home", _HOME if home is None else home)
    directory = RunDirectory.find(own_home, run)
    own_home = directory.home(own_home) if home is None else own_home
    directory.require_home(own_home)
    with _Call.open(own_home, progress, stopping, run=directory.id) as call:
        orchestrator = call.orchestrator(directory.source or directory.schedule, own, strategies, allow_imports)
        blobs, known = BlobStore(own_home / "blobs"), catalogue(orchestrator.strategies)
        orchestrator.teacher = source_of_run(directory, blobs, known, orchestrator.source, own_teacher).teacher
        summary = orchestrator.resume(directory.path, accept_schedule=accept_schedule)
        return AnnealResult.of(summary)


@define(kw_only=True)
class _Call:
    """What the calls share: progress, warnings, Ctrl-C, and how to continue a run that stopped."""

    home: Path
    """Home of the run."""
    stopping: Callable[[], bool]
    """Returns True once the run should save its work and stop."""
    run: str
    """Id of the run, once it has one."""
    shown: RunProgress | None
    """Where progress is shown; None for nowhere."""

    @classmethod
    @contextmanager
    def open(
        cls, home: Path | str, progress: bool | None, stopping: Callable[[], bool], run: str = ""
    ) -> Iterator["_Call"]:
        """Show progress and handle Ctrl-C until the call ends; an error that leaves a run open says how to go on."""
        require_callable("stopping", stopping, "a function without arguments, such as threading.Event().is_set")
        path = _path("home", home)
        with ExitStack() as stack:
            interrupted = stack.enter_context(_first_interrupt())
            shown = _progress(progress)
            if shown is not None:
                stack.enter_context(warnings_shown())
                stack.enter_context(shown)
            call = cls(home=path, stopping=lambda: interrupted() or stopping(), run=run, shown=shown)
            try:
                yield call
            except StoppedError as error:
                if not interrupted():
                    error.add_note(call.advice)
                    raise
                raise KeyboardInterrupt(f"{error}; {call.advice}") from error
            except (KeyboardInterrupt, UnfitInputError, ResourceFaultError) as error:
                if call.run:
                    error.add_note(call.advice)
                raise

    @property
    def advice(self) -> str:
        """Return how the run goes on."""
        return f"nothing is lost, go on with: townlet.resume({self.run!r}, home={str(self.home)!r})"

    def orchestrator(
        self,
        config: ScheduleSpec | Path | ScheduleSource,
        environment: EnvironmentProvider | str | None,
        strategies: Strategies | None,
        allow_imports: Sequence[str],
        seed: int | None = None,
    ) -> PolicyTrainingOrchestrator:
        """Return an orchestrator that shows its progress here."""
        if strategies is not None:
            require_mapping("strategies", strategies, "a mapping of names to strategies")
        return PolicyTrainingOrchestrator(
            config,
            environments=environment,
            imports=require_imports(allow_imports),
            strategies=strategies or {},
            home=self.home,
            seed=seed,
            listen=self._on_record,
            watch=self._on_point,
            stopping=self.stopping,
        )

    def _on_record(self, entry: Entry) -> None:
        if isinstance(entry.record, RunCreated):
            self.run = entry.record.run
        if self.shown is not None:
            self.shown.listen(entry)
        log_warnings(entry)

    def _on_point(self, point: MetricPoint) -> None:
        if self.shown is not None:
            self.shown.watch(point)


@contextmanager
def _first_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True once Ctrl-C was pressed; the second Ctrl-C raises KeyboardInterrupt.

    Only the main thread may handle signals, and a handler of the caller's (asyncio has one) stays.
    """
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield never
        return
    pressed = False

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(OSError, ValueError, AttributeError):  # stderr may be full, gone or closed
            write(sys.__stderr__.fileno(), b"SIGINT: stopping at the next safe point\n")  # type: ignore[union-attr]

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _progress(progress: bool | None) -> RunProgress | None:
    """Return where progress is shown; None for nowhere."""
    notebook = is_notebook()
    watched = current_thread() is main_thread() and (notebook or terminal.errors.is_terminal)
    if not (watched if progress is None else progress):
        return None
    if notebook:
        return RunProgress(notebook_console(), seconds_per_line=_SECONDS_PER_REWRITE, rewrites=True)
    return RunProgress(terminal.errors)


def _schedule(schedule: ScheduleSpec | Path | str) -> ScheduleSpec | Path:
    if isinstance(schedule, ScheduleSpec):
        return schedule
    require_text("schedule", schedule, "a path, the name of a shipped schedule such as 'quickstart', or a ScheduleSpec")
    if "\n" in str(schedule):
        raise BadInputError("schedule is text of several lines; write it to a file, and pass the file's path")
    return find_schedule(schedule)


def _first_schedule(
    source: EnvironmentSource, teacher: Teacher | Script | str | None, metrics: Mapping[str, InfoMetricSpec]
) -> ScheduleSource:
    """Return the text of `townlet init` for an environment and a teacher that were passed."""
    if teacher is None or source.passed is None:
        raise BadInputError("schedule is None; pass one, or an environment and a teacher: a schedule is made for them")
    if isinstance(source.passed, str):
        environment = source.passed
    elif isinstance(source.passed, PythonProvider):
        environment = f"python:{source.passed.reference}"
    else:
        raise BadInputError("a provider has scenarios of its own; pass a schedule that names one, beside environment")
    if isinstance(teacher, str):
        name = teacher
    else:
        name, source = CUSTOM, evolve(source, teacher=teacher)
    made = first_schedule(EnvironmentSpec(id=environment, metrics=metrics), name, source)
    return ScheduleSource(text=made.text().encode(), name=made.name, folder=Path(), file=None)


def _replaced(orchestrator: PolicyTrainingOrchestrator, replaced: Replacements) -> PolicyTrainingOrchestrator:
    """Return an orchestrator of the same schedule with what a call says in its place."""
    source = ScheduleSource.of(orchestrator.config)
    schedule = orchestrator.plan(source, replaced).schedule
    made = ScheduleSource.of(with_absolute_files(schedule, source.folder))
    return evolve(orchestrator, config=evolve(made, changes=source.settled().changes))


def _path(name: str, path: Path | str) -> Path:
    """Return an absolute path: the process may change its directory while the run goes on."""
    require_text(name, path, "the path of a directory")
    return Path(path).absolute()
