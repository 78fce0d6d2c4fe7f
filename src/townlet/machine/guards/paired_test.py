"""Comparisons with a baseline: a margin on two numbers, and the sequential paired t test on episodes.

Everything is *oriented* before it is compared: multiplied by +1 where higher is better and by −1 where lower is, so
that one rule serves every metric. Reports carry the numbers as they were measured. ``docs/reference/evidence.md`` shows
the formulas on one page.
"""

import math
from collections.abc import Sequence
from typing import assert_never

from attrs import evolve, frozen

from townlet.dto.fields import Direction
from townlet.dto.guards import ComparisonSpec, GuardReport, PairedComparisonSpec, Relation, Verdict
from townlet.errors import BadInputError
from townlet.estimate import MIN_PAIRS, ROUNDING, bounds, common_value, pair_sizes, undetected_rate, worst_case_pairs

__all__ = [
    "RULE",
    "BaselineMargin",
    "PairedComparison",
    "SequentialDecision",
    "mean_warning",
    "orientation",
    "sequential_paired_test",
]

RULE = 2
"""Version of the rule that comparisons are decided by. Rule 1 took differences of rounding for differences, and dropped
episodes that only one side had exposure in; its verdicts are still derived again by it."""

_NAMED = 5
"""Episodes that a sentence names; the report holds all."""
_DECISIVE = (Verdict.PASS, Verdict.FAIL)
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


def mean_warning(episodes: int) -> str:
    """Return the sentence that says which rare losses a comparison of this many episodes cannot see."""
    return (
        f"a mean cannot show rare catastrophes: what happens in fewer than 1 of {1 / undetected_rate(episodes):.0f} "
        f"episodes is absent from all {episodes} with a chance of 5% or more"
    )


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
        spec, distances = self.guard.margin, []
        if spec.relative is not None and spec.floor is not None:
            distances.append(
                (spec.relative * max(abs(baseline), spec.floor), "relative" if abs(baseline) >= spec.floor else "floor")
            )
        if spec.absolute is not None:
            distances.append((spec.absolute, "absolute"))
        match self.guard.relation:
            case Relation.NOT_WORSE_THAN:
                return max(distances)
            case Relation.BETTER_BY | Relation.WORSE_BY:
                return min(distances)
            case relation:
                assert_never(relation)

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


@frozen(kw_only=True)
class PairedComparison:
    """Paired episodes of the candidate and one baseline, with the plan of looks that the test follows."""

    margin: BaselineMargin
    """The margin they are compared with."""
    candidate: tuple[float | None, ...]
    """Each episode's value; none where it had no exposure."""
    baseline: tuple[float | None, ...]
    """The same for the baseline."""
    looks: tuple[int, ...]
    """Episodes at each look that was taken."""
    declared: tuple[int, ...]
    """Episodes at each look that was declared before the run."""
    alpha: float
    """Error of one look in one visit."""
    seed: int
    """Keys the episodes."""


@frozen(kw_only=True)
class SequentialDecision:
    """A report, and whether further looks could change it."""

    report: GuardReport
    """The report after the last look that was needed."""
    settled: bool
    """True where no further look can change the verdict."""


def sequential_paired_test(comparison: PairedComparison) -> SequentialDecision:
    """Return the verdict at its first decisive look; UNDECIDED only after the last declared one.

    Fewer than `MIN_PAIRS` pairs with exposure after the last look, or lists of unequal length, are UNKNOWN.
    """
    episodes = comparison.looks[-1] if comparison.looks else 0
    candidates, baselines = len(comparison.candidate), len(comparison.baseline)
    if candidates != episodes or baselines != episodes:
        reason = (
            f"expected {episodes} episodes, found {candidates} values of the candidate and {baselines} of the baseline"
        )
        return SequentialDecision(report=_unknown(comparison, reason), settled=True)
    for look in range(1, len(comparison.looks) + 1):
        report = _at_look(comparison, look)
        if report.verdict in _DECISIVE or _has_missing(comparison, report) or look == len(comparison.declared):
            return SequentialDecision(report=report, settled=True)
    reason = f"the evidence ends at look {len(comparison.looks)} of {len(comparison.declared)} without a decision"
    return SequentialDecision(report=_unknown(comparison, reason), settled=False)


