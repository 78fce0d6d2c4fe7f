"""What a run has written, as records: visits, verdicts and evidence, each with the visit that it belongs to."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.evidence import EvidenceTable
from townlet.dto.guards import GuardReport
from townlet.dto.policy import TrainingResult

__all__ = ["RunVisit", "VisitEvidence", "VisitGuard", "VisitPoint"]


@frozen(kw_only=True)
class RunVisit(Record):
    """One visit: a state, what its strategy answered, and where the run went from there."""

    state: str
    """Name of the state."""
    visit: int
    """The n-th visit to that state, from 1."""
    attempts: int
    """How often it was started."""
    strategy: str = ""
    """Name of the strategy; empty while there is no result."""
    started: str
    """When it was started first, UTC, ISO 8601."""
    finished: str | None = None
    """When its result was written; none while there is no result."""
    result: TrainingResult | None = None
    """What the strategy answered; none while the visit is open, or where it failed."""
    to: str | None = None
    """State that the run went to; none while it is in this visit."""
    why: str = ""
    """Why it went there, in words."""


@frozen(kw_only=True)
class VisitGuard(Record):
    """The verdict of one guard at the end of one visit."""

    seq: int
    """Number of the journal's record."""
    at: str
    """When it was written, UTC, ISO 8601."""
    state: str
    """State whose guards were evaluated."""
    visit: int
    """Which visit to it."""
    report: GuardReport
    """Verdict, numbers and sentence."""


@frozen(kw_only=True)
class VisitEvidence(Record):
    """The paired episodes that one visit gathered."""

    state: str
    """State that gathered them."""
    visit: int
    """Which visit to it."""
    digest: str
    """Digest of the stored table."""
    table: EvidenceTable
    """Every policy's value of each metric, episode by episode."""


@frozen(kw_only=True)
class VisitPoint(Record):
    """What one iteration of a visit reported."""

    may_be_nan: ClassVar[bool] = True

    state: str
    """Where."""
    visit: int
    """Which visit."""
    step: int
    """Iteration, epoch or look, from 1."""
    agent_steps: int
    """Agent-steps of this visit so far."""
    of: int = 0
    """How many iterations there will be at the most; 0 where unknown, and in streams of earlier versions."""
    numbers: Mapping[str, float]
    """What was measured; NaN for what was not finite."""
