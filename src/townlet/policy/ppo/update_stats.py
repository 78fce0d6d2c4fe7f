"""What an update measured, minibatch by minibatch and as one line per iteration."""

from typing import Any, NamedTuple, cast

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = ["MinibatchStatistics", "UpdateStatistics", "correlation", "summary"]

_ZERO = 1.0e-8
"""Spread of advantages that counts as none."""


@frozen(kw_only=True)
class UpdateStatistics:
    """Means over the minibatches of one iteration."""

    policy_loss: float = 0.0
    """Clipped surrogate."""
    value_loss: float = 0.0
    """In units of the value normaliser."""
    entropy: float = 0.0
    """Of the policy."""
    approx_kl: float = 0.0
    """Of the policy that played and the updated one."""
    clip_fraction: float = 0.0
    """Share of clipped ratios."""
    grad_norm: float = 0.0
    """Before clipping."""
    anchor_kl: float = 0.0
    """KL(parent ‖ policy)."""
    explained_variance: float = 0.0
    """Of the returns, by the values the rollout was judged with."""
    total_loss: float = 0.0
    """What was minimised."""
    clip_fraction_max: float = 0.0
    """Largest over the minibatches."""
    clip_triggered: int = 0
    """Minibatches with a clipped ratio."""
    grad_norm_max: float = 0.0
    """Largest over the minibatches."""
    approx_kl_max: float = 0.0
    """Largest over the minibatches."""
    entropy_std: float = 0.0
    """Over the minibatches."""
    advantage_mean: float = 0.0
    """Before normalisation."""
    advantage_std: float = 0.0
    """Before normalisation."""
    advantage_min_std: float = 0.0
    """Least over the minibatches."""
    advantage_zero_std: int = 0
    """Minibatches whose advantages do not differ."""
    reward_advantage_corr: float = 0.0
    """Of reward and advantage; 0 where one of them does not vary."""
    updates: int = 0
    """Minibatches learned from."""
    samples: int = 0
    """Decisions of living agents."""
    learning_rate: float = 0.0
    """The actor's."""
    finite: bool = True
    """False where a loss or gradient was not finite; the weights are those before that minibatch."""

    def row(self) -> list[float]:
        """Return the numbers in the order of the fields."""
        return [float(value) for value in attrs.astuple(self)]

    @classmethod
    def from_row(cls, numbers: list[float]) -> "UpdateStatistics":
        """Return the statistics of such a row."""
        kinds = {field.name: cast("type", field.type) for field in attrs.fields(cls)}
        return cls(**{name: kind(number) for (name, kind), number in zip(kinds.items(), numbers, strict=True)})


class MinibatchStatistics(NamedTuple):
    """What one update measured."""

    policy_loss: float
    value_loss: float
    entropy: float
    approx_kl: float
    clip_fraction: float
    grad_norm: float
    anchor_kl: float
    total_loss: float
    advantage_std: float


def summary(history: list[MinibatchStatistics], whole: UpdateStatistics) -> UpdateStatistics:
    """Return the minibatches' means and extremes beside what was measured on the `whole` rollout."""
    if not history:
        return whole
    columns = {name: [row[index] for row in history] for index, name in enumerate(MinibatchStatistics._fields)}
    means = {name: float(np.mean(values)) for name, values in columns.items() if name != "advantage_std"}
    return attrs.evolve(
        whole,
        **cast("Any", means),
        clip_fraction_max=max(columns["clip_fraction"]),
        clip_triggered=sum(share > 0 for share in columns["clip_fraction"]),
        grad_norm_max=max(columns["grad_norm"]),
        approx_kl_max=max(columns["approx_kl"]),
        entropy_std=float(np.std(columns["entropy"])),
        advantage_min_std=min(columns["advantage_std"]),
        advantage_zero_std=sum(spread < _ZERO for spread in columns["advantage_std"]),
        updates=len(history),
    )


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return Pearson's correlation; 0 where one of the two does not vary."""
    a, b = one.astype(np.float64) - one.mean(dtype=np.float64), other.astype(np.float64) - other.mean(dtype=np.float64)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
