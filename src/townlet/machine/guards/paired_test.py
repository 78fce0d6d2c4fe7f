"""Comparisons with a baseline: what a margin asks of two numbers, and of paired episodes look by look.

Everything is *oriented* before it is compared: multiplied by +1 where higher is better and by −1 where lower is, so
that one rule serves every metric. Reports carry the numbers as they were measured.
"""

import math
from collections.abc import Sequence

from attrs import evolve, frozen

from townlet.dto.fields import Direction
from townlet.dto.guards import GuardReport, GuardSpec, MarginSpec, Verdict
from townlet.errors import BadInputError
from townlet.estimate import bounds, paired

__all__ = ["LEAST_PAIRS", "BaselineMargin", "PairedComparison", "SequentialDecision", "sequential_paired_test"]

LEAST_PAIRS = 20
"""Fewer pairs with exposure than this decide nothing."""
_DECISIVE = (Verdict.PASS, Verdict.FAIL)


@frozen(kw_only=True)
class BaselineMargin:
    """What a comparison asks, in one metric's better direction."""

    name: str
    """Name of the guard."""
    guard: GuardSpec
    """The guard."""
    against: str
    """The baseline, as sentences name it."""
    direction: Direction
    """Which way the metric improves."""

    @property
    def margin_spec(self) -> MarginSpec:
        """The margin; BadInputError for a guard that compares nothing."""
        if self.guard.margin is None:
            raise BadInputError(f"guard {self.name!r} compares nothing with a baseline")
        return self.guard.margin

    @property
    def sign(self) -> float:
        """+1 where higher is better, −1 where lower is; BadInputError where neither."""
        if self.direction is Direction.NONE:
            raise BadInputError(f"{self.guard.metric} has no better direction; nothing can be better or worse in it")
        return 1.0 if self.direction is Direction.HIGHER else -1.0

    def margin(self, baseline: float) -> tuple[float, str]:
        """Return the distance that applies at this baseline, and which tolerance it is.

        With a relative and an absolute one the looser applies: the easier to satisfy, which for a tolerance
        (`not_worse_than`) is the larger and for a demand (`better_by`, `worse_by`) the smaller.
        """
        spec, offers = self.margin_spec, []
        if spec.relative is not None and spec.floor is not None:
            offers.append(
                (spec.relative * max(abs(baseline), spec.floor), "relative" if abs(baseline) >= spec.floor else "floor")
            )
        if spec.absolute is not None:
            offers.append((spec.absolute, "absolute"))
        looser = max if self.guard.not_worse_than is not None else min
        return looser(offers)

    def bar(self, margin: float) -> float:
        """Return the oriented limit for an oriented difference."""
        return margin if self.guard.better_by is not None else -margin

    def answer(self, low: float, high: float, bar: float) -> Verdict | None:
        """Return PASS or FAIL where the whole oriented interval is on one side of the bar; none where it straddles."""
        if self.guard.not_worse_than is not None:
            return Verdict.PASS if low >= bar else Verdict.FAIL if high < bar else None
        if self.guard.better_by is not None:
            return Verdict.PASS if low > bar else Verdict.FAIL if high <= bar else None
        return Verdict.PASS if high < bar else Verdict.FAIL if low >= bar else None

    def words(self, verdict: Verdict) -> str:
        """Return how the metric relates to the baseline, such as ``is better than``."""
        relation = (
            "not worse than" if self.guard.not_worse_than is not None
            else "better than" if self.guard.better_by is not None
            else "worse than"
        )  # fmt: skip
        if verdict is Verdict.PASS:
            return f"is {relation}"
        if verdict is Verdict.UNDECIDED:
            return f"may or may not be {relation}"
        return "is worse than" if relation == "not worse than" else f"is not {relation}"

    def compare(self, value: float, baseline: float) -> GuardReport:
        """Return the report on two plain numbers."""
        margin, tolerance = self.margin(baseline)
        difference, bar = value - baseline, self.bar(margin)
        verdict = self.answer(self.sign * difference, self.sign * difference, bar) or Verdict.UNKNOWN
        limit = self.sign * bar
        return GuardReport(
            guard=self.name, verdict=verdict, metric=self.guard.metric or "", value=value, baseline=baseline,
            limit=limit, tolerance=tolerance,
            sentence=f"{self.guard.metric} {value:.4g} {self.words(verdict)} {self.against} {baseline:.4g}: difference "
            f"{difference:.4g}, limit {limit:.4g} ({tolerance})",
        )  # fmt: skip


@frozen(kw_only=True)
class PairedComparison:
    """Paired episodes of the candidate and one baseline, and how they may be looked at."""

    question: BaselineMargin
    """What is asked of them."""
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


@frozen(kw_only=True)
class SequentialDecision:
    """A report, and whether further looks could change it."""

    report: GuardReport
    """The answer so far."""
    settled: bool
    """True where the answer is frozen."""


