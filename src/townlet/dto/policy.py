"""Frozen results: what every strategy answers."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
from attrs import frozen

from townlet.dto.anneal import BCRound, PPORound, PromotionSnapshot, Status
from townlet.dto.codec import Record, converter
from townlet.dto.evolution import evolved
from townlet.dto.fields import DIRECTION, UNIT, Direction, metric, nonsemantic
from townlet.dto.metrics import InvalidValues, Measurement
from townlet.dto.samples import RecordedMetrics, ReplayBatchSummary, ReplaySampleSummary

__all__ = [
    "AnnealStageResult",
    "AnnealSummary",
    "BCTrainingResult",
    "CaptureResult",
    "EvaluationResult",
    "FineTuningResult",
    "PPOTrainingResult",
    "PromotionResult",
    "ReplayResult",
    "Resumable",
    "RollbackResult",
    "TrainingResult",
    "statistics",
]

HIGHER, LOWER = Direction.HIGHER, Direction.LOWER
Resumable = Literal["exact", "reset", "none"]


@frozen(kw_only=True)
class TrainingResult(Record):
    """What every strategy's answer carries."""

    may_be_nan: ClassVar[bool] = True
    metrics_of_weights: ClassVar[bool] = True
    """Whether its metrics describe `weights`: a guard then refuses them for other weights than the candidate's."""

    weights: str | None = None
    """Digest of the weights the visit answers with; none where it makes none."""
    flags: tuple[str, ...] = ()
    """Short words worth noticing, such as ``cliff`` or ``early_stop``."""
    blobs: Mapping[str, str] = attrs.field(factory=dict)
    """Digest of each stored artefact, by name."""
    agent_steps: int = 0
    """Agent-steps the visit played, for the budget."""
    duration: float = nonsemantic(0.0)
    """Seconds the strategy ran."""


@frozen(kw_only=True)
class CaptureResult(TrainingResult):
    """A data set of the teacher's decisions."""

    metrics_of_weights: ClassVar[bool] = False
    episodes: float = metric("episodes", HIGHER, low=0.0)
    """Recorded episodes."""
    samples: float = metric("agent-steps", HIGHER, low=0.0)
    """Decisions of living agents."""
    action_entropy: float = metric("nat", HIGHER, low=0.0)
    """Entropy of the labels' distribution."""
    perturbed_share: float = metric("fraction", low=0.0, high=1.0)
    """Share of decisions at which another action than the label was played."""
    return_per_agent_day: float = metric("1/agent-day", HIGHER)
    """What the recorded play was worth."""
    action_counts: Mapping[str, int]
    """Labels by action name."""
    ticks: int = 0
    """Simulated ticks of each world."""
    recorded: RecordedMetrics | None = None
    """What the play was worth, as scripts read it."""


@frozen(kw_only=True)
class BCTrainingResult(TrainingResult):
    """A clone of the teacher."""

    heldout_accuracy: float = metric("fraction", HIGHER, low=0.0, high=1.0)
    """Share of held-out unforced decisions at which the greedy action is the teacher's."""
    heldout_nll: float = metric("nat", LOWER)
    """Held-out negative log-likelihood of the teacher's actions; below 0 where the density of box heads is above 1."""
    heldout_r2: float | None = metric("1", HIGHER, high=1.0, default=None, since=2)
    """R² of the greedy action's box columns on held-out decisions, mean over the columns; none without box heads."""
    train_accuracy: float = metric("fraction", HIGHER, low=0.0, high=1.0)
    """The same share on the training episodes, last pass."""
    train_loss: float = metric("nat", LOWER)
    """Smoothed cross-entropy, mean of the last pass."""
    value_loss: float = metric("1", LOWER, low=0.0)
    """Value loss after the pre-fit, in units of the value normaliser."""
    worst_recall: float = metric("fraction", HIGHER, low=0.0, high=1.0)
    """Least recall over the actions that are at least 0.5 % of the held-out labels."""
    epochs: int = 0
    """Passes made."""
    samples: int = 0
    """Training samples."""
    dataset: str = ""
    """Digest of the data set."""
    manifest: str = nonsemantic("")
    """Path of the manifest it came from; empty for a captured one."""
    parity: float = metric("1", LOWER, low=0.0, default=0.0)
    """Largest difference on the probe batch between the logits that a policy acts by and those of double precision."""
    device: str = nonsemantic("cpu")
    """Where it was trained: `cpu`, or `cuda` and the GPU's name."""
    resumable: Resumable = "exact"
    """What the visit would have gone on with, had it been cut off."""
    samples_per_second: float = metric("1/s", HIGHER, low=0.0, default=0.0, semantic=False)
    """Training samples ÷ seconds of the cloning passes."""


