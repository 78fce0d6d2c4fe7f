"""The records of the journal: one frozen class per kind.

A kind that comes later, and a field that comes later or is renamed, keeps earlier journals readable: `evolved` says
since which version, and how earlier ones are read (docs/reference/journal.md).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import attrs
from attrs import frozen

from townlet.dto.codec import Checked, Record
from townlet.dto.environment_report import EnvironmentReport
from townlet.dto.evolution import evolved
from townlet.dto.fields import nonsemantic
from townlet.dto.guards import GuardReport
from townlet.dto.registry import SignedMove

__all__ = [
    "RECORDS",
    "SEMANTIC_KINDS",
    "ApprovalRequested",
    "Checkpoint",
    "EffectDone",
    "EffectIntent",
    "Entry",
    "EnvironmentChecked",
    "GuardsJudged",
    "JournalRecord",
    "OperatorCommand",
    "ProcessStarted",
    "Recovered",
    "RunClosed",
    "RunCreated",
    "ScheduleChange",
    "TransitionTaken",
    "VisitFinished",
    "VisitStarted",
]


@frozen(kw_only=True)
class JournalRecord(Record):
    """Base of all records of the journal."""

    kind: ClassVar[str]


@frozen(kw_only=True)
class ScheduleChange(Record):
    """A value that the call that began a run gave in place of the schedule's own."""

    path: str
    """Keys from the root to the value, with dots between them."""
    before: str | None
    """The schedule's own value as YAML; none where it had none."""
    after: str
    """The value given, as YAML."""

    def __str__(self) -> str:
        return f"{self.path}={self.after} (before: {'not there' if self.before is None else self.before})"


@frozen(kw_only=True)
class RunCreated(JournalRecord):
    """The run was created."""

    kind: ClassVar[str] = "run_created"
    run: str = nonsemantic()
    """Run id."""
    name: str
    """Name of the schedule."""
    schedule: str
    """SHA-256 of the schedule's bytes."""
    seed: int
    """Seed of the run (the schedule's, or given on the command line)."""
    rehearsal: bool
    """True for a rehearsal."""
    environment: str
    """Signature of the environment."""
    fingerprint: Mapping[str, str] = nonsemantic()
    """Versions and machine."""
    signers: tuple[str, ...] = evolved(since=2, default=())
    """Public keys, a line each, one of which must sign a promotion; empty where the schedule names no signers."""
    changes: tuple[ScheduleChange, ...] = evolved(since=3, default=(), semantic=False)
    """Values given in place of the schedule's own (`--set`); the digest `schedule` is of the text that has them."""


@frozen(kw_only=True)
class ProcessStarted(JournalRecord):
    """A process began to work on the run."""

    kind: ClassVar[str] = "process_started"
    pid: int = nonsemantic()
    """Process id."""
    host: str = nonsemantic()
    """Host name."""
    changed: Mapping[str, str] = nonsemantic(default=MappingProxyType({}))
    """Versions and properties of the machine that differ from those of `run_created`, as ``old → new``: the same bits
    are not promised from here on. Empty where nothing differs."""
    promise: str = nonsemantic(default="exact")
    """What resuming from a checkpoint gives: exact (the same bits), unknown (a Townlet that recorded less of its
    machine began the run), reset (of an earlier Townlet: the environment
    began new episodes) or none (other bits: versions or machine differ,
    here or in an earlier process)."""


@frozen(kw_only=True)
class Recovered(JournalRecord):
    """An unfinished last line, left by a process that died while it wrote, was cut off."""

    kind: ClassVar[str] = "recovered"
    torn_bytes: int
    """How many bytes were cut."""
    torn_sha256: str
    """Their digest."""


@frozen(kw_only=True)
class VisitStarted(JournalRecord):
    """An attempt of a visit begins: the strategy is about to run."""

    kind: ClassVar[str] = "visit_started"
    state: str
    """Where."""
    visit: int
    """The n-th visit to that state, from 1."""
    attempt: int
    """The n-th start of this visit, from 1."""
    inputs: Mapping[str, str]
    """Digest of each input by name (`candidate`, `clone`, `dataset`, …)."""
    baseline_digests: Mapping[str, str] = evolved(since=2, was="pins")
    """Policy that each baseline stands for during this visit: a weights digest, or ``teacher:NAME``."""
    expected_champion: str | None = evolved(since=2, was="expected")
    """Weights digest that the champion's alias names now; none where it names nothing."""


@frozen(kw_only=True)
class Checkpoint(JournalRecord):
    """The visit stored a point that it can be resumed from."""

    kind: ClassVar[str] = "checkpoint"
    state: str
    """Where."""
    visit: int
    """Which visit."""
    step: int
    """Iteration or look after which it was taken."""
    blob: str
    """Digest of the stored state."""


@frozen(kw_only=True)
class VisitFinished(JournalRecord):
    """The strategy of a visit returned its result: the commit point of the work."""

    kind: ClassVar[str] = "visit_finished"
    state: str
    """Where."""
    visit: int
    """Which visit."""
    strategy: str
    """Name of the strategy, so that the result's class is known."""
    result: Mapping[str, Any]
    """The result as plain data."""


