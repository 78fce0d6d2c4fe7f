"""Where the environment and the teacher of a run come from: the schedule, or objects that were passed from Python."""

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from townlet.dto.codec import did_you_mean
from townlet.dto.policy_ref import is_reference
from townlet.dto.schedule import EnvironmentSpec, Plan, PolicySpec, ScheduleSpec
from townlet.env.workers import with_workers
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.schedule.remaining import least_steps_after
from townlet.policy.training.argument_checks import teacher_maker
from townlet.policy.training.custom_teacher import CUSTOM_NAMES, ProviderWithTeacher
from townlet.policy.training.teacher_reference import TeacherFinder
from townlet.ports import EnvironmentDescription, EnvironmentProvider, Script, Teacher, configured, provider
from townlet.store.blobs import BlobStore

__all__ = ["EnvironmentSource"]


@frozen(kw_only=True)
class EnvironmentSource:
    """Makes the provider of a schedule's environment, with the teacher that the schedule names or the caller passed."""

    passed: EnvironmentProvider | str | None = None
    """Provider, or id, that takes the place of the schedule's; None: the schedule's own."""
    teacher: Teacher | Script | None = None
    """Teacher that was passed in; the environment offers it under the name ``custom``."""
    imports: Imports = Imports()
    """The modules that a schedule may name."""
    home: Path = Path(".townlet")
    """Where weights are that a schedule names by their digest."""

    def provider(self, spec: EnvironmentSpec) -> EnvironmentProvider:
        """Return the provider of an environment, configured as a schedule says; BadInputError where there is none."""
        if self.passed is None or isinstance(self.passed, str):
            inner = provider(spec if self.passed is None else evolve(spec, id=self.passed), self.imports)
        else:
            inner = configured(self.passed, spec, self.imports)
        inner = with_workers(inner, spec.workers, spec.step_timeout)
        if self.teacher is None:
            return inner
        return ProviderWithTeacher(inner=inner, maker=teacher_maker(inner, self.teacher), names=CUSTOM_NAMES)

    def of_schedule(self, schedule: ScheduleSpec, folder: Path) -> EnvironmentProvider:
        """Return the provider of a schedule's environment, with the teacher that it names.

        Files are looked for in `folder`. BadInputError for a teacher that is not there or may not be imported.
        """
        return self._with(schedule.environment, schedule.teacher, schedule.policies, folder)

    def with_teacher(self, spec: EnvironmentSpec, teacher: str) -> EnvironmentProvider:
        """Return the provider of an environment with a teacher by name, or by where it is; errors as above."""
        environments = self._with(spec, teacher, {}, Path())
        offered = environments.describe(spec.scenario).teachers
        if teacher not in offered:
            raise BadInputError(
                f"environment {spec.id!r} has no teacher {teacher!r}{did_you_mean(teacher, offered)}; it has "
                f"{', '.join(offered) or 'none'}; a function of your own is named MODULE:FUNCTION"
            )
        return environments

    def _with(
        self, spec: EnvironmentSpec, teacher: str, policies: Mapping[str, PolicySpec], folder: Path
    ) -> EnvironmentProvider:
        inner = self.provider(spec)
        if not is_reference(teacher):
            return inner
        finder = TeacherFinder(
            environment=inner,
            description=inner.describe(spec.scenario),
            policies=policies,
            imports=self.imports,
            folder=folder,
            blobs=BlobStore(self.home / "blobs"),
        )
        return ProviderWithTeacher(inner=inner, maker=finder.maker_of(teacher), names=(teacher,))

    def describe(self, spec: EnvironmentSpec) -> EnvironmentDescription:
        """Return the description of the scenario that a schedule names."""
        return self.provider(spec).describe(spec.scenario)

    def least_steps_after(self, plan: Plan, catalogue: StrategyCatalogue) -> Mapping[str, int]:
        """Return the agent-steps that a run plays at least after each state."""
        schedule = plan.schedule
        described, suites = self.describe(schedule.environment), self.describe_suites(schedule)
        return least_steps_after(plan, catalogue, described, suites)

    def describe_suites(self, schedule: ScheduleSpec) -> dict[str, EnvironmentDescription]:
        """Return the descriptions of the scenarios that evidence names, by name."""
        inner = self.provider(schedule.environment)
        return {name: inner.describe(name) for evidence in schedule.evidence.values() for name in evidence.scenarios}
