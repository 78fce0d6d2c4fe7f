"""What a data set from outside amounts to: samples, batches, conflict statistics, baseline metrics."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.codec import Record

__all__ = ["ConflictStatistics", "RecordedMetrics", "ReplayBatchSummary", "ReplaySampleSummary", "SampleOrigin"]


@frozen(kw_only=True)
class ConflictStatistics(Record):
    """Rivalry as the agents saw it, over the B samples and T decisions of a batch. Outside: ``conflict.NAME``."""

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
    """What recorded play was worth."""

    timesteps: int
    """Decisions of each sample, dead time included."""
    reward_sum: float
    """All rewards."""
    reward_mean: float
    """Per decision of a living agent."""
    log_prob_mean: float
    """Mean log-probability of what was played; 0 for a script."""
    value_pred_last: float
    """Mean value of what was seen last; 0 for a script."""
    rivalry_max_mean: float
    """Mean of the feature; 0 where there is none."""
    rivalry_max_max: float
    """Its maximum."""
    rivalry_avoid_count_mean: float
    """Mean of the feature; 0 where there is none."""
    rivalry_avoid_count_max: float
    """Its maximum."""
    action_entropy: float
    """Entropy of the actions' distribution, nat."""


@frozen(kw_only=True)
class ReplaySampleSummary(Record):
    """One sample of a data set."""

    sample: str
    """File name."""
    agent_id: str
    """Whose decisions it holds; empty where the file does not say."""
    timesteps: int
    """T."""
    feature_dim: int
    """F."""
    accepted: bool
    """False: it is counted, but nothing trains on it."""
    metrics: Mapping[str, float]
    """What the manifest, its sidecar or the sample itself says of it."""


@frozen(kw_only=True)
class ReplayBatchSummary(Record):
    """One batch of samples of the same shapes."""

    batch: int
    """Counted from 1."""
    batch_size: int
    """B."""
    feature_dim: int
    """F."""
    conflict: ConflictStatistics
    """Over B × T."""


@frozen(kw_only=True)
class SampleOrigin(Record):
    """What this version adds to a sample it writes, so that it can be trained on."""

    actions: tuple[str, ...]
    """Names of the A actions."""
    environment: str
    """Signature of the environment."""
    scenario: str
    """Scenario."""
    player: str
    """Who played: ``teacher:NAME`` or a weights digest."""
    discount: float
    """The environment's gamma per decision."""
