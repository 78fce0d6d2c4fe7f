"""What can be measured, and one measured number with everything it was measured on."""

from typing import ClassVar

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.fields import Direction

__all__ = ["Measurement", "MetricSpec"]


@frozen(kw_only=True)
class MetricSpec(Record):
    """A KPI that an environment declares."""

    name: str
    """Identifier used in schedules, such as ``queue_intensity``."""
    unit: str
    """Unit of the ratio, such as ``1/agent-day``."""
    direction: Direction
    """Which way the metric improves."""
    exposure: str
    """What the sum is divided by, such as ``agent-days``."""
    low: float | None = None
    """Least value it can have; `check` refuses limits that no value can reach. None where there is no such value."""
    high: float | None = None
    """Largest value it can have; 1 for a share. None where there is no such value."""


@frozen(kw_only=True)
class Measurement(Record):
    """One metric of one policy, with the weights, scenario, seeds and exposure it was taken on."""

    may_be_nan: ClassVar[bool] = True

    metric: str
    """Name of the `MetricSpec`."""
    value: float | None
    """Mean over episodes of each episode's ratio; none where no episode had exposure."""
    unit: str
    """Unit of `value`."""
    policy: str
    """Weights digest, or ``teacher:NAME`` for a scripted policy."""
    scenario: str
    """Scenario the episodes were played in."""
    actions: str
    """``greedy`` or ``stochastic``."""
    seed: int
    """Seed that keys the episodes; world w of the batch is episode w."""
    episodes: int
    """Episodes with exposure."""
    exposure: float
    """Total exposure over the episodes."""