def sequential_paired_test(contest: PairedComparison) -> SequentialDecision:
    """Return the verdict at its first decisive look; UNDECIDED only after the last declared one.

    Fewer than `LEAST_PAIRS` pairs with exposure after the last look, or unequal lists, are UNKNOWN.
    """
    episodes = contest.looks[-1] if contest.looks else 0
    if len(contest.candidate) != episodes or len(contest.baseline) != episodes:
        found = f"{len(contest.candidate)} values of the candidate and {len(contest.baseline)} of the baseline"
        return SequentialDecision(
            report=_unknown(contest, f"expected {episodes} episodes, found {found}"), settled=True
        )
    for look in range(1, len(contest.looks) + 1):
        report = _at_look(contest, look)
        if report.verdict in _DECISIVE or look == len(contest.declared):
            return SequentialDecision(report=report, settled=True)
    missing = f"the evidence ends at look {len(contest.looks)} of {len(contest.declared)} without a decision"
    return SequentialDecision(report=_unknown(contest, missing), settled=False)


def _at_look(contest: PairedComparison, look: int) -> GuardReport:
    question, episodes = contest.question, contest.looks[look - 1]
    pairs = [
        (x, b)
        for x, b in zip(contest.candidate[:episodes], contest.baseline[:episodes], strict=True)
        if x is not None and b is not None
    ]
    counts = GuardReport(
        guard=question.name, verdict=Verdict.UNKNOWN, metric=question.guard.metric or "", pairs=len(pairs),
        dropped=episodes - len(pairs), look=look, sentence="",
    )  # fmt: skip
    if len(pairs) < LEAST_PAIRS:
        return _because(counts, f"only {len(pairs)} of {episodes} pairs had exposure, expected at least {LEAST_PAIRS}")
    if not all(math.isfinite(x) and math.isfinite(b) for x, b in pairs):
        return _because(counts, "an episode's value is not finite")
    mean = math.fsum(b for _, b in pairs) / len(pairs)
    margin, tolerance = question.margin(mean)
    oriented, bar = _contrast(question, pairs, mean, margin, tolerance)
    seen = paired(oriented)
    low, high = (seen.mean, seen.mean) if seen.degenerate else bounds(oriented, contest.alpha)
    verdict = question.answer(low, high, bar) or Verdict.UNDECIDED
    if seen.degenerate and look < len(contest.declared):
        verdict = Verdict.UNDECIDED
    ends = (low, high) if question.sign > 0 else (-high, -low)
    report = evolve(
        counts, verdict=verdict, value=math.fsum(x - b for x, b in pairs) / len(pairs), baseline=mean,
        limit=question.sign * bar, low=ends[0], high=ends[1], tolerance=tolerance,
    )  # fmt: skip
    return evolve(report, sentence=_sentence(contest, report, degenerate=seen.degenerate))


def _contrast(
    question: BaselineMargin, pairs: Sequence[tuple[float, float]], mean: float, margin: float, tolerance: str
) -> tuple[list[float], float]:
    """Return the oriented differences and their bar; a relative margin moves into the differences.

    xᵢ − bᵢ ± r·sign(s)·bᵢ against 0, so that the noise of the baseline counts too (s is the baseline's mean).
    """
    differences = [question.sign * (x - b) for x, b in pairs]
    bar = question.bar(margin)
    if tolerance != "relative" or question.margin_spec.relative is None:
        return differences, bar
    share = math.copysign(question.margin_spec.relative, mean) * (-1.0 if bar > 0 else 1.0)
    return [difference + share * b for difference, (_, b) in zip(differences, pairs, strict=True)], 0.0


def _sentence(contest: PairedComparison, report: GuardReport, *, degenerate: bool) -> str:
    question = contest.question
    value, baseline, limit, low, high = (
        math.nan if number is None else number
        for number in (report.value, report.baseline, report.limit, report.low, report.high)
    )
    opening = (
        f"{question.guard.metric} {baseline + value:.4g} {question.words(report.verdict)} {question.against} "
        f"{baseline:.4g}: difference {value:.4g}"
    )
    confidence = f"{100 * (1 - contest.alpha):.4g}%"
    if degenerate:
        middle = f"all {report.pairs} differences equal"
    elif report.verdict is Verdict.UNDECIDED:
        middle = f"{confidence} bounds {low:.4g} and {high:.4g} on both sides of limit {limit:.4g}"
    else:
        # PASS of better_by and not_worse_than and FAIL of worse_by stand on the oriented lower bound
        lower = (report.verdict is Verdict.PASS) != (question.guard.worse_by is not None)
        bound = low if lower == (question.sign > 0) else high
        side = "above" if bound > limit else "below" if bound < limit else "at"
        middle = f"{confidence} bound {bound:.4g} {side} limit {limit:.4g}"
    spec = question.margin_spec
    scale = "" if report.tolerance == "absolute" else f", tolerance {spec.relative:.3g} {report.tolerance}"
    return f"{opening}, {middle}{scale} ({report.pairs} pairs, look {report.look} of {len(contest.declared)})"


def _unknown(contest: PairedComparison, why: str) -> GuardReport:
    question = contest.question
    report = GuardReport(guard=question.name, verdict=Verdict.UNKNOWN, metric=question.guard.metric or "", sentence="")
    return _because(report, why)


def _because(report: GuardReport, why: str) -> GuardReport:
    return evolve(report, sentence=f"{report.metric} is not known: {why}")
