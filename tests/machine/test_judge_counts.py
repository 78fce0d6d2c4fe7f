"""Guards on events, on cases worked by hand: 20 and 40 episodes of exposure 10, α = 0.0125 a visit."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from cases import CANDIDATE, CHAMPION, PLAN, asked, guard, known
from plans import METRICS, make_plan

from townlet.confidence.counts import EventCounts, rate_difference_bounds, rate_ratio_bounds
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.fields import Direction
from townlet.dto.guards import GuardReport, GuardSpec, Verdict
from townlet.dto.metrics import MetricSpec
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.count_test import EventRates
from townlet.machine.guards.look_errors import look_errors

DEATHS = MetricSpec(
    name="deaths", unit="1/agent-day", direction=Direction.LOWER, exposure="agent-days", low=0.0, is_count=True
)
EXPOSURE = 10.0
FIRST, LEVEL = look_errors(PLAN.schedule.evidence["full"], PLAN, 1, RULE).exact


def deaths(question: str = "not_worse_than", test: str = "count", **margin: Any) -> GuardSpec:
    """Return a comparison of deaths with the champion."""
    margin = margin or {"relative": "25%", "floor": 0.02}
    return guard(metric="evaluate.deaths", **{question: {"baseline": "champion", **margin}}, evidence="full", test=test)


def judged(spec: GuardSpec, own: Sequence[float], other: Sequence[float], **changes: Any) -> GuardReport:
    """Return the report on events of the candidate and of the champion, episode by episode."""
    sums = {"candidate": tuple(own), "champion": tuple(other)}
    row = PairedMetric(
        metric="deaths",
        values={name: tuple(x / EXPOSURE for x in each) for name, each in sums.items()},
        sums=sums,
        exposures={name: (EXPOSURE,) * len(each) for name, each in sums.items()},
    )
    episodes = len(own)
    stored = EvidenceTable(
        evidence="full", candidate=CANDIDATE, baselines={"champion": CHAMPION}, seed=1,
        looks=(20,) if episodes == 20 else (20, 40), metrics=(evolve(row, **changes),),
    )  # fmt: skip
    metrics = {spec.name: spec for spec in (*METRICS, DEATHS)}
    return asked(spec, known(table=stored, metrics=metrics))


def spread(events: int, first: int = 0) -> list[float]:
    """Return one event in each of some of 40 episodes, from the `first` on."""
    return [float(first <= i < first + events) for i in range(40)]


def test_the_count_decides_where_the_mean_cannot() -> None:
    """Two deaths against none in 400 agent-days: their rate is below 0.025, and two of forty say little of a mean."""
    margin = {"relative": "25%", "floor": 0.1}
    by_mean, by_count = (judged(deaths(test=test, **margin), spread(2), spread(0)) for test in ("mean", "count"))
    assert (Verdict.PASS, "count") == (by_count.verdict, by_count.test)
    assert (Verdict.UNDECIDED, "mean") == (by_mean.verdict, by_mean.test)


def test_bounds_are_those_of_the_ratio_where_the_baseline_is_above_the_floor() -> None:
    """Half of the error is the ratio's; the report shows the difference that it means."""
    report = judged(deaths(), spread(2), spread(9, 20))
    counts = EventCounts(events=2, exposure=400, baseline_events=9, baseline_exposure=400)
    low, high = (((ratio - 1) * 9 / 400) for ratio in rate_ratio_bounds(counts, LEVEL / 2))
    assert (pytest.approx(low), pytest.approx(high), "relative") == (report.low, report.high, report.tolerance)
    assert (pytest.approx(-7 / 400), pytest.approx(9 / 400)) == (report.value, report.baseline)
    assert report.limit == pytest.approx(0.25 * 9 / 400)


def test_without_events_the_difference_is_bounded_by_the_exposure() -> None:
    """Nobody died: the bound is that of a rate without events. Means wait for the last look, where all are equal."""
    report = judged(deaths(relative="25%", floor=0.2), [0.0] * 40, [0.0] * 40)
    assert (Verdict.PASS, "floor", 1) == (report.verdict, report.tolerance, report.look)
    assert report.high == pytest.approx(-math.log(FIRST / 4) / 200)
    assert 2 == judged(deaths(test="mean", relative="25%", floor=0.2), [0.0] * 40, [0.0] * 40).look


def test_an_absolute_tolerance_has_the_whole_error() -> None:
    """Nothing is chosen from the data."""
    report = judged(deaths(absolute=0.02), spread(3), spread(4, 20))
    counts = EventCounts(events=3, exposure=400, baseline_events=4, baseline_exposure=400)
    assert pytest.approx(rate_difference_bounds(counts, LEVEL)) == (report.low, report.high)


def test_the_mean_stands_beside_it() -> None:
    """The report has both bounds, and says which judged."""
    report, mean = judged(deaths(), spread(2), spread(9)), judged(deaths(test="mean"), spread(2), spread(9))
    assert ("mean", mean.low, mean.high) == (report.check, report.check_low, report.check_high)


def test_sentences_name_the_events() -> None:
    """Both counts, before the pairs."""
    report = judged(deaths(), spread(2), spread(9, 20))
    assert "(2 events against 9, 40 pairs, look 2 of 2, p " in report.sentence


