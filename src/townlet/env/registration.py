"""Names for Gymnasium: importing this module registers one id for each scenario, such as ``Townlet/small_town-v0``.

Gymnasium imports it by itself where the id names it:
``gymnasium.make_vec("townlet.env.registration:Townlet/small_town-v0", num_envs=512)``.

The registered specification holds no ``max_episode_steps``, since that depends on `days`: the environment fills it in.
"""

from copy import copy
from typing import Any

from townlet.dto.scenarios import SCENARIOS
from townlet.env.libraries import needed

with needed("gymnasium", extra="env"):
    import gymnasium

__all__ = ["IDS", "spec_of_length"]

IDS = tuple(f"Townlet/{name}-v0" for name in SCENARIOS)
"""All that is registered."""


def spec_of_length(spec: Any, decisions: int) -> Any:
    """Return a specification of Gymnasium whose ``max_episode_steps`` is the length of the episodes; None for None."""
    if spec is None:
        return None
    filled = copy(spec)
    filled.max_episode_steps = decisions
    return filled


for _id, _name in zip(IDS, SCENARIOS, strict=True):
    gymnasium.register(
        id=_id,
        entry_point="townlet.env.lane:TownLaneEnv",
        vector_entry_point="townlet.env.vector:TownVectorEnv",
        kwargs={"scenario": _name},
    )