@frozen(kw_only=True)
class FineTuningResult(TrainingResult):
    """Weights that were made from others (`weights`, never none)."""

    parent: str = ""
    """Digest of the weights the visit started from; empty for a fresh start."""


@frozen(kw_only=True)
class PPOTrainingResult(FineTuningResult):
    """A fine-tuned policy; losses are means of the last 5 iterations."""

    removed_fields: ClassVar[frozenset[str]] = frozenset({"last_epoch"})
    iterations: int = 0
    """Rollout-and-update rounds made."""
    value_loss: float = metric("1", LOWER, low=0.0)
    """In units of the value normaliser."""
    policy_loss: float = metric("1")
    """Clipped surrogate."""
    entropy: float = metric("nat", low=0.0)
    """Of the policy over legal actions."""
    approx_kl: float = metric("nat", LOWER, low=0.0)
    """Mean over the last iterations' updates."""
    approx_kl_p95: float = metric("nat", LOWER, low=0.0)
    """95th percentile over the visit's iterations."""
    clip_fraction: float = metric("fraction", LOWER, low=0.0, high=1.0)
    """Share of clipped ratios."""
    explained_variance: float = metric("1", HIGHER, high=1.0)
    """1 − Var(returns − values) ÷ Var(returns)."""
    grad_norm: float = metric("1", LOWER, low=0.0)
    """Before clipping."""
    anchor_kl: float = metric("nat", LOWER, low=0.0)
    """KL(parent ‖ policy)."""
    nonfinite_updates: float = metric("updates", LOWER, low=0.0)
    """Updates refused because the loss or the gradient was not finite; the first one ends the visit."""
    empty_masks: float = metric("decisions", LOWER, low=0.0, default=0.0, since=2)
    """Decisions of living agents whose mask allowed no option, over the visit; what was drawn there is not learned
    from."""
    reward_per_decision: float = metric("1/agent-step", HIGHER)
    """Mean training reward."""
    queue_intensity: float = metric("1/agent-day", LOWER)
    """Of the training episodes; 0 where the environment has no such metric."""
    parity: float = metric("1", LOWER, low=0.0, default=0.0)
    """Largest difference on the probe batch between the logits that a policy acts by and those of double precision."""
    total_loss: float = metric("1", LOWER, default=0.0)
    """What was minimised."""
    queue_conflicts: float = metric("conflicts", LOWER, low=0.0, default=0.0)
    """Queue conflicts of the training episodes, a count; 0 where the environment has no such metric."""
    queue_intensity_sum: float = metric("1", LOWER, default=0.0)
    """Their sizes added up."""
    device: str = nonsemantic("cpu")
    """Where updates were computed: `cpu`, or `cuda` and the GPU's name."""
    block_rows: int = evolved(since=3, default=0, semantic=False)
    """Rows that passed through the network together, which decides last bits: to repeat the visit on another machine,
    give it as the option. 0 on a GPU, where all did."""
    resumable: Resumable = "exact"
    """What the visit would have gone on with, had it been cut off: `exact` the same bits, `reset` new episodes of an
    environment that offers no snapshot (flag ``reset`` where it happened), `none` from its beginning again."""
    agent_steps_per_second: float = metric("1/s", HIGHER, low=0.0, default=0.0, semantic=False)
    """Agent-steps ÷ seconds of rollouts and updates."""


@frozen(kw_only=True)
class ReplayResult(TrainingResult):
    """A data set from outside, summarised."""

    metrics_of_weights: ClassVar[bool] = False
    samples: tuple[ReplaySampleSummary, ...]
    """In the order of the manifest."""
    batches: tuple[ReplayBatchSummary, ...]
    """In the order they would be learned from."""
    baseline: Mapping[str, float]
    """Baseline metrics of the data set: ``sample_count``, totals and means."""
    dataset: str
    """Digest over everything the data set names."""
    manifest: str = nonsemantic("")
    """Path it was read from."""


