"""Check the promises of an environment that is not built in, once, before a run begins."""

import numpy as np

from townlet.dto.environment_report import EnvironmentReport
from townlet.dto.schedule import ScheduleSpec
from townlet.env.workers import WorkerProvider
from townlet.errors import BadInputError
from townlet.policy.training.custom_teacher import ProviderWithTeacher
from townlet.ports import EnvironmentProvider, StubTeacher, begin_episodes
from townlet.random_play import legal_actions
from townlet.testing import check_environment

__all__ = ["check_custom_teacher", "check_promises", "refuse_broken"]

_BUILT_IN = "townlet.env.town:TownProvider"
"""The provider whose promises Townlet's own tests check; by name, because its module imports numba."""


def check_promises(
    environments: EnvironmentProvider, schedule: ScheduleSpec, earlier: ScheduleSpec | None = None
) -> tuple[EnvironmentReport, ...]:
    """Return a report for each scenario that a schedule plays, and `earlier` did not; none for the built-in town."""
    inner = environments.inner if isinstance(environments, ProviderWithTeacher) else environments
    made: object = inner
    while not isinstance(made, type) and hasattr(made, "inner"):  # a provider around another, such as that of workers
        made = made.inner
    if f"{type(made).__module__}:{type(made).__qualname__}" == _BUILT_IN:
        return ()
    known = () if earlier is None else _scenarios(earlier)
    scenarios = [scenario for scenario in _scenarios(schedule) if scenario not in known]
    if isinstance(inner, WorkerProvider):  # what they cannot make is said once, and not of each promise
        for scenario in scenarios:
            inner.start(scenario)
    return tuple(check_environment(inner, scenario) for scenario in scenarios)


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


def check_custom_teacher(environments: EnvironmentProvider, schedule: ScheduleSpec) -> None:
    """Raise BadInputError where a teacher that was passed in does not answer the first observations of two worlds.

    It is asked once, and nothing is stepped.
    """
    if not isinstance(environments, ProviderWithTeacher):
        return
    scenario, teacher = schedule.environment.scenario, environments.maker()
    if isinstance(teacher, StubTeacher):
        return
    names = set(environments.inner.describe(scenario).teachers) & set(environments.names)
    if names:
        raise BadInputError(
            f"environment {schedule.environment.id}/{scenario} has a teacher of its own with the name "
            f"{min(names)!r}, which stands for a teacher that was passed in; rename it"
        )
    description = environments.describe(scenario)
    spec, length = description.actions, description.episode_length(1, None if description.decisions_per_day else 1)
    observations = environments.make(scenario, worlds=2, seed=0, max_steps=length).reset()
    begin_episodes(teacher, np.ones(2, np.bool_))
    where, shape = f"teacher: act of {type(teacher).__name__}", (*observations.alive.shape, spec.columns)
    short = f" or {shape[:-1]}" if spec.is_one_choice else ""
    expected = f"expected actions as an {spec.dtype} array of shape {shape}{short}, for each world and agent slot"
    try:
        actions: object = teacher.act(observations)
    except Exception as error:  # the caller's code; the stack of its error is kept as the cause
        message = f"{type(error).__name__}: {error}"
        raise BadInputError(f"{where} raised {message} at the first observations of {scenario}; {expected}") from error
    if not isinstance(actions, np.ndarray):
        raise BadInputError(f"{where} returned an object of {type(actions).__name__}; {expected}")
    if actions.dtype != spec.dtype or actions.shape not in (shape, spec.stored_shape(*shape[:-1])):
        raise BadInputError(f"{where} returned {actions.dtype} of shape {actions.shape}; {expected}")
    if (observations.alive & ~legal_actions(observations.action_mask, actions.reshape(shape), spec)).any():
        raise BadInputError(f"{where} chose an action that the mask forbids; expected one that it allows")
