"""What a lower floor must know of the strategies above it."""

from collections.abc import Mapping

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.policy import TrainingResult
from townlet.dto.strategies import StrategySpec

__all__ = ["StrategyAvailability", "StrategyCatalogue", "StrategyEntry"]


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
class StrategyAvailability(Record):
    """Whether a strategy can run here."""

    name: str
    """The word after ``strategy:``."""
    here: bool
    """Whether it can run in this installation."""
    install: str
    """What to install where it cannot; empty where it can."""
    doc: str
    """One sentence."""


@frozen(kw_only=True)
class StrategyCatalogue:
    """The strategies a schedule may name."""

    entries: Mapping[str, StrategyEntry]
    """By name."""
    torch_available: bool
    """Whether torch is installed here."""

    def availability(self) -> tuple[StrategyAvailability, ...]:
        """Return each strategy and whether it can run here."""
        return tuple(
            StrategyAvailability(
                name=entry.name,
                here=self.torch_available or not entry.requires_torch,
                install="" if self.torch_available or not entry.requires_torch else "pip install 'townlet[torch]'",
                doc=entry.doc,
            )
            for entry in self.entries.values()
        )
