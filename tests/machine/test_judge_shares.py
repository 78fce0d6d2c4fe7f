"""Guards on the share of bad episodes, on cases worked by hand: 20 and 40 episodes, α = 0.0125 a visit."""

from typing import Any

import pytest
from cases import PLAN, RETURN, asked, guard, known, table
from plans import SCHEDULE, make_plan

from townlet.confidence.tails import share_bounds
from townlet.dto.guards import GuardSpec, Verdict
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.evaluate import is_decided
from townlet.machine.guards.look_errors import look_errors

LEVELS = look_errors(PLAN.schedule.evidence["full"], PLAN, 1, RULE).exact
"""What O'Brien and Fleming's function spends at each look: 0.000412, then 0.012088."""


def worse(by: float = 5.0, at_most: str = "20%", **more: Any) -> GuardSpec:
    """Return a limit on episodes that are worse than the champion's by more than `by`."""
    margin = {"baseline": "champion", "absolute": by, "at_most": at_most}
    return guard(metric=f"evaluate.{RETURN}", share_worse=margin, evidence="full", **more)


def below(limit: float = -5.0, at_most: str = "20%", **more: Any) -> GuardSpec:
    """Return a limit on episodes with a return below `limit`."""
    return guard(metric=f"evaluate.{RETURN}", share_below={"limit": limit, "at_most": at_most}, evidence="full", **more)


@pytest.mark.parametrize(("bad", "expected"), [(0, Verdict.PASS), (2, Verdict.PASS), (3, Verdict.UNDECIDED)])
def test_so_many_bad_episodes_leave_the_share_below_its_limit(bad: int, expected: Verdict) -> None:
    """Of 40, two leave an upper bound below 20 %, three do not: P(Bin(40, 0.2) ≤ 2) = 0.0079, ≤ 3: 0.028."""
    report = asked(worse(), known(table=table([-9.0] * bad + [1.0] * (40 - bad))))
    low, high = share_bounds(bad, 40, LEVELS[1])
    assert (expected, "share", 40, 2) == (report.verdict, report.test, report.pairs, report.look)
    assert (bad / 40, low, high, 0.2) == (report.value, report.low, report.high, report.limit)


def test_a_loss_that_a_mean_makes_up_for_is_seen() -> None:
    """Thirty of forty gain 100 and ten lose 9: better on average, and not rarely worse."""
    found = known(table=table([-9.0, 100.0, 100.0, 100.0] * 10))
    assert Verdict.FAIL == asked(worse(at_most="5%"), found).verdict
    better = guard(metric=f"evaluate.{RETURN}", better_by={"baseline": "champion", "absolute": 0}, evidence="full")
    assert Verdict.PASS == asked(better, found).verdict


def test_the_first_look_excludes_less_than_the_last() -> None:
    """With 20 episodes at 0.000412 nothing below 32 % is excluded: a guard on 20 % lets the candidate play on."""
    first = table([3.0, 5.0] * 10)
    tail: dict[str, Any] = {"metric": f"evaluate.{RETURN}", "evidence": "full"}
    tail["share_worse"] = {"baseline": "champion", "absolute": 5.0, "at_most": "20%"}
    guarded = make_plan(guards={**SCHEDULE["guards"], "queue_tolerance": tail})
    assert is_decided(first, "evaluate", known(table=first))
    assert not is_decided(first, "evaluate", known(table=first, plan=guarded))
    assert Verdict.PASS == asked(worse(at_most="33%"), known(table=first)).verdict
    report = asked(worse(at_most="20%"), known(table=first))
    assert (Verdict.UNKNOWN, True) == (report.verdict, "look 1 of 2 without a decision" in report.sentence)


def test_sentences_say_what_a_bad_episode_is() -> None:
    """The number of bad episodes, the bound, and the worst episode."""
    report = asked(below(), known(table=table([*[1.0] * 39, -7.5])))
    assert report.sentence == (
        "evaluate.return_per_agent_day is below -5 in 1 of 40 episodes: 98.8% bound 15% below limit 20% "
        "(look 2 of 2, p 0.0019)"
    )
    assert (-7.5, 39) == (report.worst, report.worst_episode)


