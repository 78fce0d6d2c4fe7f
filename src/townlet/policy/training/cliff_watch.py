"""The cliff watch: a cheap paired evaluation against the parent while ppo trains."""

from math import isnan, nan

from attrs import define, field, frozen

from townlet.dto.codec import Record
from townlet.dto.schedule import EvidenceSpec
from townlet.dto.strategies import PPOSpec
from townlet.estimate import paired_bounds, worst_case_pairs
from townlet.policy.evaluation.episodes import Episodes, play
from townlet.policy.model.weights import Weights
from townlet.policy.training.contexts import TrainingContext
from townlet.rng import derive

__all__ = ["CliffCheck", "CliffWatch", "WatchState"]


@frozen(kw_only=True)
class WatchState(Record):
    """State of a cliff watch between two checks, without the best weights."""

    agent_steps: int
    """Agent-steps played by all checks so far."""
    parent_values: tuple[float | None, ...]
    """The parent's objective, episode by episode; empty before the first check."""
    best: tuple[float, float] | None
    """Mean and difference of the best check; None before the first check."""


@define(kw_only=True)
class CliffCheck:
    """Result of one check."""

    weights: Weights
    """Weights that were checked."""
    mean: float
    """Mean of the objective over the episodes."""
    difference: float
    """Mean paired difference to the parent."""
    pairs: int = 0
    """Episodes that were compared; 0 for the parent itself."""
    low: float = nan
    """Lower one-sided bound of the mean difference at the confidence of the evidence; NaN for fewer than two pairs."""
    high: float = nan
    """Upper one-sided bound at the same confidence; NaN for fewer than two pairs."""

    @property
    def cliff(self) -> bool:
        """True where the upper bound lies below zero: the weights are worse than the parent."""
        return self.high < 0

    @property
    def numbers(self) -> dict[str, float]:
        """What the metric stream has of a check; bounds only where there are any."""
        bounds = {} if isnan(self.high) else {"watched_low": self.low, "watched_high": self.high}
        means = {"watched": self.mean, "watched_difference": self.difference, "watched_pairs": float(self.pairs)}
        return means | bounds


@define(kw_only=True)
class CliffWatch:
    """Compares the weights in training with the parent on fixed episodes and keeps the best."""

    context: TrainingContext
    """Context of the visit, which makes the environments."""
    evidence: EvidenceSpec
    """Number and length of the episodes, and the confidence."""
    seed: int
    """Seed of the episodes, the same at every check; evaluate uses others."""
    parent: Weights
    """Weights the visit started from."""
    best: CliffCheck | None = None
    """Check with the best mean so far, the parent included."""
    agent_steps: int = 0
    """Agent-steps played by all checks so far."""
    _parent_values: tuple[float | None, ...] = field(default=(), init=False)

    @classmethod
    def for_visit(cls, context: TrainingContext, spec: PPOSpec, parent: Weights) -> "CliffWatch | None":
        """Return the cliff watch that the options of a visit ask for; None where they ask for none."""
        if spec.watch is None:
            return None
        evidence = context.schedule.evidence[spec.watch.evidence]
        seed = derive(context.visit.seed, "watch", spec.watch.evidence)
        return cls(context=context, evidence=evidence, seed=seed, parent=parent)

    def state(self) -> WatchState:
        """Return the state that `resume` needs beside the best weights."""
        best = None if self.best is None else (self.best.mean, self.best.difference)
        return WatchState(agent_steps=self.agent_steps, parent_values=self._parent_values, best=best)

    def resume(self, state: WatchState, best: Weights) -> None:
        """Continue from what `state` returned and the best weights of that time."""
        self.agent_steps, self._parent_values = state.agent_steps, state.parent_values
        if state.best is not None:
            self.best = CliffCheck(weights=best, mean=state.best[0], difference=state.best[1])

    def check(self, weights: Weights) -> CliffCheck:
        """Return the paired comparison of `weights` with the parent.

        An episode in which only one of them has exposure, or a valid number, counts against `weights`. Fewer than two
        pairs show no cliff.
        """
        if not self._parent_values:
            self._parent_values = self._values(self.parent)
            values = [value for value in self._parent_values if value is not None]
            self.best = CliffCheck(weights=self.parent, mean=sum(values) / max(len(values), 1), difference=0.0)
        pairs = worst_case_pairs(self._values(weights), self._parent_values, 1.0)
        values, parent_values = [value for value, _ in pairs], [parent_value for _, parent_value in pairs]
        alpha = 1.0 - self.evidence.confidence
        low, high = paired_bounds(values, parent_values, alpha) if len(pairs) >= 2 else (nan, nan)
        count = max(len(pairs), 1)
        check = CliffCheck(
            weights=weights,
            mean=sum(values) / count,
            difference=sum(value - parent_value for value, parent_value in pairs) / count,
            pairs=len(pairs),
            low=low,
            high=high,
        )
        if self.best is None or check.mean > self.best.mean:
            self.best = check
        return check

    def _values(self, weights: Weights) -> tuple[float | None, ...]:
        episodes: Episodes = play(
            self.context.environments,
            self.context.schedule.environment.scenario,
            weights.policy("greedy"),
            seed=self.seed,
            max_steps=self.context.description.episode_length(self.evidence.days, self.evidence.max_steps),
            first=0,
            count=self.evidence.episodes[-1],
        )
        self.agent_steps += episodes.agent_steps
        return episodes.ratios(self.context.description.objective_index)
