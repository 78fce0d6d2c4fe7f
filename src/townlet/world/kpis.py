"""KPIs: one table of what is measured, and how a world's counts become sums and exposures."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.town import DAY, KINDS, TownSpec

__all__ = ["metrics", "tally"]

PerWorld = NDArray[Any]


class Counts(NamedTuple):
    """Counts of the running episodes."""

    spec: TownSpec
    """The town."""
    clocks: NDArray[Any]
    """[W] of Clock."""
    ledgers: NDArray[Any]
    """[W] of Ledger."""
    agents: NDArray[Any]
    """[W, N] of Agent."""
    objects: NDArray[Any]
    """[W, O] of TownObject."""

    def days(self) -> PerWorld:
        """Return the days played [W]."""
        return np.asarray(self.clocks["tick"] / DAY)


class Kpi(NamedTuple):
    """One KPI: sum ÷ exposure per world, then the mean over worlds."""

    name: str
    """Name of the metric."""
    unit: str
    """Unit of the ratio."""
    direction: Direction
    """Which way it improves."""
    exposure: str
    """Name of the exposure in `_EXPOSURES`."""
    total: Callable[[Counts], PerWorld]
    """The sum [W]."""
    low: float | None = 0.0
    """Least value of the ratio; None where there is none."""
    high: float | None = None
    """Largest value of the ratio; None where there is none."""
    is_count: bool = False
    """True where the sum is a number of events."""


def _gini(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Gini's coefficient per world [W] of values [W, N]; 0 where all are 0."""
    ordered, size = np.sort(values, axis=1), values.shape[1]
    weights = 2 * np.arange(1, size + 1) - size - 1
    total = ordered.sum(axis=1)
    return np.asarray((ordered @ weights) / np.maximum(size * total, 1))


def _count(name: str) -> Callable[[Counts], PerWorld]:
    """Return the function that reads a field of `Ledger`."""
    return lambda counts: np.asarray(counts.ledgers[name])


def _uses(kind: str) -> Callable[[Counts], PerWorld]:
    """Return the function that sums the finished uses over all objects of a kind."""

    def total(counts: Counts) -> PerWorld:
        columns = np.array([other == kind for other in counts.spec.objects])
        return np.asarray(counts.objects["uses"][:, columns].sum(axis=1))

    return total


def _waits(counts: Counts) -> PerWorld:
    return np.asarray(counts.agents["waits"].sum(axis=1))


_EXPOSURES: Mapping[str, Callable[[Counts], PerWorld]] = MappingProxyType(
    {
        "agent-days": lambda c: c.days() * c.spec.agents,
        "worlds": lambda c: (c.days() > 0).astype(np.float64),
        "worlds with waiting": lambda c: (_waits(c) > 0).astype(np.float64),
        "scheduled ticks": _count("duty_ticks"),
        "scheduled starts": _count("shift_starts"),
        "whole agent-days": _count("agent_days"),
        "conflicts": _count("conflicts"),
    }
)
"""What a sum is divided by; agent-days are slot-days, dead time included, so that dying is never cheap."""

_PER_DAY, _TIME = "1/agent-day", "agent-days"
_KPIS = (
    Kpi(
        "return_per_agent_day",
        _PER_DAY,
        Direction.HIGHER,
        _TIME,
        lambda c: c.agents["episode_return"].sum(axis=1),
        low=None,
    ),
    Kpi(
        "worst_agent_return",
        _PER_DAY,
        Direction.HIGHER,
        "worlds",
        lambda c: c.agents["episode_return"].min(axis=1) / np.maximum(c.days(), 1 / DAY),
        low=None,
    ),
    Kpi("conflicts", _PER_DAY, Direction.LOWER, _TIME, _count("conflicts"), is_count=True),
    Kpi("queue_intensity", _PER_DAY, Direction.LOWER, _TIME, _count("intensity")),
    Kpi("wait_ticks", "ticks/agent-day", Direction.LOWER, _TIME, _waits),
    Kpi("deaths", _PER_DAY, Direction.LOWER, _TIME, _count("deaths"), is_count=True),
    Kpi("attendance", "share", Direction.HIGHER, "scheduled ticks", _count("worked_ticks"), high=1.0),
    Kpi("late_starts", "share", Direction.LOWER, "scheduled starts", _count("late_starts"), high=1.0),
    Kpi("self_sufficiency", "share", Direction.HIGHER, "whole agent-days", _count("sufficient_days"), high=1.0),
    Kpi(
        "wait_gini",
        "1",
        Direction.LOWER,
        "worlds with waiting",
        lambda c: _gini(c.agents["waits"].astype(np.float64)),
        high=1.0,
    ),
    Kpi("escalation", "share", Direction.LOWER, "conflicts", _count("escalations"), high=1.0),
    Kpi("evictions", _PER_DAY, Direction.LOWER, _TIME, _count("evictions"), is_count=True),
    Kpi("chats", _PER_DAY, Direction.NONE, _TIME, _count("chats")),
    Kpi("chats_failed", _PER_DAY, Direction.NONE, _TIME, _count("failed_chats")),
    Kpi("shared_meals", _PER_DAY, Direction.NONE, _TIME, _count("meals_shared")),
    Kpi("late_helps", _PER_DAY, Direction.NONE, _TIME, _count("late_helps")),
    Kpi("shift_takeovers", _PER_DAY, Direction.NONE, _TIME, _count("shift_takeovers")),
)
"""The KPIs of every town, in order; the uses of each kind of object follow."""


def _kpis(spec: TownSpec) -> tuple[Kpi, ...]:
    kinds = (kind for kind in KINDS if kind in spec.objects)
    return (*_KPIS, *(Kpi(f"uses_{kind}", _PER_DAY, Direction.NONE, _TIME, _uses(kind)) for kind in kinds))


def metrics(spec: TownSpec) -> tuple[MetricSpec, ...]:
    """Return the KPIs of a town."""
    return tuple(
        MetricSpec(
            name=kpi.name,
            unit=kpi.unit,
            direction=kpi.direction,
            exposure=kpi.exposure,
            low=kpi.low,
            high=kpi.high,
            is_count=kpi.is_count,
        )
        for kpi in _kpis(spec)
    )


def tally(
    spec: TownSpec, clocks: NDArray[Any], ledgers: NDArray[Any], agents: NDArray[Any], objects: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums and exposures [M, W] of the running episodes, in the order of `metrics`."""
    counts, kpis = Counts(spec, clocks, ledgers, agents, objects), _kpis(spec)
    sums = np.stack([kpi.total(counts) for kpi in kpis]).astype(np.float64)
    exposures = np.stack([_EXPOSURES[kpi.exposure](counts) for kpi in kpis]).astype(np.float64)
    return sums, exposures
