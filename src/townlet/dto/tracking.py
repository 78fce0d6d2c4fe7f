"""What trackers are given: a run, its numbers, and each move of an alias."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from attrs import frozen

from townlet.dto.codec import Checked

__all__ = ["AliasMove", "TrackedPoint", "TrackedRun"]


@frozen(kw_only=True)
class TrackedRun(Checked):
    """The run whose numbers follow."""

    id: str
    """The run's id."""
    name: str
    """Name of the schedule."""
    seed: int
    """Seed of the run."""
    rehearsal: bool = False
    """Whether the run only rehearses: its numbers then mean nothing."""
    continued: bool = False
    """Whether an earlier process began it: points may come again from its last checkpoint on."""
    parameters: Mapping[str, str]
    """The schedule in force, by the path of each value: ``states.ppo.with.learning_rate``."""


@frozen(kw_only=True)
class TrackedPoint(Checked):
    """Numbers that were measured together."""

    may_be_nan: ClassVar[bool] = True

    step: int
    """x: agent-steps of all visits so far; epochs, for the numbers of a state that plays nothing while it learns."""
    at: float
    """When it was reported, in seconds since 1970."""
    numbers: Mapping[str, float]
    """By the name under which users look for them: ``rollout/ep_rew_mean``."""
    returns: tuple[float, ...] = ()
    """Return of each whole training episode that ended since the last point, not averaged."""


@frozen(kw_only=True)
class AliasMove(Checked):
    """An alias names another version of a policy."""

    policy: str
    """Name under which the policies are registered."""
    alias: str
    """The alias, such as `champion`."""
    version: int
    """Version that it names now."""
    weights: str
    """Digest of that version's weights."""
    file: Path
    """File that holds them."""
    reason: str = ""
    """Why it moved."""