def _at_look(comparison: PairedComparison, look: int) -> GuardReport:
    """Return the report on the episodes up to one look, counted from 1."""
    margin, episodes = comparison.margin, comparison.looks[look - 1]
    candidates, baselines = comparison.candidate[:episodes], comparison.baseline[:episodes]
    pairs = [(x, b) for x, b in zip(candidates, baselines, strict=True) if x is not None and b is not None]
    counts = evolve(_empty_report(margin), look=look)
    if margin.rule > 1:
        counts = evolve(
            counts,
            candidate_missing=tuple(i for i in range(episodes) if candidates[i] is None and baselines[i] is not None),
            baseline_missing=tuple(i for i in range(episodes) if candidates[i] is not None and baselines[i] is None),
        )
    counts = evolve(counts, pairs=len(pairs), dropped=episodes - len(pairs))
    if _has_missing(comparison, counts):
        return _with_reason(counts, _missing_reason(comparison, counts))
    if len(pairs) < MIN_PAIRS:
        return _with_reason(
            counts, f"only {len(pairs)} of {episodes} pairs had exposure, expected at least {MIN_PAIRS}"
        )
    if _missing(margin.guard) == "worst":
        pairs = worst_case_pairs(candidates, baselines, margin.sign)
        counts = evolve(counts, pairs=len(pairs), dropped=episodes - len(pairs))
    if not all(math.isfinite(x) and math.isfinite(b) for x, b in pairs):
        return _with_reason(counts, "an episode's value is not finite")
    mean = math.fsum(b for _, b in pairs) / len(pairs)
    distance, tolerance = margin.distance(mean)
    contrasts, limit = _contrasts(margin, pairs, mean, distance, tolerance)
    equal = _common_contrast(margin, contrasts, pairs, limit)
    low, high = bounds(contrasts, comparison.alpha) if equal is None else (equal, equal)
    verdict = margin.decide(low, high, limit) or Verdict.UNDECIDED
    if equal is not None and look < len(comparison.declared):
        verdict = Verdict.UNDECIDED
    report = evolve(
        counts,
        verdict=verdict,
        value=math.fsum(x - b for x, b in pairs) / len(pairs),
        baseline=mean,
        limit=margin.sign * limit,
        low=low if margin.sign > 0 else -high,
        high=high if margin.sign > 0 else -low,
        tolerance=tolerance,
    )
    return evolve(report, sentence=_sentence(comparison, report, degenerate=equal is not None))


def _common_contrast(
    margin: BaselineMargin, contrasts: Sequence[float], pairs: Sequence[tuple[float, float]], limit: float
) -> float | None:
    """Return the number that all contrasts are equal to, the limit where it can be that; None where they differ."""
    if margin.rule > 1:
        return common_value(contrasts, pair_sizes([x for x, _ in pairs], [b for _, b in pairs]), limit)
    largest = max(abs(contrast) for contrast in contrasts)
    if max(contrasts) - min(contrasts) > ROUNDING * largest:
        return None
    return math.fsum(contrasts) / len(contrasts)


def _missing(guard: ComparisonSpec) -> str | None:
    return guard.missing if isinstance(guard, PairedComparisonSpec) else None


def _has_missing(comparison: PairedComparison, report: GuardReport) -> bool:
    """Tell whether only one side has exposure in an episode, and the guard does not say what that counts as."""
    return bool(report.candidate_missing or report.baseline_missing) and _missing(comparison.margin.guard) is None


