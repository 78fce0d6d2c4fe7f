"""What can be measured, and one measured number with everything it was measured on."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.constraints import Text
from townlet.dto.fields import Direction

__all__ = ["InfoMetricSpec", "InvalidValues", "Measurement", "MetricSpec", "named_episodes"]

_NAMED = 5
"""Episodes that a sentence names; the record holds all."""


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
    is_count: bool = False
    """True where the sum is a number of events, such as deaths; a guard may then say ``test: count``."""


@frozen(kw_only=True)
class InfoMetricSpec(Record):
    """A KPI that a schedule reads from the infos of an environment."""

    info: str = attrs.field(validator=Text(pattern=r"[\s\S]{1,200}", words="a key of 1 to 200 characters"))
    """Key of the infos; a dot leads into a mapping, as in ``episode.cost``."""
    reduce: Literal["last", "sum", "mean", "max", "min", "any", "all"] = "last"
    """How the values of an episode become one number; an episode without a value tells nothing about the metric."""
    unit: str = "1/episode"
    """Unit of that number."""
    direction: Direction
    """Which way the metric improves."""
    is_count: bool = False
    """True where it is a number of events; a guard may then say ``test: count``."""


@frozen(kw_only=True)
class Measurement(Record):
    """One metric of one policy, with the weights, scenario, seeds and exposure it was taken on."""

    may_be_nan: ClassVar[bool] = True

    metric: str
    """Name of the `MetricSpec`."""
    value: float | None
    """Mean over episodes of each episode's ratio; none where no episode had exposure, or one had an invalid value."""
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
    """Total exposure over these episodes."""


def named_episodes(episodes: Sequence[int]) -> str:
    """Return the first few episodes by number, and how many more there are."""
    rest = f" and {len(episodes) - _NAMED} more" if len(episodes) > _NAMED else ""
    return f"{', '.join(map(str, episodes[:_NAMED]))}{rest}"


@frozen(kw_only=True)
class InvalidValues(Record):
    """Episodes in which a KPI is no valid number: its sum or exposure is not finite, or the exposure is negative."""

    metric: str
    """Name of the `MetricSpec`."""
    policy: str
    """Weights digest, or ``teacher:NAME`` for a scripted policy."""
    scenario: str
    """Scenario the episodes were played in."""
    actions: str
    """``greedy`` or ``stochastic``."""
    seed: int
    """Seed that keys the episodes."""
    episodes: tuple[int, ...]
    """The episodes, counted from 0."""
    played: int
    """Episodes that were played."""

    @property
    def sentence(self) -> str:
        """Return where the environment gave no valid number."""
        policy = self.policy if ":" in self.policy else self.policy[:12]
        return (
            f"{self.metric} of {policy} ({self.actions}) in {self.scenario} is no valid number in "
            f"{len(self.episodes)} of {self.played} episodes with seed {self.seed} ({named_episodes(self.episodes)})"
        )
