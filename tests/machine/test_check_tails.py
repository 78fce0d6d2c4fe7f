"""Guards on rare losses and on events, as the loader sees them: what can never decide is refused or warned of."""

from pathlib import Path

import pytest
from catalogue import catalogue, describe

from townlet.dto.schedule import Plan
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.look_errors import look_errors
from townlet.machine.schedule.forecast import Forecast, forecast
from townlet.machine.schedule.loader import ScheduleError, load_text
from townlet.machine.schedule.tails import unguarded_tails

SMALL_TOWN = (Path(__file__).parent / "data" / "small_town.yaml").read_text("utf-8")
LIVES = "metric: evaluate.deaths, not_worse_than: {baseline: champion, relative: 25%, floor: 0.02}, evidence: full"
RETURN = "metric: evaluate.return_per_agent_day"
WORSE = f"{RETURN}, share_worse: {{baseline: champion, absolute: 3, at_most: 6%}}, evidence: full"


def plan_of(guard: str) -> Plan:
    """Return the plan of the reference schedule with another guard `lives`."""
    assert 1 == SMALL_TOWN.count(LIVES)
    return load_text(SMALL_TOWN.replace(LIVES, guard).encode(), "x.yaml", catalogue(), describe)


def told(guard: str) -> Forecast:
    """Return the forecast of that plan."""
    plan = plan_of(guard)
    return forecast(plan, catalogue(), describe(plan.schedule.environment))


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        (WORSE.replace("champion", "chmp"), "unknown baseline 'chmp'; did you mean"),
        (WORSE.replace("champion", "accepted"), "'accepted' remembers the best training statistic"),
        (WORSE.replace("full", "ful"), "unknown evidence 'ful'; did you mean 'full'?"),
        (WORSE.replace("return_per_agent_day", "chats"), "'chats' has no better direction"),
        (
            "metric: ppo.approx_kl_p95, share_above: {limit: 1, at_most: 10%}, evidence: full",
            "is a statistic of one visit",
        ),
        (WORSE.replace("at_most: 6%", "at_most: 0%"), "more than 0% and less than 100%"),
        (WORSE.replace(", evidence: full", ""), "share_worse needs evidence"),
        (WORSE.replace("absolute: 3, ", ""), "expected relative or absolute"),
        (
            WORSE.replace("6%", "4%"),
            "can never pass: even where none is bad, it takes 108 episodes to exclude 4%, and evidence 'full' has 100",
        ),
        (
            "metric: evaluate.attendance, share_below: {limit: 1.5, at_most: 10%}, evidence: full",
            "can never pass: evaluate.attendance lies between 0 and 1",
        ),
        (
            "metric: evaluate.attendance, share_below: {limit: 0, at_most: 10%}, evidence: full",
            "can never fail: evaluate.attendance lies between 0 and 1",
        ),
        (
            "metric: evaluate.attendance, share_above: {limit: 1, at_most: 10%}, evidence: full",
            "can never fail: evaluate.attendance lies between 0 and 1",
        ),
        (
            "metric: evaluate.deaths, share_above: {limit: 1, at_most: 10%}, evidence: full, without_baseline: skip",
            "share_above has no baseline that could be missing",
        ),
        (
            f"{RETURN}, better_by: {{baseline: champion, absolute: 0}}, evidence: full, test: count",
            "'return_per_agent_day' is not declared as a number of events (deaths are)",
        ),
        (f"{LIVES}, test: count, missing: worst", "nobody knows how many events"),
        (f"{LIVES}, test: exact", "expected 'mean' or 'count', found 'exact'"),
        (f"{WORSE}, test: count", "test cannot stand beside share_worse"),
    ],
)
def test_a_guard_that_could_never_decide_is_refused(guard: str, message: str) -> None:
    """One message each, with what to do."""
    with pytest.raises(ScheduleError) as caught:
        plan_of(guard)
    messages = [mistake.message for mistake in caught.value.mistakes]
    assert 1 == len(messages), messages
    assert message in messages[0]


@pytest.mark.parametrize(
    "guard",
    [
        f"{LIVES}, test: count",
        f"{LIVES}, test: count, missing: drop",
        "metric: evaluate.chats, share_above: {limit: 5, at_most: 10%}, evidence: full",
    ],
)
def test_a_guard_that_can_decide_is_accepted(guard: str) -> None:
    """Events that are counted; a limit on a metric without a better direction."""
    assert "lives" in plan_of(guard).schedule.guards


def test_a_promotion_by_means_alone_is_warned_of() -> None:
    """The sentence has a guard that can be pasted; with that guard it is gone."""
    (sentence,) = unguarded_tails(plan_of(LIVES))
    assert "evaluate → promote: means decide, and none shows a loss in fewer than 1 of 34 episodes" in sentence
    assert "share_worse: {baseline: champion, absolute: D, at_most: 6%}, evidence: full}" in sentence
    assert [] == list(unguarded_tails(plan_of(WORSE)))


def test_a_tail_guard_that_need_not_hold_is_none() -> None:
    """Under `any` beside a mean it decides nothing."""
    text = SMALL_TOWN.replace(LIVES, WORSE)
    assert 1 == text.count("small_updates, lives")
    text = text.replace("small_updates, lives", "small_updates, {any: [lives, better]}")
    assert 1 == len(list(unguarded_tails(load_text(text.encode(), "x.yaml", catalogue(), describe))))


def test_each_look_says_which_share_it_excludes() -> None:
    """Four visits share 5 %: 100 episodes without a bad one exclude 4.3 %, and 3 % where nothing else is asked."""
    plan = plan_of(WORSE)
    first, last = told(WORSE).exclusions
    levels = look_errors(plan.schedule.evidence["full"], plan, 1, RULE).exact
    assert (50, 100) == (first.episodes, last.episodes)
    assert [1 - level ** (1 / n) for level, n in zip(levels, (50, 100), strict=True)] == [
        pytest.approx(first.share), pytest.approx(last.share)
    ]  # fmt: skip
    assert last.share_alone == pytest.approx(1 - 0.05**0.01)


def test_a_tail_guard_says_from_which_look_on_it_can_pass() -> None:
    """Six per cent is excluded by 100 episodes, 30 % by 50; a mean has no such look."""
    passes = {share: told(WORSE.replace("6%", share)).guards for share in ("6%", "30%")}
    found = {share: next(g for g in guards if g.guard == "lives") for share, guards in passes.items()}
    assert {"6%": 100, "30%": 50} == {share: guard.passes_from for share, guard in found.items()}
    assert all(guard.detectable is None for guard in found.values())
    assert all(guard.passes_from is None for guard in told(LIVES).guards)
