"""Recorded play as frames: one record per decision of one world."""

from townlet.dto.boundary import RolloutFrameDTO
from townlet.policy.data.trajectories import Trajectories

__all__ = ["frames_of"]


def frames_of(found: Trajectories, *, worlds: int | None = None) -> tuple[RolloutFrameDTO, ...]:
    """Return the frames of the first `worlds` worlds (all by default), world by world, decisions in order."""
    play, actions = found.dataset, found.actions
    decisions, count = play.labels.shape[:2]
    return tuple(
        RolloutFrameDTO(
            decision=t,
            observations=play.observations[t, w],
            action_mask=play.action_mask[t, w],
            alive=play.alive[t, w],
            actions=actions[t, w],
            rewards=play.rewards[t, w],
            terminations=play.terminations[t, w],
            infos={},
        )
        for w in range(count if worlds is None else min(worlds, count))
        for t in range(decisions)
    )
