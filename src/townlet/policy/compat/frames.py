"""Recorded play as frames: one record per decision of one world."""

from townlet.dto.boundary import RolloutFrameDTO
from townlet.dto.policy import AnnealSummary
from townlet.policy.compat.records import captured_trajectories
from townlet.policy.data.trajectories import Trajectories
from townlet.store.blobs import BlobStore

__all__ = ["captured_frames"]


def captured_frames(summary: AnnealSummary, blobs: BlobStore, worlds: int | None) -> tuple[RolloutFrameDTO, ...]:
    """Return the frames of the run's last capture: its first `worlds` worlds (None: all), decisions in order."""
    trajectories = captured_trajectories(summary, blobs)
    return () if trajectories is None else _frames(trajectories, worlds)


def _frames(trajectories: Trajectories, worlds: int | None) -> tuple[RolloutFrameDTO, ...]:
    dataset, actions = trajectories.dataset, trajectories.actions
    decisions, count = dataset.labels.shape[:2]
    return tuple(
        RolloutFrameDTO(
            decision=t,
            observations=dataset.observations[t, w],
            action_mask=dataset.action_mask[t, w],
            alive=dataset.alive[t, w],
            actions=dataset.metadata.spec.to_stored(actions[t, w]),
            rewards=dataset.rewards[t, w],
            terminations=dataset.terminations[t, w],
            infos={},
        )
        for w in range(count if worlds is None else min(worlds, count))
        for t in range(decisions)
    )
