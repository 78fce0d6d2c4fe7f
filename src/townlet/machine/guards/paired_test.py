"""The sequential paired t test: the candidate and a baseline over the same episodes, at the declared looks.

``docs/reference/evidence.md`` shows the formulas on one page.
"""

import math
from collections.abc import Sequence

from attrs import evolve, frozen

from townlet.confidence.skewness import skewness, wider_bounds, wider_p_value
from townlet.dto.guards import ComparisonSpec, GuardReport, PairedComparisonSpec, Relation, Verdict
from townlet.dto.metrics import named_episodes
from townlet.estimate import (
    MIN_PAIRS,
    ROUNDING,
    bounds,
    common_value,
    missing_episodes,
    pair_sizes,
    undetected_rate,
    unpaired_bounds,
    unpaired_p_value,
    worst_case_pairs,
)
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.look_errors import LookErrors

__all__ = [
    "PairedComparison",
    "SequentialDecision",
    "mean_warning",
    "sequential_paired_test",
]

_DECISIVE = (Verdict.PASS, Verdict.FAIL)


def mean_warning(episodes: int) -> str:
    """Return the sentence that says which rare losses a comparison of this many episodes cannot see."""
    return (
        f"a mean cannot show rare catastrophes: what happens in fewer than 1 of {1 / undetected_rate(episodes):.0f} "
        f"episodes is absent from all {episodes} with a chance of 5% or more"
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
    errors: LookErrors
    """The looks that were declared before the run, and the error of each."""
    seed: int
    """Keys the episodes."""
    invalid: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """Episodes in which the candidate has no valid number, and those in which the baseline has none."""
    unpaired: bool = False
    """Whether the episodes are not pairs, because the environment does not obey its seed."""


@frozen(kw_only=True)
class SequentialDecision:
    """A report, and whether further looks could change it."""

    report: GuardReport
    """The report after the last look that was needed."""
    settled: bool
    """True where no further look can change the verdict."""


def sequential_paired_test(comparison: PairedComparison) -> SequentialDecision:
    """Return the verdict at its first decisive look; UNDECIDED only after the last declared one.

    Fewer than `MIN_PAIRS` pairs with exposure after the last look, lists of unequal length, or an invalid number on
    either side are UNKNOWN.
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
        is_void = _has_missing(comparison, report) or bool(_invalid_reason(comparison, comparison.looks[look - 1]))
        if report.verdict in _DECISIVE or is_void or look == len(comparison.errors.looks):
            return SequentialDecision(report=report, settled=True)
    reason = f"the evidence ends at look {len(comparison.looks)} of {len(comparison.errors.looks)} without a decision"
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
            candidate_missing=missing_episodes(candidates, baselines),
            baseline_missing=missing_episodes(baselines, candidates),
        )
    counts = evolve(counts, pairs=len(pairs), dropped=episodes - len(pairs))
    if reason := _invalid_reason(comparison, episodes):
        return _with_reason(counts, reason)
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
    alpha, own, other = comparison.errors.each[look - 1], list[float](), list[float]()
    if comparison.unpaired:
        # Whatever moved into the contrasts belongs to the baseline: they are two samples again.
        own = [margin.sign * x for x, _ in pairs]
        other = [value - contrast for value, contrast in zip(own, contrasts, strict=True)]
        low, high = unpaired_bounds(own, other, alpha)
        equal = low if low == high else None
    else:
        equal = _common_contrast(margin, contrasts, pairs, limit)
        test = bounds if margin.rule < 3 else wider_bounds
        low, high = test(contrasts, alpha) if equal is None else (equal, equal)
    verdict = margin.decide(low, high, limit) or Verdict.UNDECIDED
    if equal is not None and look < len(comparison.errors.looks):
        verdict = Verdict.UNDECIDED
    if margin.rule > 2 and equal is None:
        p_value = _p_value(comparison, look, contrasts, (own, other), limit)
        counts = evolve(counts, p_value=p_value, skewness=None if comparison.unpaired else skewness(contrasts))
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


def _p_value(
    comparison: PairedComparison,
    look: int,
    contrasts: list[float],
    samples: tuple[list[float], list[float]],
    limit: float,
) -> float:
    """Return the stage-wise p-value of what the guard asserts: that the mean contrast is above, or below, its limit."""
    if comparison.margin.guard.relation == Relation.WORSE_BY:
        contrasts, limit, samples = [-contrast for contrast in contrasts], -limit, (samples[1], samples[0])
    nominal = unpaired_p_value(*samples, limit) if comparison.unpaired else wider_p_value(contrasts, limit)
    return comparison.errors.p_value(nominal, look)


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
    sides = _sides(comparison, "alone has no exposure", (report.candidate_missing, report.baseline_missing))
    return (
        f"of {comparison.looks[report.look - 1]} episodes with seed {comparison.seed}, {sides}; "
        "state in the guard what these count as, `missing: worst` or `missing: drop`"
    )


def _invalid_reason(comparison: PairedComparison, episodes: int) -> str:
    """Return in which of the first `episodes` the environment gave no valid number; empty where in none."""
    invalid = [tuple(i for i in each if i < episodes) for each in comparison.invalid]
    sides = _sides(comparison, "has no valid number", invalid)
    return sides and f"of {episodes} episodes with seed {comparison.seed}, {sides}; mend the environment's tallies"


def _sides(comparison: PairedComparison, lacks: str, episodes: Sequence[tuple[int, ...]]) -> str:
    """Return in words in which episodes the candidate and the baseline lack something; empty where in none."""
    names = "the candidate", comparison.margin.baseline_name
    sides = [
        f"{name} {lacks} in {len(each)} of them ({named_episodes(each)})"
        for name, each in zip(names, episodes, strict=True)
        if each
    ]
    return " and ".join(sides)


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
    confidence = _percent(comparison.errors.each[report.look - 1], margin.rule)
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
    counted = f"unpaired, {report.pairs} episodes each" if comparison.unpaired else f"{report.pairs} pairs"
    chance = "" if report.p_value is None else f", p {report.p_value:.2g}"
    looks = f"look {report.look} of {len(comparison.errors.looks)}"
    return f"{opening}, {middle}{scale} ({counted}{note}, {looks}{chance})"


def _percent(alpha: float, rule: int) -> str:
    """Return the confidence 1 − `alpha` as text, with two digits of what is missing to 100 %; earlier rules rounded."""
    return f"{100 * (1 - alpha):.4g}%" if rule < 3 else f"{100 - float(f'{100 * alpha:.2g}'):.10g}%"


def _empty_report(margin: BaselineMargin) -> GuardReport:
    return GuardReport(
        guard=margin.name, verdict=Verdict.UNKNOWN, metric=margin.guard.metric, sentence="", rule=margin.rule
    )


def _unknown(comparison: PairedComparison, reason: str) -> GuardReport:
    return _with_reason(_empty_report(comparison.margin), reason)


def _with_reason(report: GuardReport, reason: str) -> GuardReport:
    return evolve(report, sentence=f"{report.metric} is not known: {reason}")