def _missing_reason(comparison: PairedComparison, report: GuardReport) -> str:
    sides = []
    for side, episodes in (
        ("the candidate", report.candidate_missing),
        (comparison.margin.baseline_name, report.baseline_missing),
    ):
        if episodes:
            named = ", ".join(map(str, episodes[:_NAMED]))
            rest = f" and {len(episodes) - _NAMED} more" if len(episodes) > _NAMED else ""
            sides.append(f"{side} alone has no exposure in {len(episodes)} of them ({named}{rest})")
    return (
        f"of {comparison.looks[report.look - 1]} episodes with seed {comparison.seed}, {' and '.join(sides)}; "
        "state in the guard what these count as, `missing: worst` or `missing: drop`"
    )


def _contrasts(
    margin: BaselineMargin, pairs: Sequence[tuple[float, float]], mean: float, distance: float, tolerance: str
) -> tuple[list[float], float]:
    """Return the oriented differences and their limit; a relative margin moves into the differences.

    σ·(xᵢ − bᵢ) ± r·sign(b̄)·bᵢ against 0, so that the noise of the baseline counts too (σ the orientation, b̄ the
    baseline's mean; + for `not_worse_than` and `worse_by`, − for `better_by`).
    """
    differences = [margin.sign * (x - b) for x, b in pairs]
    limit, relative = margin.limit(distance), margin.guard.margin.relative
    if tolerance != "relative" or relative is None:
        return differences, limit
    share = math.copysign(relative, mean) * (-1.0 if limit > 0 else 1.0)
    return [difference + share * b for difference, (_, b) in zip(differences, pairs, strict=True)], 0.0


def _sentence(comparison: PairedComparison, report: GuardReport, *, degenerate: bool) -> str:
    margin = comparison.margin
    value, baseline, limit, low, high = (
        math.nan if number is None else number
        for number in (report.value, report.baseline, report.limit, report.low, report.high)
    )
    opening = (
        f"{margin.guard.metric} {baseline + value:.4g} {margin.phrase(report.verdict)} {margin.baseline_name} "
        f"{baseline:.4g}: difference {value:.4g}"
    )
    confidence = f"{100 * (1 - comparison.alpha):.4g}%"
    if degenerate:
        middle = f"all {report.pairs} differences equal"
    elif report.verdict == Verdict.UNDECIDED:
        middle = f"{confidence} bounds {low:.4g} and {high:.4g} on both sides of limit {limit:.4g}"
    else:
        # PASS of better_by and not_worse_than and FAIL of worse_by follow from the oriented lower bound
        lower = (report.verdict == Verdict.PASS) != (margin.guard.relation == Relation.WORSE_BY)
        bound = low if lower == (margin.sign > 0) else high
        side = "above" if bound > limit else "below" if bound < limit else "at"
        middle = f"{confidence} bound {bound:.4g} {side} limit {limit:.4g}"
    relative = margin.guard.margin.relative
    scale = "" if report.tolerance == "absolute" else f", tolerance {relative:.3g} {report.tolerance}"
    one_sided = len(report.candidate_missing) + len(report.baseline_missing)
    missing = {"worst": "counted at the worst", "drop": "dropped"}.get(_missing(margin.guard) or "", "")
    note = f", {one_sided} with exposure on one side only {missing}" if one_sided and missing else ""
    return f"{opening}, {middle}{scale} ({report.pairs} pairs{note}, look {report.look} of {len(comparison.declared)})"


def _empty_report(margin: BaselineMargin) -> GuardReport:
    return GuardReport(
        guard=margin.name, verdict=Verdict.UNKNOWN, metric=margin.guard.metric, sentence="", rule=margin.rule
    )


def _unknown(comparison: PairedComparison, reason: str) -> GuardReport:
    return _with_reason(_empty_report(comparison.margin), reason)


def _with_reason(report: GuardReport, reason: str) -> GuardReport:
    return evolve(report, sentence=f"{report.metric} is not known: {reason}")
