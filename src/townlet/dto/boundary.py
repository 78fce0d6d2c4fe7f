"""The records that cross the environment boundary: what is seen, what it was worth, what happened, what is recorded."""

from collections.abc import Mapping

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.array_fields import array
from townlet.dto.codec import Record

__all__ = [
    "ObservationBatchDTO",
    "RewardBreakdownDTO",
    "RolloutFrameDTO",
    "StepResult",
    "TelemetryEventDTO",
]


@frozen(kw_only=True)
class ObservationBatchDTO(Record):
    """What every agent of every world sees before it chooses."""

    observations: NDArray[np.float32] = array("W N F", np.float32)
    """Features, raw (not normalised). A view of the environment's buffer: copy what must outlive the next step."""
    action_mask: NDArray[np.bool_] = array("W N A", np.bool_)
    """Which actions are legal; an illegal one is a counted no-op."""
    alive: NDArray[np.bool_] = array("W N", np.bool_)
    """Which agent slots hold a living agent; the others are masked everywhere."""
    keys: NDArray[np.uint64] = array("W", np.uint64)
    """A fresh random key per world and decision: the only randomness a policy may use."""


@frozen(kw_only=True)
class RewardBreakdownDTO(Record):
    """The terms of the rewards of one decision; they add up to `StepResult.rewards`."""

    names: tuple[str, ...]
    """Name of each term, in the order of axis K."""
    terms: NDArray[np.float32] = array("K W N", np.float32)
    """Summed over the ticks of the decision."""


@frozen(kw_only=True)
class StepResult(Record):
    """What one decision led to, in PettingZoo's words."""

    observations: ObservationBatchDTO
    """What is seen afterwards; for a world that is over the final observation, until `reset` is asked for it."""
    rewards: NDArray[np.float32] = array("W N", np.float32)
    """Sum over the ticks of the decision; 0 for dead slots."""
    terminations: NDArray[np.bool_] = array("W N", np.bool_)
    """Agents whose life ended in this decision: no bootstrap through it, even where the slot lives again already."""
    truncations: NDArray[np.bool_] = array("W N", np.bool_)
    """Agents whose life was cut, by time or because they left: bootstrap from what they see. Not those that ended."""
    over: NDArray[np.bool_] = array("W", np.bool_)
    """Worlds whose episode has ended, because no agent goes on or by time: true until `reset` is asked for them."""


@frozen(kw_only=True)
class TelemetryEventDTO(Record):
    """One counted thing that happened in a world."""

    kind: str
    """Such as ``queue_conflict`` or ``faint``."""
    world: int
    """Index of the world in its batch."""
    tick: int
    """Tick of the episode."""
    agents: tuple[int, ...]
    """Agent slots involved."""
    size: float = 1.0
    """Size of the event, such as a conflict's intensity."""


@frozen(kw_only=True)
class RolloutFrameDTO(Record):
    """One recorded decision of one world: (observation, action) pairs are pre-action."""

    decision: int
    """Index of the decision in its episode."""
    observations: NDArray[np.float32] = array("N F", np.float32)
    """What each agent saw before it chose."""
    action_mask: NDArray[np.bool_] = array("N A", np.bool_)
    """Which actions were legal."""
    alive: NDArray[np.bool_] = array("N", np.bool_)
    """Which slots held a living agent."""
    actions: NDArray[np.int64] = array("N", np.int64)
    """What each agent chose."""
    rewards: NDArray[np.float32] = array("N", np.float32)
    """What it was worth."""
    terminations: NDArray[np.bool_] = array("N", np.bool_)
    """Whose life ended."""
    infos: Mapping[str, float]
    """Counts of this decision by event kind."""
