"""Data sets from outside, as a schedule names them: read for bc, and checked before a run begins."""

from townlet.dto.schedule import Plan
from townlet.dto.strategies import BCSpec, DataSpec, ReplaySpec
from townlet.errors import BadInputError
from townlet.policy.data.demonstrations import (
    Demonstrations,
    demonstrations_of_episodes,
    demonstrations_of_samples,
)
from townlet.policy.data.imported import open_dataset
from townlet.ports import EnvironmentDescription, EnvironmentProvider, RecordedProvider

__all__ = ["check_data_sets", "read_demonstrations"]


def read_demonstrations(
    data: DataSpec, environments: EnvironmentProvider, description: EnvironmentDescription
) -> Demonstrations:
    """Return a data set from outside as decisions to clone; BadInputError naming what is unfit in it."""
    if data.minari is None:
        return demonstrations_of_samples(tuple(open_dataset(data).samples(accepted=True)), description)
    inner: object = environments
    while not isinstance(inner, RecordedProvider) and hasattr(inner, "inner"):  # around it: workers, a teacher
        inner = inner.inner
    if not isinstance(inner, RecordedProvider):
        raise BadInputError(
            f"environment {description.id} cannot read Minari data set {data.minari}; expected an environment of "
            "Gymnasium, or one with a manifest of samples"
        )
    episodes = inner.recorded(data.minari, data.sha256)
    return demonstrations_of_episodes(episodes, description, f"minari:{data.minari}")


def check_data_sets(plan: Plan, environments: EnvironmentProvider) -> None:
    """Raise BadInputError naming the state whose data set is missing, changed or unfit."""
    description = environments.describe(plan.schedule.environment.scenario)
    for state, options in plan.options.items():
        try:
            if isinstance(options, BCSpec) and options.data is not None:
                read_demonstrations(options.data, environments, description)
            if isinstance(options, ReplaySpec):
                open_dataset(options.data, streaming=True)
        except BadInputError as error:
            raise BadInputError(f"state {state!r}: {error}") from error
