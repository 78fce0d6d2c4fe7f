"""What a lower floor must know of the strategies above it."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.policy import TrainingResult
from townlet.dto.strategies import StrategySpec

__all__ = ["StrategyCatalogue", "StrategyEntry"]


@frozen(kw_only=True)
class StrategyEntry:
    """One strategy, as the checker sees it."""

    name: str
    """The word after ``strategy:``."""
    spec: type[StrategySpec]
    """Class of its ``with:`` block."""
    result: type[TrainingResult]
    """Class of its answers; metric fields are what guards may judge."""
    requires_torch: bool = False
    """True where it cannot run without torch."""
    effect: bool = False
    """True for promote, the only strategy that changes something outside the run."""
    measures: bool = False
    """True where the environment's KPIs are measured (evaluate)."""
    doc: str = ""
    """One sentence."""


@frozen(kw_only=True)
class StrategyCatalogue:
    """The strategies a schedule may name."""

    entries: Mapping[str, StrategyEntry]
    """By name."""
    torch_available: bool
    """Whether torch is installed here."""
