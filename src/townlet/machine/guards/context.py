"""The record that the guards of one visit are evaluated from."""

from collections.abc import Callable, Mapping

from attrs import frozen

from townlet.dto.evidence import EvidenceTable
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import TrainingResult
from townlet.dto.schedule import Plan
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.journal.run_state import Accepted

__all__ = ["GuardContext"]


@frozen(kw_only=True)
class GuardContext:
    """Everything the guards of one visit are evaluated from."""

    plan: Plan
    """The schedule and its structured options."""
    metrics: Mapping[str, MetricSpec]
    """The environment's KPIs by name."""
    candidate: str | None
    """Digest of the weights under test."""
    visits: Mapping[str, int]
    """Visits to each state so far, the present one included."""
    results: Mapping[str, TrainingResult]
    """Last result of each state."""
    accepted: tuple[Accepted, ...]
    """This run's accepted ppo visits."""
    baseline_digests: Mapping[str, str]
    """What each baseline's name was resolved to when the visit started: a weights digest, or ``teacher:NAME``."""
    table: Callable[[str], EvidenceTable]
    """Reads stored evidence by digest."""
    rule: int = RULE
    """Version of the rule that comparisons are decided by."""
