"""One call for notebooks: a schedule, an environment and a teacher become a summary."""

from pathlib import Path

from attrs import evolve, frozen

from townlet.dto.policy import AnnealSummary
from townlet.dto.schedule import ScheduleSpec
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Teacher, provider

__all__ = ["anneal"]

GIVEN = "given"
"""What a teacher that was passed in is called."""


@frozen(kw_only=True)
class ProviderWithTeacher:
    """An environment with one more teacher."""

    inner: EnvironmentProvider
    """Makes the worlds."""
    given: Teacher
    """The teacher that was passed in."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description, the given teacher among the others."""
        about = self.inner.describe(scenario)
        return evolve(about, teachers=(*about.teachers, GIVEN))

    def make(self, scenario: str, *, worlds: int, seed: int, days: int, first_world: int = 0) -> Environment:
        """Return worlds of the inner environment."""
        return self.inner.make(scenario, worlds=worlds, seed=seed, days=days, first_world=first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return the given teacher, or one of the inner environment's."""
        return self.given if name == GIVEN else self.inner.teacher(scenario, name)


def anneal(
    schedule: ScheduleSpec | Path | str,
    *,
    environment: EnvironmentProvider | None,
    teacher: Teacher | str | None,
    home: Path | str,
    seed: int | None,
) -> AnnealSummary:
    """Walk a schedule; see `townlet.anneal`."""
    config = Path(schedule) if isinstance(schedule, str) else schedule
    orchestrator = PolicyTrainingOrchestrator(config, environments=environment, home=Path(home), seed=seed)
    if teacher is None:
        return orchestrator.run()
    if isinstance(teacher, str):
        return orchestrator.with_teacher(teacher).run()
    inner = environment
    if inner is None:
        spec = config if isinstance(config, ScheduleSpec) else orchestrator.plan().schedule
        inner = provider(spec.environment.id)
    orchestrator.environments = ProviderWithTeacher(inner=inner, given=teacher)
    return orchestrator.with_teacher(GIVEN).run()
