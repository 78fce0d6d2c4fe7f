"""The test of a share of bad episodes, at the declared looks: exact binomial bounds, whatever the episodes hold.

``docs/reference/evidence.md`` shows the formulas on one page.
"""

import math
from typing import assert_never

from attrs import evolve, frozen

from townlet.confidence.tails import episodes_beyond, episodes_worse, share_bounds
from townlet.dto.fields import Direction
from townlet.dto.guards import GuardReport, ShareLimitSpec, ShareMarginSpec, TailSpec, Verdict
from townlet.estimate import missing_episodes
from townlet.machine.guards.baseline_margin import distance_from, orientation
from townlet.machine.guards.count_test import least_error
from townlet.machine.guards.episodes import SequentialDecision, StoredEpisodes, first_decision, with_reason
from townlet.machine.guards.sentences import percent

__all__ = ["ShareQuestion", "sequential_share_test"]


@frozen(kw_only=True)
class ShareQuestion(StoredEpisodes):
    """Episodes of the candidate, of the baseline too where bad means worse than it, and the share that may be bad."""

    name: str
    """Name of the guard."""
    guard: TailSpec
    """The guard."""
    direction: Direction
    """Which way the metric improves."""
    baseline_name: str
    """The baseline, as sentences name it; empty for a guard with a fixed limit."""
    rule: int
    """Version of the rule that decides."""

    @property
    def has_baseline(self) -> bool:
        """Whether bad means worse than a baseline."""
        return self.guard.baseline is not None


def sequential_share_test(question: ShareQuestion) -> SequentialDecision:
    """Return the verdict at its first decisive look; UNDECIDED only after the last declared one.

    PASS where the upper bound of the share is at most `at_most`, FAIL where the lower one is above it. Episodes that
    are no pairs, lists of unequal length, a missing or an invalid number are UNKNOWN.
    """
    empty = GuardReport(
        guard=question.name,
        verdict=Verdict.UNKNOWN,
        metric=question.guard.metric,
        sentence="",
        rule=question.rule,
        test="share",
    )
    if problem := question.length_problem() or _pairing_problem(question):
        return SequentialDecision(report=with_reason(empty, problem), settled=True)
    return first_decision(question, empty, lambda look: _at_look(question, empty, look))


def _pairing_problem(question: ShareQuestion) -> str:
    if not question.unpaired or not question.has_baseline:
        return ""
    why = "the baseline is a data set" if question.recorded else "the environment does not obey its seed"
    return f"{why}, so no two episodes are the same one; compare with a fixed limit, share_below or share_above"


def _at_look(question: ShareQuestion, empty: GuardReport, look: int) -> tuple[GuardReport, bool]:
    """Return the report on the episodes up to one look, counted from 1, and whether later looks cannot mend it."""
    guard, episodes = question.guard, question.looks[look - 1]
    candidates, baselines = question.candidate[:episodes], question.baseline[:episodes]
    others = baselines if question.has_baseline else (0.0,) * episodes
    lacks = missing_episodes(candidates, others), missing_episodes(others, candidates)
    present = [i for i in range(episodes) if candidates[i] is not None and others[i] is not None]
    report = evolve(empty, look=look, candidate_missing=lacks[0], baseline_missing=lacks[1])
    reason = question.invalid_reason(episodes, question.baseline_name)
    if not reason and guard.missing is None:
        reason = question.missing_reason(episodes, question.baseline_name, lacks)
    if reason:
        return with_reason(report, reason), True
    missing = len(lacks[0]) + len(lacks[1]) if guard.missing == "worst" else 0
    counted = len(present) + missing
    report = evolve(report, pairs=counted, dropped=episodes - counted)
    if not counted:
        return with_reason(report, f"none of {episodes} episodes had exposure"), False
    found = _found(question, present)
    bad = sum(found.bad) + missing
    level, most = question.errors.exact[look - 1], float(guard.limits.at_most)
    low, high = share_bounds(bad, counted, level)
    p_value = least_error(lambda alpha: share_bounds(bad, counted, alpha)[1] <= most)
    report = evolve(
        report,
        verdict=Verdict.PASS if high <= most else Verdict.FAIL if low > most else Verdict.UNDECIDED,
        value=bad / counted,
        limit=most,
        low=low,
        high=high,
        tolerance=found.tolerance,
        p_value=question.errors.exact_p_value(p_value, look),
        worst=found.worst,
        worst_episode=found.worst_episode,
    )
    return evolve(report, sentence=_sentence(question, report, found, bad)), False


@frozen(kw_only=True)
class _Found:
    """Which episodes are bad, and the worst of them all."""

    bad: list[bool]
    phrase: str
    """What a bad episode is, in words."""
    tolerance: str = ""
    worst: float | None = None
    worst_episode: int | None = None


def _found(question: ShareQuestion, present: list[int]) -> _Found:
    guard = question.guard
    values = [value for i in present if (value := question.candidate[i]) is not None]
    match guard.limits:
        case ShareMarginSpec() as margin:
            sign = orientation(question.direction, guard.metric)
            baselines = [value for i in present if (value := question.baseline[i]) is not None]
            mean = math.fsum(baselines) / max(1, len(baselines))
            distance, tolerance = distance_from(margin, mean, largest=True)
            differences = [value - baseline for value, baseline in zip(values, baselines, strict=True)]
            worst, episode = _worst(differences, present, sign)
            return _Found(
                bad=episodes_worse(values, baselines, distance, sign),
                phrase=f"worse than {question.baseline_name} by more than {distance:.4g}",
                tolerance=tolerance,
                worst=worst,
                worst_episode=episode,
            )
        case ShareLimitSpec(limit=limit):
            sign = 1.0 if guard.share_below is not None else -1.0
            worst, episode = _worst(values, present, sign)
            side = "below" if sign > 0 else "above"
            bad = episodes_beyond(values, limit, sign)
            return _Found(bad=bad, phrase=f"{side} {limit:.4g}", worst=worst, worst_episode=episode)
        case limits:
            assert_never(limits)


def _worst(numbers: list[float], present: list[int], sign: float) -> tuple[float | None, int | None]:
    """Return the worst number and its episode; None of none."""
    ordered = sorted((sign * number, i) for number, i in zip(numbers, present, strict=True))
    return (sign * ordered[0][0], ordered[0][1]) if ordered and math.isfinite(ordered[0][0]) else (None, None)


def _sentence(question: ShareQuestion, report: GuardReport, found: _Found, bad: int) -> str:
    low, high, limit = (100 * (number or 0.0) for number in (report.low, report.high, report.limit))
    confidence = percent(question.errors.exact[report.look - 1], question.rule)
    if report.verdict == Verdict.UNDECIDED:
        middle = f"{confidence} bounds {low:.3g}% and {high:.3g}% on both sides of limit {limit:.4g}%"
    elif report.verdict == Verdict.PASS:
        middle = f"{confidence} bound {high:.3g}% {'below' if high < limit else 'at'} limit {limit:.4g}%"
    else:
        middle = f"{confidence} bound {low:.3g}% above limit {limit:.4g}%"
    missing = len(report.candidate_missing) + len(report.baseline_missing)
    note = f", {missing} without exposure {'counted as bad' if question.guard.missing == 'worst' else 'dropped'}"
    return (
        f"{question.guard.metric} is {found.phrase} in {bad} of {report.pairs} episodes: {middle} "
        f"(look {report.look} of {len(question.errors.looks)}{note if missing else ''}, p {report.p_value:.2g})"
    )
