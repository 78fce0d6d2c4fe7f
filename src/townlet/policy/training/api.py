"""The two calls of the Python interface: `run` a schedule, or `anneal` with an environment and teacher of your own."""

from pathlib import Path

from attrs import evolve, frozen

from townlet.dto.policy import AnnealSummary
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.strategies import Device
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Teacher, provider

__all__ = ["anneal", "run"]

CUSTOM = "custom"
"""Name of a teacher that was passed in."""
_EARLIER_NAME = "given"
"""Its name in the schedules of earlier versions' runs, which are resumed under it."""


@frozen(kw_only=True)
class ProviderWithTeacher:
    """An environment with one more teacher."""

    inner: EnvironmentProvider
    """Environment that makes the worlds."""
    custom: Teacher
    """Teacher that was passed in."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the inner environment's description with one more teacher."""
        description = self.inner.describe(scenario)
        return evolve(description, teachers=(*description.teachers, CUSTOM, _EARLIER_NAME))

    def make(self, scenario: str, *, worlds: int, seed: int, days: int, first_world: int = 0) -> Environment:
        """Return worlds of the inner environment."""
        return self.inner.make(scenario, worlds=worlds, seed=seed, days=days, first_world=first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return the custom teacher, or one of the inner environment's."""
        return self.custom if name in (CUSTOM, _EARLIER_NAME) else self.inner.teacher(scenario, name)


def run(
    schedule: ScheduleSpec | Path | str,
    *,
    home: Path | str = ".townlet",
    seed: int | None = None,
    rehearse: bool = False,
    directory: Path | None = None,
    device: Device | None = None,
) -> AnnealSummary:
    """Run a whole schedule, as `townlet run` does, and return its summary.

    `schedule` is a record, a path, or the name of a shipped schedule such as ``quickstart``. `home` holds runs, blobs
    and the registry; `seed` replaces the schedule's; `rehearse` visits every state with tiny numbers and promotes
    nothing; `directory` is the run directory to create; `device` is where networks are trained.

    Raises ScheduleError for a schedule with mistakes, BadInputError for an unknown name, TorchNotAvailableError where
    a state needs torch and torch is not installed; nothing is written then.
    """
    orchestrator = PolicyTrainingOrchestrator(_source(schedule), home=Path(home), seed=seed)
    return orchestrator.run(rehearse=rehearse, directory=directory, device=device)


def anneal(
    schedule: ScheduleSpec | Path | str,
    *,
    environment: EnvironmentProvider | None = None,
    teacher: Teacher | str | None = None,
    home: Path | str = ".townlet",
    seed: int | None = None,
) -> AnnealSummary:
    """Run a schedule with an environment and a teacher of your own, and return its summary.

    `environment` replaces the provider that the schedule's environment id names. `teacher` is the name of one of the
    environment's teachers, or an object with `act`; it replaces the schedule's. Other arguments and errors are those
    of `townlet.run`.
    """
    config = _source(schedule)
    orchestrator = PolicyTrainingOrchestrator(config, environments=environment, home=Path(home), seed=seed)
    if teacher is None:
        return orchestrator.run()
    if isinstance(teacher, str):
        return orchestrator.with_teacher(teacher).run()
    inner = environment
    if inner is None:
        spec = config if isinstance(config, ScheduleSpec) else orchestrator.plan().schedule
        inner = provider(spec.environment.id)
    orchestrator.environments = ProviderWithTeacher(inner=inner, custom=teacher)
    return orchestrator.with_teacher(CUSTOM).run()


def _source(schedule: ScheduleSpec | Path | str) -> ScheduleSpec | Path:
    return schedule if isinstance(schedule, ScheduleSpec) else find_schedule(schedule)
