"""What the versions of the rule decide: by each its own, and how rule 3 spends the error and counts skewness."""

import pytest
from attrs import evolve
from cases import PLAN, asked, compared, known, table, waves
from plans import make_plan

from townlet.dto.guards import Verdict
from townlet.estimate import bounds
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.evaluate import is_decided
from townlet.machine.guards.look_errors import look_errors

BETTER = compared("better_by", evidence=True, absolute=0)
FAR = 0.93


def test_verdicts_of_the_second_rule_are_derived_by_it() -> None:
    """It gave each look the same error, and did not look at skewness: a gain of 0.65 was enough after 20 episodes."""
    stored = table(waves(0.65, 20))
    assert Verdict.UNKNOWN is asked(BETTER, known(table=stored)).verdict
    second = asked(BETTER, known(table=stored, rule=2))
    assert (Verdict.PASS, 2, None, None) == (second.verdict, second.rule, second.p_value, second.skewness)
    assert second.low == pytest.approx(0.65 - 0.6330, abs=2e-4)
    assert second.sentence.endswith("99.38% bound 0.01714 above limit 0 (20 pairs, look 1 of 2)")


def test_rare_and_large_losses_widen_the_bound_towards_them() -> None:
    """One episode of forty loses 20, the others gain 1.4: only the lower bound is moved."""
    losses = [-20.0] + [1.4 + 0.01 * (-1) ** i for i in range(39)]
    report = asked(BETTER, known(table=table(losses)))
    assert (2, pytest.approx(-6.08, abs=0.01)) == (report.look, report.skewness)
    low, high = bounds(losses, look_errors(PLAN.schedule.evidence["full"], PLAN, 1, 3).each[1])
    assert report.low is not None
    assert report.low < low - 1
    assert report.high == pytest.approx(high)


def test_the_error_of_a_visit_can_be_declared() -> None:
    """Half of 5 % for the first visit, so 20 episodes decide there what they do not at the third."""
    declared = make_plan(
        evidence={"full": {"episodes": [20, 40], "confidence": "95%", "visits": ["50%", "30%", "10%", "10%"]}}
    )
    near = table(waves(0.85, 20))
    assert Verdict.PASS is asked(BETTER, known(table=near, plan=declared, visits={"evaluate": 1})).verdict
    assert Verdict.UNKNOWN is asked(BETTER, known(table=near, plan=declared, visits={"evaluate": 3})).verdict


@pytest.mark.parametrize(
    ("spending", "reach"), [("obrien_fleming", 0.9104), ("pocock", 0.6100), ("bonferroni", 0.6330)]
)
def test_the_way_of_spending_is_the_schedules(spending: str, reach: str) -> None:
    """How far the first look's bound is from the mean, at 0.0125 a visit."""
    plan = make_plan(evidence={"full": {"episodes": [20, 40], "confidence": "95%", "spending": spending}})
    report = asked(BETTER, known(table=table(waves(5.0, 20)), plan=plan))
    assert report.low == pytest.approx(5.0 - reach, abs=2e-3)


def test_a_p_value_at_the_second_look_counts_the_first() -> None:
    """A mean on the boundary has the error of the visit as its p-value, within a hair."""
    report = asked(BETTER, known(table=table(waves(0.37407, 40))))
    assert (2, pytest.approx(0.0125, abs=1e-4)) == (report.look, report.p_value)


def test_verdicts_of_the_first_rule_are_derived_by_it() -> None:
    """A journal of an earlier Townlet holds what that one decided."""
    rounding, gaps = table([0.1 + 0.2] * 40, [0.3] * 40), table([None] * 4 + waves(FAR, 36), [0.0] * 40)
    for stored, now in ((rounding, Verdict.FAIL), (gaps, Verdict.UNKNOWN)):
        assert (now, RULE) == ((report := asked(BETTER, known(table=stored))).verdict, report.rule)
        first = asked(BETTER, known(table=stored, rule=1))
        assert (Verdict.PASS, 1, (), ()) == (first.verdict, first.rule, first.candidate_missing, first.baseline_missing)


def test_a_visit_beyond_the_declared_shares_decides_nothing_and_raises_nothing() -> None:
    """Neither where the looks are stopped nor where the guard is evaluated."""
    evidence = {"full": {"episodes": [20, 40], "confidence": "95%", "visits": ["25%", "25%", "25%", "25%"]}}
    gathered = table(waves(5.0, 20))
    beyond = known(table=gathered, plan=make_plan(evidence=evidence), visits={"evaluate": 5})
    assert is_decided(gathered, "evaluate", beyond) in {True, False}
    assert Verdict.UNKNOWN is asked(BETTER, beyond).verdict


@pytest.mark.parametrize("gain", [1e6, -1e6])
def test_a_difference_of_any_size_has_a_p_value(gain: float) -> None:
    """Far in the tail it is 0 or 1, and never missing."""
    for episodes in (20, 40):
        report = asked(BETTER, known(table=table(waves(gain, episodes))))
        assert report.p_value == pytest.approx(0.0 if gain > 0 else 1.0)


def test_episodes_that_are_not_pairs_have_a_p_value_and_no_skewness() -> None:
    """Welch's test at the same errors."""
    report = asked(BETTER, known(table=evolve(table(waves(3.0, 20), waves(0.0, 20, size=0.5)), unpaired=True)))
    assert (Verdict.PASS, None) == (report.verdict, report.skewness)
    assert report.p_value is not None
    assert report.p_value < 1e-4
