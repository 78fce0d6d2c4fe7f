"""Check the promises of an environment that is not built in, once, before a run begins."""

from townlet.dto.environment_report import EnvironmentReport
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.ports import EnvironmentProvider
from townlet.testing import check_environment

__all__ = ["check_promises", "refuse_broken"]

_BUILT_IN = "townlet.env.town:TownProvider"
"""The provider whose promises Townlet's own tests check; by name, because its module imports numba."""


def check_promises(
    environments: EnvironmentProvider, schedule: ScheduleSpec, earlier: ScheduleSpec | None = None
) -> tuple[EnvironmentReport, ...]:
    """Return a report for each scenario that a schedule plays, and `earlier` did not; none for the built-in town."""
    from townlet.policy.training.api import ProviderWithTeacher  # which imports what imports this module

    inner = environments.inner if isinstance(environments, ProviderWithTeacher) else environments
    if f"{type(inner).__module__}:{type(inner).__qualname__}" == _BUILT_IN:
        return ()
    known = () if earlier is None else _scenarios(earlier)
    return tuple(check_environment(inner, scenario) for scenario in _scenarios(schedule) if scenario not in known)


def _scenarios(schedule: ScheduleSpec) -> tuple[str, ...]:
    """Return the scenarios that a schedule plays: its own, and those of its suites."""
    suites = [name for evidence in schedule.evidence.values() for name in evidence.scenarios]
    return tuple(dict.fromkeys((schedule.environment.scenario, *suites)))


def refuse_broken(reports: tuple[EnvironmentReport, ...]) -> None:
    """Raise BadInputError naming every broken promise for which a run refuses an environment."""
    for report in reports:
        if report.refusals:
            broken = "; ".join(promise.sentence for promise in report.refusals)
            raise BadInputError(
                f"environment {report.environment}/{report.scenario} breaks what a run rests on: {broken} "
                "(test it with townlet.testing.check_environment; docs/reference/environment.md)"
            )
