"""The cliff watch: a cheap paired evaluation against the parent while ppo trains."""

from attrs import define, field, frozen

from townlet.dto.codec import Record
from townlet.dto.schedule import EvidenceSpec
from townlet.dto.strategies import PPOSpec
from townlet.estimate import bounds
from townlet.policy.evaluation.episodes import Episodes, play
from townlet.policy.model.weights import Weights
from townlet.policy.training.contexts import TrainingContext
from townlet.rng import derive

__all__ = ["CliffCheck", "CliffWatch", "WatchFacts"]


@frozen(kw_only=True)
class WatchFacts(Record):
    """What a watch knows between two looks, but for the best weights."""

    agent_steps: int
    """Agent-steps played for watching."""
    parent_values: tuple[float | None, ...]
    """The parent's objective, episode by episode; empty before the first look."""
    best: tuple[float, float] | None
    """Mean and difference of the best sighting; none before the first look."""


@define(kw_only=True)
class CliffCheck:
    """One look."""

    weights: Weights
    """Who played."""
    mean: float
    """Mean of the objective over the episodes."""
    difference: float
    """Mean paired difference to the parent."""
    cliff: bool
    """Whether the whole interval of the differences lies below zero."""


@define(kw_only=True)
class CliffWatch:
    """Compares the weights in training with the parent on fixed episodes and remembers the best."""

    context: TrainingContext
    """Whose environments are used."""
    evidence: EvidenceSpec
    """How many episodes, how long, how sure."""
    seed: int
    """Keys the episodes, the same at every look; fresh ones judge later."""
    parent: Weights
    """What the visit started from."""
    best: CliffCheck | None = None
    """Best by mean so far, the parent included."""
    agent_steps: int = 0
    """Agent-steps played for watching."""
    _parent_values: tuple[float | None, ...] = field(default=(), init=False)

    @classmethod
    def for_visit(cls, context: TrainingContext, spec: PPOSpec, parent: Weights) -> "CliffWatch | None":
        """Return the cliff watch that the options of a visit ask for; None where they ask for none."""
        if spec.watch is None:
            return None
        evidence = context.schedule.evidence[spec.watch.evidence]
        seed = derive(context.visit.seed, "watch", spec.watch.evidence)
        return cls(context=context, evidence=evidence, seed=seed, parent=parent)

    def facts(self) -> WatchFacts:
        """Return what `resume` needs beside the best weights."""
        best = None if self.best is None else (self.best.mean, self.best.difference)
        return WatchFacts(agent_steps=self.agent_steps, parent_values=self._parent_values, best=best)

    def resume(self, facts: WatchFacts, best: Weights) -> None:
        """Go on from what `facts` returned and the best weights then."""
        self.agent_steps, self._parent_values = facts.agent_steps, facts.parent_values
        if facts.best is not None:
            self.best = CliffCheck(weights=best, mean=facts.best[0], difference=facts.best[1], cliff=False)

    def look(self, weights: Weights) -> CliffCheck:
        """Play `weights` and tell whether they fell off a cliff."""
        if not self._parent_values:
            self._parent_values = self._values(self.parent)
            known = [value for value in self._parent_values if value is not None]
            self.best = CliffCheck(
                weights=self.parent, mean=sum(known) / max(len(known), 1), difference=0.0, cliff=False
            )
        pairs = [
            (mine, theirs)
            for mine, theirs in zip(self._values(weights), self._parent_values, strict=True)
            if mine is not None and theirs is not None
        ]
        differences = [mine - theirs for mine, theirs in pairs]
        count = max(len(pairs), 1)
        _, high = bounds(differences, 1.0 - self.evidence.confidence)
        sighting = CliffCheck(
            weights=weights,
            mean=sum(mine for mine, _ in pairs) / count,
            difference=sum(differences) / count,
            cliff=high < 0,
        )
        if self.best is None or sighting.mean > self.best.mean:
            self.best = sighting
        return sighting

    def _values(self, weights: Weights) -> tuple[float | None, ...]:
        played: Episodes = play(
            self.context.environments,
            self.context.schedule.environment.scenario,
            weights.policy("greedy"),
            seed=self.seed,
            days=self.evidence.days,
            first=0,
            count=self.evidence.episodes[-1],
        )
        self.agent_steps += played.agent_steps
        return played.ratios(0)
