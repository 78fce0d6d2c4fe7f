"""Names for Gymnasium: importing this module registers one id for each scenario, such as ``Townlet/small_town-v0``.

Gymnasium imports it by itself where the id names it:
``gymnasium.make_vec("townlet.env.registration:Townlet/small_town-v0", num_envs=512)``.
"""

import gymnasium

from townlet.dto.scenarios import SCENARIOS

__all__ = ["IDS"]

IDS = tuple(f"Townlet/{name}-v0" for name in SCENARIOS)
"""All that is registered."""

for _id, _name in zip(IDS, SCENARIOS, strict=True):
    gymnasium.register(
        id=_id,
        entry_point="townlet.env.lane:TownLaneEnv",
        vector_entry_point="townlet.env.vector:TownVectorEnv",
        kwargs={"scenario": _name},
    )
