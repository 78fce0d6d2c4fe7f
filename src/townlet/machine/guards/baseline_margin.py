"""The margin of a comparison with a baseline, in the better direction of its metric.

Everything is *oriented* before it is compared: multiplied by +1 where higher is better and by −1 where lower is, so
that one rule serves every metric. Reports carry the numbers as they were measured.
"""

from typing import assert_never

from attrs import frozen

from townlet.dto.fields import Direction
from townlet.dto.guards import ComparisonSpec, GuardReport, MarginSpec, Relation, Verdict
from townlet.errors import BadInputError
from townlet.estimate import ROUNDING

__all__ = ["RULE", "BaselineMargin", "distance_from", "orientation"]

RULE = 4
"""Version of the rule that guards on episodes are decided by; `docs/reference/evidence.md` lists what each changed.
Verdicts of earlier versions are derived again by theirs."""

_RELATION_PHRASE = {
    Relation.NOT_WORSE_THAN: "not worse than",
    Relation.BETTER_BY: "better than",
    Relation.WORSE_BY: "worse than",
}


def orientation(direction: Direction, metric: str) -> float:
    """Return +1 where higher is better and −1 where lower is; BadInputError where neither."""
    match direction:
        case Direction.HIGHER:
            return 1.0
        case Direction.LOWER:
            return -1.0
        case _:
            raise BadInputError(f"{metric} has no better direction; nothing can be better or worse in it")


def distance_from(margin: MarginSpec, baseline: float, *, largest: bool) -> tuple[float, str]:
    """Return a margin in the metric's unit at this baseline, and the tolerance it comes from.

    A relative margin is r·max(|b|, floor); where an absolute one stands beside it, the larger or the smaller of both.
    """
    distances = []
    if margin.relative is not None and margin.floor is not None:
        kind = "relative" if abs(baseline) >= margin.floor else "floor"
        distances.append((margin.relative * max(abs(baseline), margin.floor), kind))
    if margin.absolute is not None:
        distances.append((margin.absolute, "absolute"))
    return max(distances) if largest else min(distances)


@frozen(kw_only=True)
class BaselineMargin:
    """A comparison's margin, in its metric's better direction."""

    name: str
    """Name of the guard."""
    guard: ComparisonSpec
    """The guard."""
    baseline_name: str
    """The baseline, as sentences name it."""
    direction: Direction
    """Which way the metric improves."""
    rule: int = RULE
    """Version of the rule that decides."""

    @property
    def sign(self) -> float:
        """The orientation, +1 or −1; BadInputError for a metric without a better direction."""
        return orientation(self.direction, self.guard.metric)

    def distance(self, baseline: float) -> tuple[float, str]:
        """Return the margin in the metric's unit at this baseline, and the tolerance it comes from.

        A relative margin is r·max(|b|, floor). Where an absolute one stands beside it the looser applies: for
        `not_worse_than` the larger, for `better_by` and `worse_by` the smaller.
        """
        return distance_from(self.guard.margin, baseline, largest=self.guard.relation == Relation.NOT_WORSE_THAN)

    def limit(self, distance: float) -> float:
        """Return the limit of the oriented difference: +distance for `better_by`, −distance for the others."""
        match self.guard.relation:
            case Relation.BETTER_BY:
                return distance
            case Relation.NOT_WORSE_THAN | Relation.WORSE_BY:
                return -distance
            case relation:
                assert_never(relation)

    def decide(self, low: float, high: float, limit: float) -> Verdict | None:
        """Return PASS or FAIL where the oriented interval [low, high] is on one side of the limit; else None."""
        match self.guard.relation:
            case Relation.NOT_WORSE_THAN:
                return Verdict.PASS if low >= limit else Verdict.FAIL if high < limit else None
            case Relation.BETTER_BY:
                return Verdict.PASS if low > limit else Verdict.FAIL if high <= limit else None
            case Relation.WORSE_BY:
                return Verdict.PASS if high < limit else Verdict.FAIL if low >= limit else None
            case relation:
                assert_never(relation)

    def phrase(self, verdict: Verdict) -> str:
        """Return how the metric relates to the baseline, such as ``is better than``."""
        relation = _RELATION_PHRASE[self.guard.relation]
        if verdict == Verdict.PASS:
            return f"is {relation}"
        if verdict == Verdict.UNDECIDED:
            return f"may or may not be {relation}"
        return "is worse than" if self.guard.relation == Relation.NOT_WORSE_THAN else f"is not {relation}"

    def compare(self, value: float, baseline: float) -> GuardReport:
        """Return the report on two plain numbers."""
        distance, tolerance = self.distance(baseline)
        difference, oriented_limit = value - baseline, self.limit(distance)
        oriented = self.sign * difference
        if self.rule > 1 and abs(oriented - oriented_limit) <= ROUNDING * max(abs(value), abs(baseline)):
            oriented = oriented_limit
        verdict = self.decide(oriented, oriented, oriented_limit) or Verdict.UNKNOWN
        limit = self.sign * oriented_limit
        return GuardReport(
            guard=self.name,
            verdict=verdict,
            metric=self.guard.metric,
            value=value,
            baseline=baseline,
            limit=limit,
            tolerance=tolerance,
            rule=self.rule,
            sentence=f"{self.guard.metric} {value:.4g} {self.phrase(verdict)} {self.baseline_name} {baseline:.4g}: "
            f"difference {difference:.4g}, limit {limit:.4g} ({tolerance})",
        )
