"""How far a visit to ppo is, and the checkpoint it goes on from."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.ppo.update_stats import UpdateStatistics
from townlet.policy.training.checkpoint import Checkpoint
from townlet.policy.training.cliff_watch import CliffWatch, WatchFacts
from townlet.policy.training.ppo_data import PPODataSource

if TYPE_CHECKING:
    from townlet.policy.ppo.learner import Learner

__all__ = ["Progress", "parent_of"]


@frozen(kw_only=True)
class _Facts(Record):
    """What a checkpoint notes beside its arrays."""

    removed_fields: ClassVar[frozenset[str]] = frozenset({"counted"})
    agent_steps: int
    """Learned from so far."""
    seconds: float
    """Of rollouts and updates so far."""
    next_look: int
    """Agent-steps at which the cliff watch looks next."""
    played: int
    """Agent-steps of own rollouts so far."""
    watch: WatchFacts | None
    """What the cliff watch knows; none without one."""


@define(kw_only=True)
class Progress:
    """What the iterations of a visit have shown so far."""

    weights: Weights
    """The learner's, or those before the update that diverged."""
    next_look: int = 0
    """Agent-steps at which the cliff watch looks next."""
    agent_steps: int = 0
    """Learned from so far."""
    seconds: float = 0.0
    """Of rollouts and updates so far."""
    history: list[UpdateStatistics] = field(factory=list)
    """Of each iteration."""
    rewards: list[float] = field(factory=list)
    """Mean reward of the policy's own decisions in each iteration."""
    nonfinite: int = 0
    """Updates that were refused; the first ends the visit."""
    cliff: bool = False
    """Whether the watch saw a cliff, which ends the visit."""

    @property
    def iterations(self) -> int:
        """Made so far."""
        return len(self.history)

    def kept(self, learner: "Learner", data: PPODataSource, watch: CliffWatch | None) -> Checkpoint:
        """Return the visit between two iterations: parent, weights, optimizer, play, watch, statistics."""
        facts = _Facts(
            agent_steps=self.agent_steps, seconds=self.seconds, next_look=self.next_look, played=data.played,
            watch=None if watch is None else watch.facts(),
        )  # fmt: skip
        arrays = {
            "weights": _bytes(self.weights),
            "parent": _bytes(learner.parent),
            "history": np.array([statistics.row() for statistics in self.history], np.float64),
            "rewards": np.array(self.rewards, np.float64),
        }
        if watch is not None and watch.best is not None and watch.best.weights is not watch.parent:
            arrays["best"] = _bytes(watch.best.weights)
        for name, part in (("adam", learner.adam_state()), ("rollout", data.state())):
            arrays |= {f"{name}.{rest}": values for rest, values in part.items()}
        return Checkpoint(
            strategy="ppo", step=self.iterations, points=self.iterations, facts=facts.model_dump(), arrays=arrays
        )

    @classmethod
    def restored(
        cls, found: Checkpoint, learner: "Learner", data: PPODataSource, watch: CliffWatch | None
    ) -> "Progress":
        """Return the progress that was kept; learner, data and watch stand where they stood."""
        facts = found.about(_Facts)
        learner.resume(_weights(found, "weights"), found.part("adam"))
        data.played = facts.played
        if watch is not None and facts.watch is not None:
            watch.resume(facts.watch, _weights(found, "best") if "best" in found.arrays else watch.parent)
        return cls(
            weights=learner.weights(), next_look=facts.next_look, agent_steps=facts.agent_steps, seconds=facts.seconds,
            history=[UpdateStatistics.from_row(row) for row in found.arrays["history"].tolist()],
            rewards=found.arrays["rewards"].tolist(),
        )  # fmt: skip


def parent_of(found: Checkpoint) -> Weights:
    """Return the weights a visit started from."""
    return _weights(found, "parent")


def _bytes(weights: Weights) -> NDArray[Any]:
    return np.frombuffer(weights.to_bytes(), np.uint8)


def _weights(found: Checkpoint, name: str) -> Weights:
    return read_weights(found.file(name), f"{name} of the checkpoint after iteration {found.step}")
