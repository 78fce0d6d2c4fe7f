"""Paired evidence on cases worked by hand: 20 and 40 episodes, 95 %, four visits, so α = 0.0125 a visit.

O'Brien and Fleming's function spends 0.000412 of it at the first look, and leaves 0.01236 for the second.
"""

import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve
from cases import CHAMPION, OTHER, PLAN, QUEUES, RETURN, asked, compared, guard, known, table, waves
from plans import make_plan

from townlet.dto.evidence import PairedMetric
from townlet.dto.guards import Verdict
from townlet.machine.guards.evaluate import is_decided
from townlet.machine.guards.look_errors import evaluate_visits

BETTER = compared("better_by", evidence=True, absolute=0)
# sd of ±1 over 20 is √(20/19) = 1.02598; t(1 − 0.000412, 19) = 3.968: the bound lies 3.968 · 1.02598 ÷ √20 = 0.9104
# away. After 40 it is t(1 − 0.01236, 39) = 2.336: 0.3741.
FAR, NEAR = 0.93, 0.88


def test_the_error_is_divided_over_looks_and_visits() -> None:
    """Two looks, four visits: the first look has little of it."""
    report = asked(BETTER, known(table=table(waves(FAR, 20))))
    assert (Verdict.PASS, 1, 20, 0) == (report.verdict, report.look, report.pairs, report.dropped)
    assert report.low == pytest.approx(FAR - 0.9104, abs=2e-4)
    assert report.high == pytest.approx(FAR + 0.9104, abs=2e-4)
    assert 4 == evaluate_visits(PLAN)


def test_sentences_can_be_read() -> None:
    """Metric, both means, difference, confidence, bound and limit."""
    report = asked(BETTER, known(table=table(waves(12.31, 20), [7.9] * 20)))
    assert report.sentence == (
        f"evaluate.return_per_agent_day 12.31 is better than champion ({CHAMPION[:12]}) 7.9: difference 4.41, "
        "99.959% bound 3.5 above limit 0 (20 pairs, look 1 of 2, p 3.3e-14)"
    )


def test_a_verdict_freezes_at_its_first_decisive_look() -> None:
    """Decided after 20 episodes, whatever the next 20 say."""
    report = asked(BETTER, known(table=table([*waves(FAR, 20), *waves(-50.0, 20)])))
    assert (Verdict.PASS, 1) == (report.verdict, report.look)


def test_undecided_is_said_only_after_the_last_look() -> None:
    """Near the limit after 40; evidence that stops after 20 without a decision is UNKNOWN."""
    last = asked(BETTER, known(table=table([*waves(NEAR, 20), *waves(-0.3, 20)])))
    assert (Verdict.UNDECIDED, 2, 40) == (last.verdict, last.look, last.pairs)
    early = asked(BETTER, known(table=table(waves(NEAR, 20))))
    assert (Verdict.UNKNOWN, True) == (early.verdict, "look 1 of 2 without a decision" in early.sentence)


