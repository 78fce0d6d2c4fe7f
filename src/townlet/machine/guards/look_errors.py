"""The error that each look may make, so that a whole run keeps the confidence that its evidence declares."""

import math

from attrs import frozen

from townlet.confidence.sequential import error_per_visit, stagewise_p_value
from townlet.confidence.spending import nominal_levels, spent_at_looks
from townlet.dto.schedule import EvidenceSpec, Plan
from townlet.estimate import error_per_look

__all__ = ["LookErrors", "evaluate_visits", "look_errors"]

_LEAST = 1e-300
"""Error of a look so early that what it may spend is no floating-point number; its bounds are far, and finite."""

_LEAST_EXACT = 1e-30
"""The same for exact tests: beyond it the inverse of the binomial's tail has no digits left."""


@frozen(kw_only=True)
class LookErrors:
    """How the error of one visit is divided over its declared looks."""

    total: float
    """Error of the visit."""
    each: tuple[float, ...]
    """Nominal one-sided error of each look's test of a mean."""
    exact: tuple[float, ...]
    """Error of each look's exact test; together they are `total`."""
    looks: tuple[int, ...]
    """Episodes at each look."""

    def p_value(self, nominal: float, look: int) -> float:
        """Return the stage-wise p-value of a test that ended at a look, counted from 1, with a nominal p-value."""
        return stagewise_p_value(nominal, look, self.looks, self.each)

    def exact_p_value(self, nominal: float, look: int) -> float:
        """Return an upper bound of the stage-wise p-value of an exact test: what was spent before, and its own."""
        return min(1.0, math.fsum((*self.exact[: look - 1], nominal)))


def evaluate_visits(plan: Plan) -> int:
    """Return the most evaluate visits the counters allow in a run, at least 1: what the error is divided over."""
    return max(1, sum(plan.most_visits[state] for state in plan.gathers))


def look_errors(evidence: EvidenceSpec, plan: Plan, visit: int, rule: int) -> LookErrors:
    """Return how the error of a visit, counted from 1, is divided over the looks of its evidence.

    The error 1 − confidence is divided over the visits, equally or by the shares that the evidence declares, and within
    a visit spent over the looks. Rules 1 and 2 gave each look of each visit the same.
    """
    looks, visits = evidence.episodes, evaluate_visits(plan)
    if rule < 3:
        same = error_per_look(evidence.confidence, len(looks), visits)
        each = (same,) * len(looks)
        return LookErrors(total=same * len(looks), each=each, exact=each, looks=looks)
    shares = evidence.visits or (1 / visits,) * visits
    totals = error_per_visit(1 - evidence.confidence, shares, len(shares))
    total = totals[min(visit, len(totals)) - 1]  # a guard on a visit beyond the last one is UNKNOWN by itself
    each = tuple(max(level, _LEAST) for level in nominal_levels(total, looks, evidence.spending))
    exact = tuple(max(level, _LEAST_EXACT) for level in spent_at_looks(total, looks, evidence.spending))
    return LookErrors(total=total, each=each, exact=exact, looks=looks)
