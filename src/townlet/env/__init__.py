"""Environments as learners see them: the batched town, PettingZoo, Gymnasium, Stable-Baselines3."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from townlet.env.parallel import TownParallelEnv

__all__ = ["parallel_env"]


def parallel_env(**options: Any) -> "TownParallelEnv":
    """Return one town as a PettingZoo `ParallelEnv`; see `townlet.env.parallel.TownParallelEnv` for the options.

    MissingLibraryError, a BadInputError, where PettingZoo or Gymnasium is not installed.
    """
    from townlet.env.parallel import TownParallelEnv  # PettingZoo loads with it, which others need not pay

    return TownParallelEnv(**options)
