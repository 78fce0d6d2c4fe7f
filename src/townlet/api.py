"""The calls of the Python interface: `run` a schedule, `anneal` with objects of your own, `resume` what was stopped."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from townlet.call import Call
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.schedule import EnvironmentSpec, ScheduleSpec
from townlet.dto.strategies import Device
from townlet.env.python_factory import PythonProvider
from townlet.errors import BadInputError
from townlet.machine.engine.visit import never
from townlet.machine.schedule.loader import Replacements
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training.anneal_result import AnnealResult
from townlet.policy.training.argument_checks import (
    as_environment,
    as_metrics,
    as_overrides,
    as_path,
    as_teacher,
    require_imports,
    require_text,
)
from townlet.policy.training.custom_teacher import CUSTOM
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.first_schedule import first_schedule
from townlet.policy.training.launch import ScheduleSource, with_absolute_files
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.passed_objects import source_of_run
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.ports import EnvironmentProvider, Script, Teacher
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory
from townlet.trackers.find import Trackers

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
    trackers: Trackers = (),
    progress: bool | None = None,
    stopping: Callable[[], bool] = never,
) -> AnnealResult:
    """Run a whole schedule, as `townlet run` does, and return its summary.

    `schedule` is a record, a path, or the name of a shipped schedule such as ``quickstart``. `home` holds runs, blobs
    and the registry; `seed` replaces the schedule's; `rehearse` visits every state with tiny numbers and promotes
    nothing; `directory` is the run directory to create; `device` is where networks are trained; `overrides` are values
    in place of the schedule's own, as ``{"states.ppo.with.learning_rate": 3e-4}``; `strategies` are used besides the
    installed ones; `allow_imports` are the modules that the schedule may name for an environment or a teacher;
    `trackers` get the run's numbers: names such as ``tensorboard``, or objects with `open`, `log`, `move` and `close`.

    `progress` is shown by default where the main thread calls from a terminal or a notebook; True shows it anywhere,
    False nowhere. `stopping` is asked between two steps: once it returns True, the run is saved and StoppedError says
    how to continue. In the main thread the first Ctrl-C does the same and raises KeyboardInterrupt; the second raises
    it at once.

    Raises ScheduleError for a schedule with mistakes, BadInputError for an unknown name or a wrong object,
    TorchNotAvailableError where a state needs torch and torch is not installed; nothing is written then.
    """
    with Call.open(home, progress, stopping, trackers) as call:
        config = ScheduleSource.overriding(_schedule(schedule), as_overrides(overrides))
        orchestrator = call.orchestrator(config, None, strategies, allow_imports, seed=seed)
        target = None if directory is None else as_path("directory", directory)
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
    trackers: Trackers = (),
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
    with Call.open(home, progress, stopping, trackers) as call:
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
    trackers: Trackers = (),
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
    own_home = as_path("home", _HOME if home is None else home)
    directory = RunDirectory.find(own_home, run)
    own_home = directory.home(own_home) if home is None else own_home
    directory.require_home(own_home)
    with Call.open(own_home, progress, stopping, trackers, run=directory.id) as call:
        config = directory.source or directory.schedule
        orchestrator = call.orchestrator(config, own, strategies, allow_imports, run=directory)
        blobs, known = BlobStore(own_home / "blobs"), catalogue(orchestrator.strategies)
        orchestrator.teacher = source_of_run(directory, blobs, known, orchestrator.source, own_teacher).teacher
        summary = orchestrator.resume(directory.path, accept_schedule=accept_schedule)
        return AnnealResult.of(summary)


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
