"""Check what an environment promised of its episodes while they are played: their ends, and finite numbers."""

import numpy as np
from numpy.typing import NDArray

from townlet.errors import EnvironmentFaultError
from townlet.ports import EnvironmentDescription

__all__ = ["check_finite", "check_over"]


def check_over(
    description: EnvironmentDescription,
    over: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    max_steps: int,
    before: NDArray[np.bool_] | bool = False,
) -> None:
    """Raise EnvironmentFaultError unless the worlds `over` [W] may be over after `lengths` [W] decisions.

    Those that were over `before` must stay so. An episode is over after `max_steps` decisions at the latest, and not
    earlier where lives last as long as it. Every loop over an environment ends by what the environment declared, so
    that one that never ends an episode, or ends it too early, is an error and not an endless or a shortened evaluation.
    """
    at_limit = lengths >= max_steps
    wrong = (at_limit | before) & ~over if description.lives_end is not False else at_limit != over
    if not wrong.any():
        return
    world = int(np.argmax(wrong))
    found, wanted = ("ends", "goes on") if over[world] else ("goes on", "ends")
    length = f"{max_steps} decisions" if description.lives_end is False else f"at most {max_steps} decisions"
    raise EnvironmentFaultError(
        f"environment {description.id}/{description.scenario}: the episode of world {world} {found} after decision "
        f"{lengths[world]}; expected that it {wanted} there: an episode has {length}, then `over` is true until "
        "`reset` (docs/reference/environment.md)"
    )


def check_finite(description: EnvironmentDescription, name: str, values: NDArray[np.floating]) -> None:
    """Raise EnvironmentFaultError where recorded values [T, W, …] are not finite, naming the first place."""
    for decision, of_worlds in enumerate(values):
        wrong = ~np.isfinite(of_worlds)
        if wrong.any():
            raise EnvironmentFaultError(
                f"environment {description.id}/{description.scenario}: {name} of world {int(np.argwhere(wrong)[0, 0])} "
                f"at decision {decision} hold a number that is not finite; expected finite numbers "
                "(docs/reference/environment.md)"
            )