@frozen(kw_only=True)
class EvaluationResult(TrainingResult):
    """Paired evidence; `weights` is the candidate, untouched."""

    measurements: tuple[Measurement, ...]
    """KPIs of the candidate and of each baseline, with what they were measured on."""
    evidence: str
    """Digest of the stored `EvidenceTable`."""
    looks: int
    """Looks that were taken."""
    invalid: tuple[InvalidValues, ...] = evolved(since=2, default=())
    """Where the environment gave no valid number for a KPI, asked for by a guard or not."""
    reward_terms: str = evolved(since=3, default="", semantic=False)
    """Digest of the stored terms of the rewards, an `EvidenceTable` whose rows are terms: their means per agent-day
    (per agent-step where the environment has no days). Empty where the environment declares no terms; no guard judges
    them."""


@frozen(kw_only=True)
class PromotionResult(TrainingResult):
    """An alias that moved."""

    alias: str
    """Alias in the registry."""
    version: int
    """Immutable version it now names."""
    previous: str | None
    """Digest it named before."""


@frozen(kw_only=True)
class RollbackResult(TrainingResult):
    """The weights to go on from (`weights`), proven."""

    discarded: str | None
    """Digest of the candidate that was discarded."""
    target: str
    """`accepted`, `clone` or `champion`: whose weights these are."""
    parity: float | None
    """Largest difference between the stored probe logits and those recomputed; none for weights without a probe."""
    scale: Mapping[str, float]
    """Factors that now apply to later visits, cumulative."""


@frozen(kw_only=True)
class AnnealStageResult(Record):
    """One visit and the edge it took."""

    state: str
    """Where."""
    visit: int
    """The n-th visit to that state, from 1."""
    result: TrainingResult
    """The strategy's answer."""
    to: str
    """State that the edge led to."""
    why: str
    """In words."""


@frozen(kw_only=True, repr=False)
class AnnealSummary(TrainingResult):
    """The result of one run of the machine; `repr` shows it on one screen, `model_dump` gives all of it."""

    run: str = nonsemantic()
    """Run id."""
    path: str = nonsemantic()
    """Run directory."""
    state: str
    """Where the run ended: done, hold, failed or aborted."""
    reason: str
    """In words."""
    champion_moved: bool
    """True where promote moved the alias."""
    has_promote: bool
    """True where the schedule has a promote state."""
    stages: tuple[AnnealStageResult, ...]
    """Every visit in order."""
    head: str = nonsemantic()
    """Hash of the journal's last record."""
    semantic_hash: str
    """What equal runs agree on."""
    rehearsal: bool = False
    """True for `run --rehearse`: nothing was promoted."""
    reservations: tuple[str, ...] = nonsemantic(default=())
    """Promises that the environment did not keep, or that could not be checked, at the start of the run."""
    status: Status = "HOLD"
    """PASS, HOLD or FAIL, as scripts read it."""
    promotion: PromotionSnapshot = PromotionSnapshot()
    """Where promotion stands."""
    rounds: tuple[BCRound | PPORound, ...] = ()
    """Every clone and every round of ppo, with the flags of its guards."""

    def __repr__(self) -> str:
        """Return how the run ended, its figures, what is in force and the next call, on one screen."""
        from townlet.dto.summary_text import summary_lines  # which needs the classes of this module

        return "\n".join(summary_lines(self))


def _result_classes() -> dict[str, type[TrainingResult]]:
    """Return every class of results by name, those of installed packages included."""
    classes, unread = {}, [TrainingResult]
    while unread:
        subclasses = unread.pop().__subclasses__()
        classes.update({cls.__name__: cls for cls in subclasses})
        unread += subclasses
    return classes


def _dump_any_result(result: TrainingResult) -> dict[str, Any]:
    plain: dict[str, Any] = converter.unstructure(result, unstructure_as=type(result))
    return {"kind": type(result).__name__} | plain


def _structure_any_result(value: Any, _: Any) -> TrainingResult:
    classes = _result_classes()
    if not isinstance(value, Mapping) or value.get("kind") not in classes:
        raise ValueError(f"expected a result whose kind is one of {', '.join(sorted(classes))}")
    fields = {name: item for name, item in value.items() if name != "kind"}
    return converter.structure(fields, classes[value["kind"]])


# A field that holds any strategy's answer says which it is.
converter.register_unstructure_hook_func(lambda kind: kind is TrainingResult, _dump_any_result)
converter.register_structure_hook_func(lambda kind: kind is TrainingResult, _structure_any_result)


def statistics(cls: type[TrainingResult]) -> dict[str, "attrs.Attribute[Any]"]:
    """Return the metric fields of a result class by name; unit and direction are in their metadata."""
    return {a.name: a for a in attrs.fields(cls) if UNIT in a.metadata and DIRECTION in a.metadata}
