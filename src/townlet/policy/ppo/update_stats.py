"""Statistics of an update: for each minibatch, and summarised for each iteration."""

from typing import Any, NamedTuple, cast

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = ["MinibatchStatistics", "UpdateStatistics", "correlation", "summarise"]

_ZERO_STD = 1.0e-8
"""Standard deviation of advantages below which they count as equal."""


@frozen(kw_only=True)
class UpdateStatistics:
    """Statistics of one iteration; means over its minibatches where nothing else is said."""

    policy_loss: float = 0.0
    """Clipped surrogate."""
    value_loss: float = 0.0
    """Value loss, in units of the value normaliser."""
    entropy: float = 0.0
    """Entropy of the policy, nat."""
    approx_kl: float = 0.0
    """Estimate of KL(old ‖ new), nat."""
    clip_fraction: float = 0.0
    """Share of clipped ratios."""
    grad_norm: float = 0.0
    """Global norm of the gradient before clipping."""
    anchor_kl: float = 0.0
    """KL(parent ‖ policy), nat."""
    explained_variance: float = 0.0
    """1 − Var(Â) ÷ Var(returns), with the values that the advantages were computed from."""
    total_loss: float = 0.0
    """The loss that is minimised."""
    clip_fraction_max: float = 0.0
    """Largest over the minibatches."""
    clip_triggered: int = 0
    """Number of minibatches with a clipped ratio."""
    grad_norm_max: float = 0.0
    """Largest over the minibatches."""
    approx_kl_max: float = 0.0
    """Largest over the minibatches."""
    entropy_std: float = 0.0
    """Standard deviation of the entropy over the minibatches."""
    advantage_mean: float = 0.0
    """Mean advantage before normalisation."""
    advantage_std: float = 0.0
    """Standard deviation of the advantages before normalisation."""
    advantage_min_std: float = 0.0
    """Smallest standard deviation of the advantages over the minibatches."""
    advantage_zero_std: int = 0
    """Number of minibatches whose advantages are all equal."""
    reward_advantage_corr: float = 0.0
    """Correlation of reward and advantage; 0 where one of them does not vary."""
    updates: int = 0
    """Number of optimizer steps."""
    samples: int = 0
    """Number of decisions by living agents."""
    learning_rate: float = 0.0
    """Learning rate of the actor."""
    finite: bool = True
    """False if a loss or gradient was not finite; the weights are those before that minibatch."""
    empty_masks: int = 0
    """Number of decisions by living agents whose mask allowed no option of some head; nothing is learned from them."""

    def row(self) -> list[float]:
        """Return the values in the order of the fields."""
        return [float(value) for value in attrs.astuple(self)]

    @classmethod
    def from_row(cls, numbers: list[float]) -> "UpdateStatistics":
        """Return the statistics of a row that `row` returned; rows of before `empty_masks` was counted lack it."""
        kinds = {field.name: cast("type", field.type) for field in attrs.fields(cls)}
        row = [*numbers, 0.0] if len(numbers) == len(kinds) - 1 else numbers
        return cls(**{name: kind(number) for (name, kind), number in zip(kinds.items(), row, strict=True)})


class MinibatchStatistics(NamedTuple):
    """Statistics of one optimizer step; each field as in `UpdateStatistics`."""

    policy_loss: float
    value_loss: float
    entropy: float
    approx_kl: float
    clip_fraction: float
    grad_norm: float
    anchor_kl: float
    total_loss: float
    advantage_std: float


def summarise(history: list[MinibatchStatistics], rollout_stats: UpdateStatistics) -> UpdateStatistics:
    """Return the statistics of an iteration: those of its rollout, and means and extremes over its minibatches."""
    if not history:
        return rollout_stats
    columns = {name: [row[index] for row in history] for index, name in enumerate(MinibatchStatistics._fields)}
    means = {name: float(np.mean(values)) for name, values in columns.items() if name != "advantage_std"}
    return attrs.evolve(
        rollout_stats,
        **cast("Any", means),
        clip_fraction_max=max(columns["clip_fraction"]),
        clip_triggered=sum(share > 0 for share in columns["clip_fraction"]),
        grad_norm_max=max(columns["grad_norm"]),
        approx_kl_max=max(columns["approx_kl"]),
        entropy_std=float(np.std(columns["entropy"])),
        advantage_min_std=min(columns["advantage_std"]),
        advantage_zero_std=sum(std < _ZERO_STD for std in columns["advantage_std"]),
        updates=len(history),
    )


def correlation(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """Return Pearson's correlation of x [B] and y [B]; 0 where one of the two does not vary."""
    dx, dy = x.astype(np.float64) - x.mean(dtype=np.float64), y.astype(np.float64) - y.mean(dtype=np.float64)
    norm = float(np.sqrt((dx @ dx) * (dy @ dy)))
    return float(dx @ dy) / norm if norm > 0 else 0.0
