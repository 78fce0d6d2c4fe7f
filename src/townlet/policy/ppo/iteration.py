"""What one iteration of PPO did, for whoever listens; the batch's arrays are overwritten by the next iteration."""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from townlet.policy.model.weights import Weights
from townlet.policy.ppo.trajectory_batch import TrajectoryBatch
from townlet.policy.ppo.update_stats import UpdateStatistics

__all__ = ["PPOIteration"]


@frozen(kw_only=True, eq=False)
class PPOIteration:
    """One iteration of a visit to ppo: the batch, what the update measured, and how long both took."""

    state: str
    """State that was visited."""
    visit: int
    """Visit to that state, from 1."""
    number: int
    """Iteration of the visit, from 1."""
    experience: Literal["own", "recorded", "recorded_first"]
    """Which data the visit learns from: own rollouts, recorded trajectories, or recorded ones first."""
    batch: TrajectoryBatch
    """The iteration's data."""
    is_recorded: bool
    """True where the batch was recorded before the visit."""
    kpi_sums: Mapping[str, float]
    """KPI sums by name: over all own episodes of the visit so far, or over the recording where the batch is one."""
    ticks: int
    """Simulated ticks of one world in the batch."""
    parent: Weights
    """Weights the visit started from; their normaliser scales the features."""
    statistics: UpdateStatistics
    """Means over the update's minibatches."""
    agent_steps: int
    """Agent-steps the visit has learned from so far."""
    seconds: float
    """Duration of rollout and update."""
