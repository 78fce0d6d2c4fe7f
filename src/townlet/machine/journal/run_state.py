"""What a run amounts to: the state that its journal is folded into."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from townlet.dto.guards import GuardReport
from townlet.dto.journal import ApprovalRequested, EffectDone, EffectIntent, OperatorCommand, RunClosed, RunCreated
from townlet.dto.policy import AnnealStageResult, FineTuningResult, TrainingResult

__all__ = ["Accepted", "OpenVisit", "RunState"]


@frozen(kw_only=True)
class OpenVisit:
    """The visit a run is in, and how far it came: started, finished (`result`), judged (`reports`)."""

    state: str
    """Where."""
    number: int
    """The n-th visit to that state, from 1."""
    attempt: int
    """Starts so far."""
    inputs: Mapping[str, str]
    """Digests by name, as journalled at the first start."""
    baseline_digests: Mapping[str, str]
    """What each baseline's name stands for."""
    expected_champion: str | None
    """Weights digest the champion's alias must name when it moves."""
    crash_count: int = 0
    """Processes that took the visit up again since it last came further, so that one that kills them all is noticed."""
    retries: int = 0
    """Starts again within one process: after a fault of the environment, not after the death of a process."""
    resumed: bool = False
    """Whether a process took the visit up and has not started it again yet."""
    step: int = 0
    """Step of its furthest checkpoint."""
    checkpoint: str | None = None
    """Digest of the last checkpoint."""
    intent: EffectIntent | None = None
    """The effect it was about to try."""
    done: EffectDone | None = None
    """The effect it carried out."""
    result: TrainingResult | None = None
    """The strategy's answer."""
    reports: tuple[GuardReport, ...] | None = None
    """The guards' answers."""


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
    """Everything the engine knows; a pure function of the journal."""

    created: RunCreated | None = None
    """The run's first record."""
    created_at: str = ""
    """When, UTC, ISO 8601."""
    state: str
    """Where the walk is."""
    reason: str = ""
    """Why it is there, in words."""
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
    """The visit that was left for hold; none where the run holds before one, or does not hold."""
    held_state: str = ""
    """The state that was left for hold; empty where the run does not hold."""
    approval: ApprovalRequested | None = None
    """The question that waits for an answer."""
    pending_commands: tuple[OperatorCommand, ...] = ()
    """What the operator ordered since the last transition."""
    seen_command_ids: frozenset[str] = frozenset()
    """Ids of the commands that were read."""
    schedule_sha256: str = ""
    """SHA-256 of the schedule in force: the one the run began with, or the last that was accepted."""
    latest: str = ""
    """The latest time of any record; a clock that goes back does not go back behind it."""
    closed: RunClosed | None = None
    """The record that ended the run."""

    @property
    def rehearsal(self) -> bool:
        """Whether the run only rehearses."""
        return self.created is not None and self.created.rehearsal
