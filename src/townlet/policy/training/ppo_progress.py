"""Progress of a visit to ppo, and its checkpoint."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record
from townlet.dto.evolution import evolved, stored_as
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.ppo.update_stats import UpdateStatistics
from townlet.policy.training.checkpoint import Checkpoint
from townlet.policy.training.cliff_watch import CliffWatch, WatchState
from townlet.policy.training.ppo_data import PPODataSource

if TYPE_CHECKING:
    from townlet.policy.ppo.learner import Learner

__all__ = ["Progress", "block_rows_of", "parent_of"]


@frozen(kw_only=True)
class _Metadata(Record):
    """Metadata of a checkpoint."""

    removed_fields: ClassVar[frozenset[str]] = frozenset({"counted"})
    agent_steps: int
    """Agent-steps learned from so far."""
    seconds: float
    """Duration of rollouts and updates so far."""
    next_check: int = stored_as("next_look")
    """Agent-steps at which the cliff watch checks next."""
    played: int
    """Agent-steps of own rollouts so far."""
    watch: WatchState | None
    """State of the cliff watch; None without one."""
    block_rows: int = evolved(since=2, default=0)
    """Rows over which a product of the gradient is summed at once; 0 where that was not recorded."""


@define(kw_only=True)
class Progress:
    """Weights and statistics of a visit after some iterations."""

    weights: Weights
    """Weights of the learner, or those before the update that diverged."""
    next_check: int = 0
    """Agent-steps at which the cliff watch checks next."""
    agent_steps: int = 0
    """Agent-steps learned from so far."""
    seconds: float = 0.0
    """Duration of rollouts and updates so far."""
    history: list[UpdateStatistics] = field(factory=list)
    """Statistics of each iteration."""
    rewards: list[float] = field(factory=list)
    """Mean reward of the policy's own decisions in each iteration."""
    nonfinite: int = 0
    """Updates that were refused; the first ends the visit."""
    cliff: bool = False
    """True where the cliff watch found a cliff, which ends the visit."""

    @property
    def iterations(self) -> int:
        """Number of iterations so far."""
        return len(self.history)

    def to_checkpoint(self, learner: "Learner", data: PPODataSource, watch: CliffWatch | None) -> Checkpoint:
        """Return the checkpoint between two iterations: parent, weights, optimizer, rollout, watch, statistics."""
        metadata = _Metadata(
            agent_steps=self.agent_steps,
            seconds=self.seconds,
            next_check=self.next_check,
            played=data.played,
            watch=None if watch is None else watch.state(),
            block_rows=learner.block_rows,
        )
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
            strategy="ppo", step=self.iterations, points=self.iterations, facts=metadata.model_dump(), arrays=arrays
        )

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, learner: "Learner", data: PPODataSource, watch: CliffWatch | None
    ) -> "Progress":
        """Return the progress of a checkpoint, and bring learner, data and watch to its state."""
        metadata = checkpoint.metadata_as(_Metadata)
        learner.resume(_weights(checkpoint, "weights"), checkpoint.part("adam"))
        data.played = metadata.played
        if watch is not None and metadata.watch is not None:
            watch.resume(metadata.watch, _weights(checkpoint, "best") if "best" in checkpoint.arrays else watch.parent)
        return cls(
            weights=learner.weights(),
            next_check=metadata.next_check,
            agent_steps=metadata.agent_steps,
            seconds=metadata.seconds,
            history=[UpdateStatistics.from_row(row) for row in checkpoint.arrays["history"].tolist()],
            rewards=checkpoint.arrays["rewards"].tolist(),
        )


def parent_of(checkpoint: Checkpoint) -> Weights:
    """Return the weights a visit started from."""
    return _weights(checkpoint, "parent")


def block_rows_of(checkpoint: Checkpoint) -> int:
    """Return the rows over which a product of the gradient was summed; 0 where that was not recorded."""
    return checkpoint.metadata_as(_Metadata).block_rows


def _bytes(weights: Weights) -> NDArray[Any]:
    return np.frombuffer(weights.to_bytes(), np.uint8)


def _weights(checkpoint: Checkpoint, name: str) -> Weights:
    return read_weights(checkpoint.file(name), f"{name} of the checkpoint after iteration {checkpoint.step}")
