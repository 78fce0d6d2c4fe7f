"""The sequential paired test: the candidate and a baseline over the same episodes, at the declared looks.

``docs/reference/evidence.md`` shows the formulas on one page.
"""

import math
from collections.abc import Sequence

from attrs import evolve

from townlet.confidence.bounded import betting_bounds
from townlet.dto.guards import GuardReport, Verdict
from townlet.estimate import MIN_PAIRS, missing_episodes, undetected_rate, worst_case_pairs
from townlet.machine.guards.count_test import count_test, event_problem
from townlet.machine.guards.episodes import SequentialDecision, first_decision, with_reason
from townlet.machine.guards.mean_test import mean_test
from townlet.machine.guards.paired_comparison import LookResult, PairedComparison
from townlet.machine.guards.sentences import comparison_sentence

__all__ = ["mean_warning", "sequential_paired_test"]


def mean_warning(episodes: int) -> str:
    """Return the sentence that says which rare losses a comparison of this many episodes cannot see."""
    return (
        f"a mean cannot show rare catastrophes: what happens in fewer than 1 of {1 / undetected_rate(episodes):.0f} "
        f"episodes is absent from all {episodes} with a chance of 5% or more"
    )


def sequential_paired_test(comparison: PairedComparison) -> SequentialDecision:
    """Return the verdict at its first decisive look; UNDECIDED only after the last declared one.

    Fewer than `MIN_PAIRS` pairs with exposure after the last look, lists of unequal length, or an invalid number on
    either side are UNKNOWN.
    """
    empty = GuardReport(
        guard=comparison.margin.name,
        verdict=Verdict.UNKNOWN,
        metric=comparison.margin.guard.metric,
        sentence="",
        rule=comparison.margin.rule,
    )
    if problem := comparison.length_problem():
        return SequentialDecision(report=with_reason(empty, problem), settled=True)
    return first_decision(comparison, empty, lambda look: _at_look(comparison, empty, look))


def _at_look(comparison: PairedComparison, empty: GuardReport, look: int) -> tuple[GuardReport, bool]:
    """Return the report on the episodes up to one look, counted from 1, and whether later looks cannot mend it."""
    margin, episodes = comparison.margin, comparison.looks[look - 1]
    candidates, baselines = comparison.sides(episodes)
    pairs = [(x, b) for x, b in zip(candidates, baselines, strict=True) if x is not None and b is not None]
    lacks = (missing_episodes(candidates, baselines), missing_episodes(baselines, candidates))
    report = evolve(empty, look=look, pairs=len(pairs), dropped=episodes - len(pairs))
    if margin.rule > 1:
        report = evolve(report, candidate_missing=lacks[0], baseline_missing=lacks[1])
    reason = comparison.invalid_reason(episodes, margin.baseline_name)
    if not reason and margin.rule > 1 and comparison.missing is None:
        reason = comparison.missing_reason(episodes, margin.baseline_name, lacks)
    if not reason and comparison.counts_events:
        reason = event_problem(comparison, episodes)
    if reason:
        return with_reason(report, reason), True
    if len(pairs) < MIN_PAIRS:
        reason = f"only {len(pairs)} of {episodes} pairs had exposure, expected at least {MIN_PAIRS}"
        return with_reason(report, reason), False
    if comparison.recorded and len(comparison.baseline) < MIN_PAIRS:
        reason = f"the data set has {len(comparison.baseline)} episodes, expected at least {MIN_PAIRS}"
        return with_reason(report, reason), True
    kept = [i for i, (x, b) in enumerate(zip(candidates, baselines, strict=True)) if x is not None and b is not None]
    if comparison.has_control and (reason := _control_problem(comparison, len(pairs), episodes)):
        return with_reason(report, reason), True
    if comparison.missing == "worst":
        pairs = worst_case_pairs(candidates, baselines, margin.sign)
        kept = [i for i in range(episodes) if candidates[i] is not None or baselines[i] is not None]
        report = evolve(report, pairs=len(pairs), dropped=episodes - len(pairs))
    if not all(math.isfinite(x) and math.isfinite(b) for x, b in pairs):
        return with_reason(report, "an episode's value is not finite"), False
    mean = mean_test(comparison, look, comparison.samples(pairs, kept))
    return _judged(comparison, report, count_test(comparison, look) if comparison.counts_events else mean, mean), False


def _control_problem(comparison: PairedComparison, pairs: int, episodes: int) -> str:
    """Return why a control variate would mislead: what explains must be known of every pair, and of enough others."""
    if pairs < episodes:
        return f"{episodes - pairs} of {episodes} pairs lack exposure, and a control variate needs all; leave it out"
    if len(comparison.control) < MIN_PAIRS:
        found = len(comparison.control)
        return f"{found} further episodes of the control variate have a valid number, expected at least {MIN_PAIRS}"
    return ""


def _judged(comparison: PairedComparison, report: GuardReport, tested: LookResult, mean: LookResult) -> GuardReport:
    """Return the report with the verdict of what a test found; the mean's stands beside it."""
    margin = comparison.margin
    verdict = margin.decide(tested.low, tested.high, tested.limit) or Verdict.UNDECIDED
    if tested.equal and report.look < len(comparison.errors.looks):
        verdict = Verdict.UNDECIDED
    low, high = comparison.as_measured(tested.low, tested.high)
    report = evolve(
        report,
        verdict=verdict,
        value=tested.value,
        baseline=tested.baseline,
        limit=margin.sign * tested.limit,
        low=low,
        high=high,
        tolerance=tested.tolerance,
        p_value=tested.p_value,
        skewness=tested.skewness,
    )
    if margin.rule > 3:
        report = _beside(comparison, report, mean)
    return evolve(report, sentence=comparison_sentence(comparison, report, tested))


def _beside(comparison: PairedComparison, report: GuardReport, mean: LookResult) -> GuardReport:
    """Return the report with what stands beside the verdict: the test, other bounds, and the worst pair."""
    margin, episodes = comparison.margin, comparison.looks[report.look - 1]
    report = evolve(report, test="count" if comparison.counts_events else "mean")
    if comparison.counts_events:
        low, high = comparison.as_measured(mean.low, mean.high)
        report = evolve(report, check="mean", check_low=low, check_high=high)
    if comparison.unpaired:
        return report
    complete = zip(comparison.candidate[:episodes], comparison.baseline[:episodes], strict=True)
    pairs = [(x, b, i) for i, (x, b) in enumerate(complete) if x is not None and b is not None]
    worst, episode = min((margin.sign * (x - b), i) for x, b, i in pairs)
    if math.isfinite(worst):
        report = evolve(report, worst=margin.sign * worst, worst_episode=episode)
    found = None if comparison.counts_events or mean.equal else _betting(comparison, pairs)
    if found is None:
        return report
    low, high = comparison.as_measured(*found)
    return evolve(report, check="betting", check_low=low, check_high=high)


def _betting(comparison: PairedComparison, pairs: Sequence[tuple[float, float, int]]) -> tuple[float, float] | None:
    """Return bounds of the oriented difference that assume nothing but the metric's limits; None where it has none."""
    least, largest = comparison.limits
    if least is None or largest is None or least == largest:
        return None
    if not all(least <= x <= largest and least <= b <= largest for x, b, _ in pairs):
        return None
    width = largest - least
    differences = [comparison.margin.sign * (x - b) for x, b, _ in pairs]
    return betting_bounds(differences, comparison.errors.total, -width, width)
