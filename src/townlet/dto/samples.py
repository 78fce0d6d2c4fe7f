"""Summaries of imported data sets: samples, batches, conflict statistics, recorded metrics."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.actions import StoredActions
from townlet.dto.codec import Record

__all__ = ["ConflictStatistics", "RecordedMetrics", "ReplayBatchSummary", "ReplaySampleSummary", "SampleOrigin"]


@frozen(kw_only=True)
class ConflictStatistics(Record):
    """Rivalry features over the B samples and T decisions of a batch; in payloads the keys are ``conflict.NAME``."""

    rivalry_max_mean: float
    """Mean of the feature ``rivalry_max``."""
    rivalry_max_max: float
    """Its maximum."""
    rivalry_avoid_count_mean: float
    """Mean of the feature ``rivalry_avoid_count``."""
    rivalry_avoid_count_max: float
    """Its maximum."""


@frozen(kw_only=True)
class RecordedMetrics(Record):
    """Metrics of recorded trajectories."""

    timesteps: int
    """T, decisions per agent, those after its death included."""
    reward_sum: float
    """Sum of all rewards."""
    reward_mean: float
    """Mean reward per decision of a living agent."""
    log_prob_mean: float
    """Mean log-probability of the actions taken, nat; 0 for a script."""
    value_pred_last: float
    """Mean value of the last observation, in units of reward; 0 for a script."""
    rivalry_max_mean: float
    """Mean of the feature; 0 if the environment does not have it."""
    rivalry_max_max: float
    """Its maximum."""
    rivalry_avoid_count_mean: float
    """Mean of the feature; 0 if the environment does not have it."""
    rivalry_avoid_count_max: float
    """Its maximum."""
    action_entropy: float
    """Entropy of the distribution of actions, nat."""


@frozen(kw_only=True)
class ReplaySampleSummary(Record):
    """One sample of a data set."""

    sample: str
    """File name."""
    agent_id: str
    """Id of the agent; empty if the file does not name it."""
    timesteps: int
    """T, number of decisions."""
    feature_dim: int
    """F, number of features."""
    accepted: bool
    """False if training does not use the sample."""
    metrics: Mapping[str, float]
    """Metrics from the manifest, its sidecar or the sample's JSON file."""


@frozen(kw_only=True)
class ReplayBatchSummary(Record):
    """One batch of samples of the same shapes."""

    batch: int
    """Number of the batch, from 1."""
    batch_size: int
    """B, number of samples."""
    feature_dim: int
    """F, number of features."""
    conflict: ConflictStatistics
    """Conflict statistics over B × T decisions."""


@frozen(kw_only=True)
class SampleOrigin(StoredActions):
    """Origin of a sample: this version adds it to the samples it writes, so that training can use them."""

    environment: str
    """Signature of the environment in which it was recorded."""
    scenario: str
    """Scenario in which it was recorded."""
    player: str
    """Policy that acted: ``teacher:NAME`` or a weights digest."""
    discount: float
    """The environment's gamma per decision."""
