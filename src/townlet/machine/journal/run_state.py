"""The state of a run: the value that its journal is folded into."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from townlet.dto.guards import GuardReport
from townlet.dto.journal import (
    ApprovalRequested,
    EffectDone,
    EffectIntent,
    GuardsJudged,
    OperatorCommand,
    RunClosed,
    RunCreated,
)
from townlet.dto.policy import AnnealStageResult, FineTuningResult, TrainingResult

__all__ = ["WAITING", "Accepted", "OpenVisit", "RunState"]

WAITING = ("hold", "failed")
"""States in which the run waits for an operator; from `failed` only a retry leads on."""


@frozen(kw_only=True)
class OpenVisit:
    """The visit a run is in, and its progress: started, finished (`result`), guards evaluated (`reports`)."""

    state: str
    """Name of the state."""
    number: int
    """The n-th visit to that state, from 1."""
    attempt: int
    """Attempts so far."""
    inputs: Mapping[str, str]
    """Digests by name, as journalled at the first start."""
    baseline_digests: Mapping[str, str]
    """Policy that each baseline stands for: a weights digest, or ``teacher:NAME``."""
    expected_champion: str | None
    """Weights digest the champion's alias must name when it moves."""
    crash_count: int = 0
    """Processes that died in this visit since its last checkpoint; at 3 the run holds."""
    retries: int = 0
    """Attempts after a fault of the environment; those after a crash of the process do not count."""
    resumed: bool = False
    """Whether another process took over the visit and has not begun its attempt yet."""
    is_kept: bool = False
    """Whether the run holds inside this visit, so that a retry continues it."""
    step: int = 0
    """Step of its furthest checkpoint."""
    checkpoint: str | None = None
    """Digest of the last checkpoint."""
    intent: EffectIntent | None = None
    """The effect it is about to have."""
    done: EffectDone | None = None
    """The effect it had."""
    result: TrainingResult | None = None
    """The strategy's result."""
    reports: tuple[GuardReport, ...] | None = None
    """The guards' reports."""


@frozen(kw_only=True)
class Accepted:
    """A fine-tuning visit whose weights were evaluated, differ from its parent and were not rolled back."""

    state: str
    """The state that fine-tuned."""
    visit: int
    """Which visit to it."""
    result: FineTuningResult
    """Its result."""


@frozen(kw_only=True)
class RunState:
    """Everything the engine decides from; a pure function of the journal."""

    created: RunCreated | None = None
    """The run's first record."""
    created_at: str = ""
    """When, UTC, ISO 8601."""
    state: str
    """The state of the schedule that the run is in."""
    reason: str = ""
    """Why it was entered, in words."""
    visit: OpenVisit | None = None
    """The visit it is in; none before the first record of a visit."""
    visits: Mapping[str, int] = MappingProxyType({})
    """Visits to each state, the present one included."""
    results: Mapping[str, TrainingResult] = MappingProxyType({})
    """Last result of each state."""
    stages: tuple[AnnealStageResult, ...] = ()
    """Every finished visit and the edge it took."""
    candidate: str | None = None
    """Weights digest of the policy under test."""
    clone: str | None = None
    """Weights digest of the last clone."""
    dataset: str | None = None
    """Digest of the last captured data set."""
    experience: str | None = None
    """Digest of the last recorded play of a policy."""
    evidence: str | None = None
    """Digest of the last evidence."""
    judged_against: str | None = None
    """Weights digest the champion's alias named when that evidence was begun."""
    starts: Mapping[str, str] = MappingProxyType({})
    """Weights digest the last visit to each fine-tuning state started from."""
    fine_tuned: Accepted | None = None
    """The last fine-tuning visit, not accepted yet."""
    accepted: tuple[Accepted, ...] = ()
    """Accepted fine-tuning visits, oldest first."""
    scale: Mapping[str, float] = MappingProxyType({})
    """Factors of all rollbacks so far."""
    rounds: int = 0
    """Finished fine-tuning visits."""
    ramp_index: int = 0
    """Finished fine-tuning visits since the weights were last set."""
    agent_steps: int = 0
    """Agent-steps of all finished visits."""
    champion_moved: bool = False
    """Whether promote moved the alias."""
    held: OpenVisit | None = None
    """The visit that ended in hold or in failure; none where the run holds before a visit, or does not hold."""
    held_state: str = ""
    """The state before hold or failure; empty where the run waits in neither."""
    idle_since: str = ""
    """When the run began to wait for a person (held, failed or stopped), ISO 8601; empty where it does not wait."""
    idle_seconds: float = 0.0
    """Time the run waited for a person so far, in seconds."""
    approval: ApprovalRequested | None = None
    """The request for approval that is open."""
    judged: GuardsJudged | None = None
    """The guards that were judged last."""
    signature: str = ""
    """Signature that an operator brought with an approval or a retry; empty for none."""
    pending_commands: tuple[OperatorCommand, ...] = ()
    """Operator's commands since the last transition that are not carried out yet."""
    seen_command_ids: frozenset[str] = frozenset()
    """Ids of the operator's commands in the journal, so that none is carried out twice."""
    schedule_sha256: str = ""
    """SHA-256 of the schedule in force: the one the run began with, or the last that was accepted."""
    obeys_seed: bool = True
    """Whether every environment that was checked gives equal episodes for equal seeds."""
    latest: str = ""
    """The latest time of any record, ISO 8601; a clock that was set back counts as this time."""
    closed: RunClosed | None = None
    """The record that ended the run."""

    @property
    def rehearsal(self) -> bool:
        """Whether the run only rehearses."""
        return self.created is not None and self.created.rehearsal