@pytest.mark.parametrize(
    ("question", "margin", "mean", "expected"),
    [
        ("better_by", {"absolute": 0}, FAR, "pass"), ("better_by", {"absolute": 0}, -FAR, "fail"),
        ("better_by", {"absolute": 1.0}, 1 + FAR, "pass"), ("better_by", {"absolute": 1.0}, 1 - FAR, "fail"),
        ("worse_by", {"absolute": 1.0}, -1 - FAR, "pass"), ("worse_by", {"absolute": 1.0}, -1 + FAR, "fail"),
        ("not_worse_than", {"absolute": 1.0}, FAR - 1, "pass"), ("not_worse_than", {"absolute": 1.0}, -FAR - 1, "fail"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("metric", [RETURN, QUEUES])
def test_intervals_decide_in_the_better_direction(
    question: str, margin: Mapping[str, Any], mean: float, expected: str, metric: str
) -> None:
    """Queue intensity is the same picture upside down."""
    sign = 1 if metric == RETURN else -1
    spec = compared(question, metric, evidence=True, **margin)
    report = asked(spec, known(table=table(waves(sign * mean, 20), metric=metric)))
    assert (expected, 1) == (report.verdict, report.look)
    assert report.value == pytest.approx(sign * mean)
    assert report.low is not None
    assert report.high is not None
    assert report.low < report.value < report.high


def test_a_relative_tolerance_counts_the_noise_of_the_baseline() -> None:
    """Ten per cent of a baseline of 10 ± 5: x − b + 0.1·b is held against 0, and the report shows both less 1."""
    baseline = waves(10.0, 20, size=5.0)
    candidate = [b - 0.5 for b in baseline]
    report = asked(
        compared("not_worse_than", evidence=True, relative="10%", floor=1.0), known(table=table(candidate, baseline))
    )
    # contrasts are −0.5 + 0.1·b: mean 0.5, half-width 0.1 · 5 · 0.9104
    assert (Verdict.PASS, -1.0, "relative") == (report.verdict, report.limit, report.tolerance)
    assert report.value == pytest.approx(-0.5)
    expected = (pytest.approx(-0.5 - 0.4552, abs=1e-3), pytest.approx(-0.5 + 0.4552, abs=1e-3))
    assert expected == (report.low, report.high)


def test_a_relative_tolerance_of_a_negative_baseline_keeps_its_sign() -> None:
    """Around −10, ten per cent worse is −11: 0.5 worse passes, 1.5 worse fails."""
    baseline = waves(-10.0, 20, size=0.1)
    spec = compared("not_worse_than", evidence=True, relative="10%", floor=1.0)
    for drop, expected in ((0.5, "pass"), (1.5, "fail")):
        candidate = [b - drop + 0.01 * (-1) ** (i // 2) for i, b in enumerate(baseline)]
        assert expected == asked(spec, known(table=table(candidate, baseline))).verdict


def test_a_relative_tolerance_of_a_small_baseline_is_its_floor() -> None:
    """Around 0.01 with a floor of 1: the limit is −0.1, and the baseline's noise does not enter."""
    report = asked(
        compared("not_worse_than", evidence=True, relative="10%", floor=1.0),
        known(table=table(waves(0.01, 20, size=0.001), [0.01] * 20)),
    )
    assert (Verdict.PASS, "floor") == (report.verdict, report.tolerance)
    assert report.limit == pytest.approx(-0.1)


def test_a_relative_queue_tolerance_bounds_what_is_worse() -> None:
    """Lower is better: 14 % more than 1 passes a tolerance of 15 %, twice as much fails."""
    spec = compared("not_worse_than", QUEUES, evidence=True, relative="15%", floor=0.05)
    for factor, expected in ((1.14, "pass"), (2.0, "fail"), (0.5, "pass")):
        baseline = waves(1.0, 20, size=0.2)
        candidate = [factor * b + 0.001 * (-1) ** (i // 2) for i, b in enumerate(baseline)]
        assert expected == asked(spec, known(table=table(candidate, baseline, QUEUES))).verdict


def test_pairs_without_exposure_are_dropped_and_counted() -> None:
    """An episode without exposure on both sides is none; with fewer than 20 left after the last look nobody knows."""
    gaps: list[float | None] = [None, *waves(FAR, 38), None]
    baseline: list[float | None] = [None, *[0.0] * 38, None]
    report = asked(BETTER, known(table=table(gaps, baseline)))
    assert (Verdict.PASS, 2, 38, 2) == (report.verdict, report.look, report.pairs, report.dropped)
    few: list[float | None] = [*waves(FAR, 19), *[None] * 21]
    report = asked(BETTER, known(table=table(few, [*[0.0] * 19, *[None] * 21])))
    assert (Verdict.UNKNOWN, 19, 21) == (report.verdict, report.pairs, report.dropped)
    assert "only 19 of 40 pairs had exposure" in report.sentence


@pytest.mark.parametrize(
    ("difference", "question", "expected"),
    [
        (0.0, "better_by", "fail"),
        (0.5, "better_by", "pass"),
        (0.0, "not_worse_than", "pass"),
        (0.0, "worse_by", "fail"),
    ],
)
def test_equal_differences_are_decided_only_at_the_last_look(difference: float, question: str, expected: str) -> None:
    """No deaths on either side: an interval without width would decide at once and mean nothing."""
    spec = compared(question, evidence=True, absolute=0)
    assert Verdict.UNKNOWN is asked(spec, known(table=table([difference] * 20))).verdict
    assert not is_decided(table([difference] * 20), "evaluate", known(plan=make_plan(guards=_only(question))))
    report = asked(spec, known(table=table([difference] * 40)))
    assert (expected, 2) == (report.verdict, report.look)
    assert "all 40 differences equal" in report.sentence


@pytest.mark.parametrize(
    ("question", "expected"), [("better_by", "fail"), ("not_worse_than", "pass"), ("worse_by", "fail")]
)
@pytest.mark.parametrize("metric", [RETURN, QUEUES])
@pytest.mark.parametrize("share", [1, 2])
def test_a_difference_of_rounding_is_no_difference(question: str, expected: str, metric: str, share: int) -> None:
    """0.1 + 0.2 against 0.3, in all episodes or in every second one: neither better nor worse."""
    higher, lower = [0.1 + 0.2 if i % share == 0 else 0.3 for i in range(40)], [0.3] * 40
    values = (higher, lower) if (metric == RETURN) != (question == "worse_by") else (lower, higher)
    report = asked(compared(question, metric, evidence=True, absolute=0), known(table=table(*values, metric=metric)))
    assert (expected, 2, 0.0, 0.0) == (report.verdict, report.look, report.low, report.high)
    assert "all 40 differences equal" in report.sentence


def test_a_margin_that_is_met_but_for_rounding_is_met_exactly() -> None:
    """Better by 0.1 exactly is not better by more than 0.1, and worse by 0.1 is still within 0.1."""
    baseline = [0.3 + i for i in range(40)]
    higher, lower = [b + 0.1 for b in baseline], [b - 0.1 for b in baseline]
    for question, values, expected in (
        ("better_by", higher, "fail"), ("not_worse_than", lower, "pass"), ("worse_by", lower, "fail"),
    ):  # fmt: skip
        report = asked(compared(question, evidence=True, absolute=0.1), known(table=table(values, baseline)))
        assert (expected, 2) == (report.verdict, report.look), report.sentence


def test_an_episode_that_only_one_side_has_exposure_in_is_evidence() -> None:
    """Went wrong in four of forty and is better in the others: UNKNOWN until the guard says what they count as."""
    values: list[float | None] = [None if i % 10 == 3 else value for i, value in enumerate(waves(5.0, 40))]
    baseline: list[float | None] = [None if i in (3, 7) else value for i, value in enumerate(waves(0.0, 40))]
    report = asked(BETTER, known(table=table(values, baseline)))
    assert (Verdict.UNKNOWN, (13,), (7,)) == (report.verdict, report.candidate_missing, report.baseline_missing)
    assert report.look == 1  # further episodes could not change it
    assert "of 20 episodes with seed 1, the candidate alone has no exposure in 1 of them (13)" in report.sentence
    assert "`missing: worst` or `missing: drop`" in report.sentence
    spec = guard(
        metric=f"evaluate.{RETURN}", better_by={"baseline": "champion", "absolute": 0}, evidence="full", missing="drop"
    )
    report = asked(spec, known(table=table(values, baseline)))
    assert (Verdict.PASS, 2, (13, 23, 33), (7,)) == (
        report.verdict,
        report.look,
        report.candidate_missing,
        report.baseline_missing,
    )
    assert "35 pairs, 4 with exposure on one side only dropped" in report.sentence


def test_what_is_missing_counts_against_the_candidate() -> None:
    """Every tenth episode at the worst value outweighs a small gain; dropped, the gain would pass."""
    values: list[float | None] = [None if i % 10 == 0 else value for i, value in enumerate(waves(0.5, 40, size=0.1))]
    baseline = waves(0.0, 40, size=0.1)
    baseline[5] = -9.0
    found = {
        missing: asked(
            guard(
                metric=f"evaluate.{RETURN}",
                not_worse_than={"baseline": "champion", "absolute": 0},
                evidence="full",
                missing=missing,
            ),
            known(table=table(values, baseline)),
        )
        for missing in ("worst", "drop")
    }
    assert (40, 0) == (found["worst"].pairs, found["worst"].dropped)
    assert (36, 4) == (found["drop"].pairs, found["drop"].dropped)
    assert Verdict.PASS is not found["worst"].verdict


def test_few_pairs_are_not_made_many_by_filling_in() -> None:
    """Nineteen episodes with exposure on both sides decide nothing, whatever the others count as."""
    spec = guard(
        metric=f"evaluate.{RETURN}", better_by={"baseline": "champion", "absolute": 0}, evidence="full", missing="worst"
    )
    report = asked(spec, known(table=table([*waves(FAR, 19), *[None] * 21])))
    assert (Verdict.UNKNOWN, 19) == (report.verdict, report.pairs)


def _only(question: str) -> dict[str, Any]:
    """Return guards for `make_plan` in which only `better` asks evidence."""
    guards = dict(make_plan().schedule.model_dump()["guards"])
    plain = {name: {k: v for k, v in spec.items() if v is not None} for name, spec in guards.items()}
    for name in ("queue_tolerance", "clearly_worse"):
        plain[name] = {"visits_to": "ppo", "below": 9}
    plain["better"] = {
        "metric": f"evaluate.{RETURN}", question: {"baseline": "champion", "absolute": 0}, "evidence": "full"
    }  # fmt: skip
    return plain


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"candidate": OTHER}, "the evidence is about other weights"),
        ({"evidence": "quick"}, "the visit gathered 'quick', not 'full'"),
        ({"looks": (10, 20)}, "looks were taken after [10, 20] episodes, declared were [20, 40]"),
        ({"looks": ()}, "looks were taken after []"),
        ({"looks": (20, 40)}, "expected 40 episodes, found 20 values"),
        ({"baselines": {"champion": OTHER}}, "the evidence names another champion"),
    ],
)
def test_evidence_that_does_not_fit_is_unknown(changes: Mapping[str, Any], why: str) -> None:
    """Other weights, other looks, another baseline, another name."""
    report = asked(BETTER, known(table=evolve(table(waves(FAR, 20)), **changes)))
    assert (Verdict.UNKNOWN, True) == (report.verdict, why in report.sentence), report.sentence


def test_evidence_that_is_missing_or_not_finite_is_unknown() -> None:
    """A lost blob, an infinite value, a candidate without values."""
    assert "blob" in asked(BETTER, known()).sentence
    infinite = table([*waves(FAR, 39), math.inf])
    assert Verdict.PASS is asked(BETTER, known(table=infinite)).verdict  # the second look was never needed
    infinite = table([math.nan, *waves(FAR, 39)])
    assert Verdict.UNKNOWN is asked(BETTER, known(table=infinite)).verdict
    bare = table(waves(FAR, 20), metrics=(PairedMetric(metric=RETURN, values={"champion": (0.0,) * 20}),))
    assert Verdict.UNKNOWN is asked(BETTER, known(table=bare)).verdict


def test_a_visit_beyond_those_the_error_was_divided_over_decides_nothing() -> None:
    """The counters allow four; a fifth would be a free throw."""
    report = asked(BETTER, known(table=table(waves(FAR, 20)), visits={"evaluate": 5}))
    assert (Verdict.UNKNOWN, True) == (report.verdict, "beyond those" in report.sentence)


def test_evidence_is_decided_when_every_guard_that_asks_it_is() -> None:
    """The looks inside evaluate stop by the judge's own rule."""
    far, near = waves(5.0, 20), waves(NEAR, 20)
    queues = PairedMetric(metric=QUEUES, values={"candidate": tuple(waves(1.0, 20, 0.01)), "champion": (2.0,) * 20})
    for values, expected in ((far, True), (near, False)):
        gathered = table(values)
        gathered = evolve(gathered, metrics=(*gathered.metrics, queues))
        assert expected is is_decided(gathered, "evaluate", known())
    assert is_decided(evolve(table(far), evidence="quick"), "evaluate", known())  # nobody asks it


# The gate as a whole


def test_few_runs_of_equal_policies_are_promoted() -> None:
    """400 runs of four equal candidates each, two looks a visit: at most 5 % promote, within the binomial's noise.

    The chance of more than 32 promotions in 400 runs at exactly 5 % is below 0.5 %.
    """
    source = random.Random(20261101)
    promoted = 0
    for _ in range(400):
        for _ in range(4):
            baseline = [source.gauss(10, 2) for _ in range(40)]
            candidate = [b + source.gauss(0, 1) for b in baseline]
            report = asked(BETTER, known(table=table(candidate, baseline)))
            if report.verdict is Verdict.PASS:
                promoted += 1
                break
    assert 0 < promoted <= 32