def test_the_worst_pair_is_named_by_its_difference() -> None:
    """Episode 3 is 4 worse than the champion's, although episode 0 has a lower return."""
    report = asked(worse(), known(table=table([0.0, *[6.0] * 2, 1.0, *[6.0] * 36], [0.0, *[5.0] * 39])))
    assert (-4.0, 3) == (report.worst, report.worst_episode)


def test_share_above_counts_high_values_whatever_is_better() -> None:
    """Two of forty are above 10."""
    spec = guard(metric=f"evaluate.{RETURN}", share_above={"limit": 10, "at_most": "20%"}, evidence="full")
    report = asked(spec, known(table=table([11.0, 12.0, *[10.0] * 38])))
    assert (Verdict.PASS, 0.05, 12.0) == (report.verdict, report.value, report.worst)


def test_an_episode_at_the_limit_is_not_bad() -> None:
    """Neither at a fixed limit nor where rounding decides."""
    assert 0.0 == asked(below(limit=1.0), known(table=table([1.0] * 40))).value
    assert 0.0 == asked(worse(by=0.1), known(table=table([0.2] * 40, [0.1 + 0.2] * 40))).value


def test_a_relative_distance_is_a_share_of_the_baselines_mean() -> None:
    """Thirty per cent of 10 is 3: a difference of −3.5 is bad, one of −2.5 is not."""
    margin = {"baseline": "champion", "relative": "30%", "floor": 1.0, "at_most": "20%"}
    spec = guard(metric=f"evaluate.{RETURN}", share_worse=margin, evidence="full")
    report = asked(spec, known(table=table([6.5, *[7.5] * 39], [10.0] * 40)))
    assert (1 / 40, "relative") == (report.value, report.tolerance)


@pytest.mark.parametrize(
    ("missing", "expected"), [(None, Verdict.UNKNOWN), ("worst", Verdict.UNDECIDED), ("drop", Verdict.PASS)]
)
def test_an_episode_without_exposure_counts_as_the_guard_says(missing: str | None, expected: Verdict) -> None:
    """Four of forty lack exposure: unknown, bad, or nothing."""
    more = {} if missing is None else {"missing": missing}
    stored = table([None] * 4 + [1.0] * 36)
    for spec in (worse(**more), below(**more)):
        report = asked(spec, known(table=stored))
        assert (expected, (0, 1, 2, 3)) == (report.verdict, report.candidate_missing)


def test_without_a_baseline_only_the_fixed_limit_is_known() -> None:
    """Nothing was pinned: the pair is unknown or skipped, the limit is judged."""
    found = known(table=table([1.0] * 40), baseline_digests={})
    assert Verdict.UNKNOWN == asked(worse(), found).verdict
    assert Verdict.SKIPPED == asked(worse(without_baseline="skip"), found).verdict
    assert Verdict.PASS == asked(below(), found).verdict


def test_episodes_that_are_no_pairs_have_no_worse_one() -> None:
    """The environment does not obey its seed: only a fixed limit can be judged."""
    found = known(table=table([1.0] * 40, unpaired=True))
    report = asked(worse(), found)
    assert (Verdict.UNKNOWN, True) == (report.verdict, "share_below" in report.sentence)
    assert Verdict.PASS == asked(below(), found).verdict


@pytest.mark.parametrize("at_most", ["0%", "100%"])
def test_a_share_that_says_nothing_is_refused(at_most: str) -> None:
    """No number of episodes excludes every bad one, and all of them exclude nothing."""
    with pytest.raises(Exception, match="more than 0% and less than 100%"):
        worse(at_most=at_most)


@pytest.mark.parametrize(("missing", "expected"), [("drop", Verdict.UNKNOWN), ("worst", Verdict.FAIL)])
def test_a_candidate_that_never_has_exposure_is_no_crash(missing: str, expected: Verdict) -> None:
    """The catastrophe that the guard is for: every episode is bad, or none is counted."""
    found = known(table=table([None] * 40, [1.0] * 40))
    assert expected == asked(worse(missing=missing), found).verdict
    neither = known(table=table([None] * 40, [None] * 40))
    assert Verdict.UNKNOWN == asked(worse(missing=missing), neither).verdict


def test_a_worst_difference_beyond_all_numbers_is_left_out() -> None:
    """The journal has no infinity."""
    report = asked(worse(), known(table=table([-1.2e308, *[1.0] * 39], [1.2e308, *[1.0] * 39])))
    assert (None, 1 / 40) == (report.worst, report.value)