@frozen(kw_only=True)
class GuardsJudged(JournalRecord):
    """Every guard on any edge of the state was evaluated, once per visit."""

    kind: ClassVar[str] = "guards"
    state: str
    """Where."""
    visit: int
    """Which visit."""
    reports: tuple[GuardReport, ...]
    """In the order of the schedule."""


@frozen(kw_only=True)
class TransitionTaken(JournalRecord):
    """The run moved from one state to another: the commit point of the state."""

    kind: ClassVar[str] = "transition"
    source: str
    """State that is left."""
    target: str
    """State that is entered."""
    edge: int | None
    """Index of the edge among the state's `next` (leaving hold: of the held state's); none for a move of the engine's
    own or a retry."""
    why: str
    """In words."""
    keeps_visit: bool = evolved(since=2, default=False)
    """True where the run holds inside a visit, which a retry continues from its last checkpoint with its own seeds."""


@frozen(kw_only=True)
class EffectIntent(JournalRecord):
    """The champion's alias is about to be moved."""

    kind: ClassVar[str] = "effect_intent"
    state: str
    """Where."""
    visit: int
    """Which visit."""
    registry: str
    """Name of the policy in the registry."""
    alias: str
    """Alias to move."""
    target: str
    """Weights digest it shall name."""
    expected: str | None
    """Weights digest it must name now; none for no alias yet."""
    evidence: str | None
    """Digest of the evidence that the decision rests on."""


@frozen(kw_only=True)
class EffectDone(JournalRecord):
    """The champion's alias was moved, once."""

    kind: ClassVar[str] = "effect_done"
    alias: str
    """Alias that moved."""
    target: str
    """Weights digest it names."""
    version: int
    """Registry version."""
    signed: SignedMove | None = evolved(since=2, default=None, semantic=False)
    """The signature of the move; none where none was demanded."""


@frozen(kw_only=True)
class ApprovalRequested(JournalRecord):
    """An edge waits for the approval of an operator."""

    kind: ClassVar[str] = "approval_requested"
    state: str
    """Where."""
    edge: int
    """Index of the edge."""
    report: str
    """Hash of the guard report that the answer must name."""
    expires: float | None = nonsemantic()
    """Absolute deadline, seconds since the epoch."""


@frozen(kw_only=True)
class OperatorCommand(JournalRecord):
    """An operator's command was read from the inbox, or the process ended itself or accepted a schedule."""

    kind: ClassVar[str] = "operator"
    command: str
    """approve, reject, retry, accept_risk, hold or abort; accept_schedule and stop come from the process itself."""
    actor: str = nonsemantic()
    """Who."""
    reason: str = ""
    """Why."""
    arguments: Mapping[str, str] = attrs.field(factory=dict)
    """What it refers to: `report` (hash of the guard report), `edge` (index), `schedule` (SHA-256)."""
    id: str = nonsemantic(default="")
    """Name of its file in the inbox, so that none is carried out twice; empty for the process's own."""
    sent: float | None = nonsemantic(default=None)
    """When it was given, seconds since the epoch, as the command itself says."""
    refused: str = ""
    """Why it was rejected and changed nothing; empty where it was carried out."""
    arrived: float | None = evolved(since=2, default=None, semantic=False)
    """When its file came into the inbox, seconds since the epoch, as the file system says: an approval counts if it
    arrived before its deadline. None for the process's own; records of version 1 go by `sent`."""
    uid: int | None = evolved(since=2, default=None, semantic=False)
    """User id that owns its file; `actor` is only what the command says. None for the process's own."""
    is_allowed: bool = evolved(since=2, default=True, semantic=False)
    """Whether that user may give commands: the user of the process, root, or the group that shares the home."""


@frozen(kw_only=True)
class EnvironmentChecked(JournalRecord):
    """The promises of an environment that is not built in were checked before the run began."""

    kind: ClassVar[str] = "environment_checked"
    report: EnvironmentReport
    """Result for one scenario."""


@frozen(kw_only=True)
class RunClosed(JournalRecord):
    """The run ended."""

    kind: ClassVar[str] = "run_closed"
    state: str
    """done, failed or aborted."""
    reason: str
    """In words."""
    champion_moved: bool
    """Whether promote moved the alias."""


@frozen(kw_only=True)
class Entry(Checked):
    """One line of the journal."""

    seq: int
    """Counted from 0."""
    at: str
    """UTC time, ISO 8601."""
    record: JournalRecord
    """What happened."""
    previous: str
    """Hash of the line before."""
    hash: str
    """Hash of this line."""


RECORDS: Mapping[str, type[JournalRecord]] = {
    cls.kind: cls
    for cls in (
        RunCreated,
        ProcessStarted,
        Recovered,
        VisitStarted,
        Checkpoint,
        VisitFinished,
        GuardsJudged,
        TransitionTaken,
        EffectIntent,
        EffectDone,
        ApprovalRequested,
        OperatorCommand,
        EnvironmentChecked,
        RunClosed,
    )
}
"""Record classes by kind."""

SEMANTIC_KINDS = frozenset({"run_created", "visit_finished", "guards", "transition", "effect_done", "run_closed"})
"""Kinds that two equal runs agree on."""