def test_better_and_worse_are_counted_too() -> None:
    """Two against thirty is fewer by half, and thirty against two is not."""
    few, many = spread(2), spread(30)
    assert Verdict.PASS == judged(deaths("better_by", relative="50%", floor=0.01), few, many).verdict
    assert Verdict.FAIL == judged(deaths("better_by", relative="50%", floor=0.01), many, few).verdict
    assert Verdict.PASS == judged(deaths("worse_by", relative="50%", floor=0.01), many, few).verdict


def test_a_p_value_is_at_most_the_error_where_the_guard_passes() -> None:
    """The least error at which the bound is within the limit, and what earlier looks spent."""
    passed, open_ = judged(deaths(), spread(2), spread(12)), judged(deaths(), spread(6), spread(9))
    assert (Verdict.PASS, Verdict.UNDECIDED) == (passed.verdict, open_.verdict)
    assert passed.p_value is not None
    assert open_.p_value is not None
    assert passed.p_value <= 0.0125 < open_.p_value


@pytest.mark.parametrize("own", [[0.5] * 40, [-1.0] * 40])
def test_what_is_no_number_of_events_is_unknown(own: list[float]) -> None:
    """Half a death, or fewer than none: the guard says what to do."""
    report = judged(deaths(), own, spread(3))
    assert (Verdict.UNKNOWN, True) == (report.verdict, "leave `test: count` out" in report.sentence)


def test_evidence_without_events_is_unknown() -> None:
    """A table that was stored for a guard on the mean."""
    report = judged(deaths(), spread(1), spread(3), sums={}, exposures={})
    assert (Verdict.UNKNOWN, True) == (report.verdict, "no events" in report.sentence)


def test_a_wipe_out_is_one_event_of_many_deaths() -> None:
    """Sixteen deaths in two episodes say as much as two: the rate of one side may be any multiple of the other's."""
    alone, together = spread(16), [8.0, 8.0, *[0.0] * 38]
    margin = {"relative": "25%", "floor": 0.02}
    few, whole = (judged(deaths(**margin), spread(2), each[::-1]) for each in (alone, together))
    assert (Verdict.PASS, Verdict.UNDECIDED) == (few.verdict, whole.verdict)
    assert "(2 events against 16, 40 pairs" in few.sentence
    assert "at a time, 40 pairs" in whole.sentence


def test_which_side_has_more_is_said_by_the_ratio_with_all_of_the_error() -> None:
    """One event against eleven is fewer; bounds of the difference give half of the error away, and cannot say so."""
    own, other = spread(1), spread(11, 20)
    report = judged(deaths("better_by", absolute=0), own, other)
    counts = EventCounts(events=1, exposure=400, baseline_events=11, baseline_exposure=400)
    assert report.high == pytest.approx((rate_ratio_bounds(counts, LEVEL)[1] - 1) * 11 / 400)
    assert Verdict.PASS == report.verdict


def test_a_margin_of_its_own_is_held_against_the_difference() -> None:
    """Fewer by more than 0.02: the ratio says nothing about that, however small it is."""
    report = judged(deaths("better_by", absolute=0.02), spread(1), spread(11, 20))
    counts = EventCounts(events=1, exposure=400, baseline_events=11, baseline_exposure=400)
    assert rate_difference_bounds(counts, LEVEL) == pytest.approx((report.low, report.high))
    assert Verdict.UNDECIDED == report.verdict


def test_sides_without_events_have_finite_bounds() -> None:
    """Nobody died on either side, or on one: nothing is infinite, and nothing is decided by 0 against 0."""
    for own, other, expected in ((0, 0, Verdict.UNDECIDED), (0, 12, Verdict.PASS), (12, 0, Verdict.FAIL)):
        report = judged(deaths("better_by", absolute=0), spread(own), spread(other))
        assert expected == report.verdict
        assert math.isfinite(report.low or 0.0)
        assert math.isfinite(report.high or 0.0)


def test_a_look_so_early_that_it_may_err_with_no_chance_at_all_has_finite_bounds() -> None:
    """Of 20 and 2,000 episodes the first look has an error below 1e-100: it decides nothing, and nothing is NaN."""
    plan = make_plan(evidence={"full": {"episodes": [20, 2000], "confidence": "95%"}})
    assert 1e-30 == look_errors(plan.schedule.evidence["full"], plan, 1, RULE).exact[0]
    rates = EventRates.of([4.0] * 4 + [0.0] * 16, [4.0] + [0.0] * 19, [1.0] * 20, [1.0] * 20)
    for bounds in (rates.bounds, rates.ratio_bounds):
        low, high = bounds(1e-30)
        assert -math.inf < low < rates.candidate - rates.baseline < high < math.inf


def test_bounds_hold_the_value_where_the_baseline_has_no_event() -> None:
    """Thirty against none: the ratio has no end, so the difference has the bounds."""
    report = judged(deaths(absolute=0), [1.0] * 30 + [0.0] * 10, [0.0] * 40)
    assert Verdict.FAIL == report.verdict
    assert (report.low or 0.0) < (report.value or 0.0) < (report.high or 0.0)
