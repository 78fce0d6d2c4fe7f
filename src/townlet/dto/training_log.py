"""One line of the training log, version 1.2: what one update epoch measured, group by group.

A line is flat JSON. The groups below only say what belongs together; `townlet.store.training_log` writes and reads it.
"""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.fields import nonsemantic

__all__ = [
    "VERSION",
    "AnnealFields",
    "BaselineFields",
    "ConflictFields",
    "CoreFields",
    "EventFields",
    "HealthFields",
    "LogSummary",
    "StreamFields",
    "TrainingLogEntry",
]

VERSION = 1.2
"""Of the lines this version writes."""


@frozen(kw_only=True)
class CoreFields(Record):
    """What every generation of the log holds."""

    epoch: int
    """Counted from 1 within the visit."""
    updates: int
    """Minibatch updates made in the epoch."""
    transitions: int
    """Decisions of living agents the epoch learned from."""
    loss_policy: float
    """Clipped surrogate."""
    loss_value: float
    """In units of the value normaliser."""
    loss_entropy: float
    """Mean entropy of the policy, which the bonus is paid on."""
    loss_total: float
    """What was minimised."""
    clip_fraction: float
    """Share of clipped ratios."""
    adv_mean: float
    """Mean advantage, before it is normalised."""
    adv_std: float
    """Its standard deviation."""
    grad_norm: float
    """Mean norm of the gradient before clipping."""
    kl_divergence: float
    """Approximate KL of the policy that played and the updated one."""
    telemetry_version: float = VERSION
    """Of the line."""
    lr: float
    """The actor's learning rate in the epoch."""
    steps: int
    """Agent-steps of the visit so far."""


@frozen(kw_only=True)
class HealthFields(Record):
    """Whether the updates were sound."""

    adv_zero_std_batches: int
    """Minibatches whose advantages did not differ."""
    adv_min_std: float
    """Least standard deviation of a minibatch's advantages."""
    clip_triggered_minibatches: int
    """Minibatches with a clipped ratio."""
    clip_fraction_max: float
    """Largest share of clipped ratios in a minibatch."""


@frozen(kw_only=True)
class StreamFields(Record):
    """What version 1.1 added."""

    epoch_duration_sec: float = nonsemantic()
    """Seconds of rollout and update."""
    data_mode: Literal["rollout", "replay", "mixed"]
    """Where the data came from: own play, a data set, or a data set first and own play afterwards."""
    cycle_id: int
    """Round: the visit to ppo, from 1."""
    batch_entropy_mean: float
    """Mean over the minibatches."""
    batch_entropy_std: float
    """Standard deviation over the minibatches."""
    grad_norm_max: float
    """Largest over the minibatches."""
    kl_divergence_max: float
    """Largest over the minibatches."""
    reward_advantage_corr: float
    """Correlation of reward and advantage over the epoch's decisions."""
    rollout_ticks: int
    """Simulated ticks of one world behind the epoch's data."""
    log_stream_offset: int = nonsemantic(0)
    """Lines written before this one, rotated files included."""


@frozen(kw_only=True)
class EventFields(Record):
    """Events of the policy that is being trained, 0 where the environment does not have them."""

    queue_conflict_events: float = 0.0
    """Queue conflicts in the epoch's play."""
    queue_conflict_intensity_sum: float = 0.0
    """Their sizes added up."""
    shared_meal_events: float = 0.0
    """Meals shared."""
    late_help_events: float = 0.0
    """Times somebody helped a late one."""
    shift_takeover_events: float = 0.0
    """Shifts taken over."""
    chat_success_events: float = 0.0
    """Chats that went well."""
    chat_failure_events: float = 0.0
    """Chats that did not."""
    chat_quality_mean: float = 0.0
    """Mean quality of the chats."""


@frozen(kw_only=True)
class ConflictFields(Record):
    """Rivalry as the agents saw it; 0 where they do not see it. On a line: ``conflict.NAME_avg``."""

    rivalry_max_mean: float = 0.0
    """Mean over the epoch's decisions."""
    rivalry_max_max: float = 0.0
    """Largest."""
    rivalry_avoid_count_mean: float = 0.0
    """Mean over the epoch's decisions."""
    rivalry_avoid_count_max: float = 0.0
    """Largest."""


@frozen(kw_only=True)
class AnnealFields(Record):
    """What the guards of a round said; only on its closing line. On a line: ``anneal_NAME``."""

    cycle: int
    """Round, from 1."""
    stage: str
    """State that trained."""
    dataset: str | None = None
    """Digest of the data set the clone came from."""
    bc_accuracy: float | None = None
    """Held-out accuracy of the clone."""
    bc_threshold: float | None = None
    """What it was held against."""
    bc_passed: bool | None = None
    """Whether it passed; none where nobody asked."""
    loss_baseline: float | None = None
    """What the value loss was compared with."""
    queue_baseline: float | None = None
    """What the rate of conflicts was compared with."""
    intensity_baseline: float | None = None
    """What the rate of intensity was compared with."""
    loss_flag: bool | None = None
    """True where a guard on ppo's value loss tripped; none where none decided."""
    queue_flag: bool | None = None
    """True where a guard on evaluate's conflicts tripped; none where none decided."""
    intensity_flag: bool | None = None
    """True where a guard on evaluate's queue intensity tripped; none where none decided."""


@frozen(kw_only=True)
class BaselineFields(Record):
    """Metrics of the data set an epoch learned from. On a line: ``baseline_NAME``."""

    sample_count: float = 0.0
    """Samples."""
    reward_mean: float = 0.0
    """Mean reward per decision."""
    reward_sum: float = 0.0
    """Reward of all samples."""
    reward_sum_mean: float = 0.0
    """Reward per sample."""
    log_prob_mean: float = 0.0
    """Mean log-probability of what was played."""


@frozen(kw_only=True)
class TrainingLogEntry(Record):
    """One line, before it is made flat."""

    core: CoreFields
    """In every generation."""
    health: HealthFields
    """Since the health keys."""
    stream: StreamFields
    """Since 1.1."""
    events: EventFields = EventFields()
    """Since 1.2."""
    conflict: ConflictFields = ConflictFields()
    """Since 1.2."""
    anneal: AnnealFields | None = None
    """Only on the closing line of a round."""
    baseline: BaselineFields | None = None
    """Only where a data set was learned from."""


@frozen(kw_only=True)
class LogSummary(Record):
    """What a training log holds."""

    files: tuple[str, ...]
    """The log and what it was rotated to, in order."""
    lines: int
    """Lines altogether."""
    epochs: int
    """Lines of epochs."""
    rounds: int
    """Closing lines."""
    generations: Mapping[str, int]
    """Lines by generation: ``unversioned``, ``1.0``, ``1.1`` or ``1.2``."""
    missing: tuple[str, ...]
    """Groups of keys that some line lacks: health, stream, events or conflict."""
    transitions: int
    """Decisions learned from, over all epochs."""
    first: Mapping[str, float]
    """Losses, entropy and KL of the first epoch."""
    last: Mapping[str, float]
    """The same of the last."""
    flags: tuple[AnnealFields, ...]
    """What the closing lines say."""
