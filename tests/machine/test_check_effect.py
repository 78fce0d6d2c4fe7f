"""Schedules that can be read but could never work: each is refused with its place and what to do."""

from pathlib import Path

import pytest
from catalogue import catalogue, describe
from hypothesis import given
from hypothesis import strategies as st

from townlet.machine.schedule.loader import ScheduleError, load_text

DATA = Path(__file__).parent / "data"
SMALL_TOWN = (DATA / "small_town.yaml").read_text("utf-8")


def edited(*changes: tuple[str, str]) -> bytes:
    """Return the reference schedule with pieces of its text replaced, each of which must be there once."""
    text = SMALL_TOWN
    for old, new in changes:
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    return text.encode()


def refused(*changes: tuple[str, str]) -> str:
    """Return the message of the only mistake of an edited schedule, after its line and column."""
    with pytest.raises(ScheduleError) as caught:
        load_text(edited(*changes), "x.yaml", catalogue(), describe)
    assert 1 == len(caught.value.mistakes), caught.value
    return caught.value.mistakes[0].message


CLONED = "metric: bc.heldout_accuracy, at_least: 0.90"
LIVES = "metric: evaluate.deaths, not_worse_than: {baseline: champion, relative: 25%, floor: 0.02}, evidence: full"
DEATHS = "metric: evaluate.deaths, better_by: {baseline: champion, relative: 100%, floor: 0.02}, evidence: full"
AT_WORK = (
    "metric: evaluate.attendance, not_worse_than: {baseline: champion, relative: 3%, floor: 0.5}, evidence: full",
    "metric: evaluate.attendance, not_worse_than: {baseline: champion, absolute: 1}, evidence: full",
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (CLONED, "metric: bc.heldout_accuracy, at_least: 1.5"),
            "never pass: bc.heldout_accuracy lies between 0 and 1",
        ),
        ((CLONED, "metric: bc.heldout_accuracy, at_most: 1"), "never fail: bc.heldout_accuracy lies between 0 and 1"),
        ((CLONED, "metric: bc.heldout_accuracy, between: [1.1, 2]"), "can never pass"),
        ((CLONED, "metric: bc.heldout_accuracy, between: [0, 1]"), "can never fail"),
        ((CLONED, "metric: bc.heldout_r2, at_least: 1.1"), "never pass: bc.heldout_r2 is at most 1"),
        (("metric: ppo.approx_kl_p95, at_most: 0.05", "metric: ppo.approx_kl_p95, at_most: -1"), "is at least 0"),
        (
            ("metric: capture.episodes, at_least: 200", "metric: capture.episodes, at_least: 257"),
            "never pass: capture.episodes lies between 0 and 256 with the options of 'capture'",
        ),
        (("metric: capture.action_entropy, at_least: 0.20", "metric: capture.action_entropy, at_least: 2"), "1.38629"),
        ((LIVES, "metric: evaluate.deaths, at_least: 0"), "never fail: evaluate.deaths is at least 0"),
        ((LIVES, DEATHS), "this guard can never pass"),
        (AT_WORK, "this guard can never fail: evaluate.attendance lies between 0 and 1"),
    ],
)
def test_a_guard_that_no_value_can_pass_or_fail_is_refused(change: tuple[str, str], message: str) -> None:
    """The range of the metric is in the message."""
    assert message in refused(change)


@pytest.mark.parametrize(
    "clone", ["heldout_nll, at_most: -0.5", "heldout_r2, at_least: 0.8", "heldout_r2, at_least: -1"]
)
def test_what_only_box_heads_reach_is_taken(clone: str) -> None:
    """Their density may be above 1, so that its negative logarithm is below 0; R² has no least value."""
    assert load_text(edited((CLONED, f"metric: bc.{clone}")), "x.yaml", catalogue(), describe)


@given(limit=st.floats(-2, 3), relation=st.sampled_from(["at_least", "at_most"]))
def test_a_limit_within_the_range_is_taken_and_one_outside_refused(limit: float, relation: str) -> None:
    """Exactly the limits that some share meets and another misses are accepted."""
    text = edited((CLONED, f"metric: bc.heldout_accuracy, {relation}: {limit!r}"))
    useful = 0 < limit <= 1 if relation == "at_least" else 0 <= limit < 1
    if useful:
        assert load_text(text, "x.yaml", catalogue(), describe)
    else:
        with pytest.raises(ScheduleError, match="this guard can never"):
            load_text(text, "x.yaml", catalogue(), describe)


CAPTURE = "with: {episodes: 256, days: 3}"
STEPS = "agent_steps: 2000000 "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((CAPTURE, "with: {episodes: 256, days: 3, ticks: 500}"), "days is ignored beside ticks: 500; ticks takes its"),
        ((CAPTURE, "with: {episodes: 256, days: 3, hidden_sizes: [32]}"), "it needs player: fresh; leave it out"),
        (("days: 14    ", "hidden_sizes: [32]\n      days: 14"), "hidden_sizes is ignored beside start_from: clone"),
        (("days: 14    ", "iterations: 900\n      days: 14"), "agent_steps is ignored beside iterations: 900"),
        (("days: 14    ", "bf16: true\n      days: 14"), "bf16 is ignored beside device: cpu"),
    ],
)
def test_an_option_without_effect_is_refused(change: tuple[str, str], message: str) -> None:
    """Whoever wrote it expected something of it."""
    assert message in refused(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (STEPS, "agent_steps: 70000 "),
            "the policy would not change: the last iteration begins at 49,152 agent-steps, and up to 75,000",
        ),
        ((CAPTURE, "with: {episodes: 256, days: 2}"), "need episodes of 101 decisions (3 ÷ (1 − 0.97) and one more)"),
        (
            ("agent_steps: 80000000", "agent_steps: 290000"),
            "'bc' can never be visited: the cheapest way to it (capture",
        ),
        (("agent_steps: 80000000", "agent_steps: 400000"), "'evaluate' can never be visited"),
    ],
)
def test_a_visit_that_could_do_nothing_useful_is_refused(change: tuple[str, str], message: str) -> None:
    """Ramps that are never reached, targets longer than episodes, budgets below what every run plays."""
    assert message in refused(change)


def test_the_schedule_of_a_run_that_exists_is_read_as_it_was_begun() -> None:
    """A stricter check does not keep anybody from resuming or auditing a run."""
    text = edited((CLONED, "metric: bc.heldout_accuracy, at_least: 0"), (STEPS, "agent_steps: 70000 "))
    assert 70_000 == load_text(text, "x.yaml", catalogue(), describe, stored=True).options["ppo"].agent_steps


@pytest.mark.parametrize("written", ["2200000", "2.2e6", "2_200_000", "22e5", "+2.2E+6"])
def test_whole_numbers_may_be_written_as_people_do(written: str) -> None:
    """With an exponent, or with digits in groups."""
    plan = load_text(edited((STEPS, f"agent_steps: {written} ")), "x.yaml", catalogue(), describe)
    assert 2_200_000 == plan.options["ppo"].agent_steps


@pytest.mark.parametrize(("written", "shown"), [("2.5e0", "2.5"), ("48.0", "48.0; write 48"), ("1e30", "1e+30")])
def test_a_number_with_a_fraction_is_still_no_whole_one(written: str, shown: str) -> None:
    """The message repeats the number, and a whole one where it is only written with a point."""
    message = refused(("num_steps: 48 ", f"num_steps: {written} "))
    assert f"expected a whole number, found {shown}" == message


def test_the_messages_are_those_of_the_golden_file() -> None:
    """Six different things that cannot work come at once, each with file, line, column, the line and a caret."""
    text = (DATA / "hopeless.yaml").read_bytes()
    with pytest.raises(ScheduleError) as caught:
        load_text(text, "hopeless.yaml", catalogue(), describe)
    assert (DATA / "hopeless.txt").read_text("utf-8") == f"{caught.value}\n"


CONFIDENCE = "episodes: [50, 100], days: 14, confidence: 95%"


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ("[50%, 25%]", "2 shares for at most 4 visits to evaluate; expected 4"),
        ("[50%, 25%, 15%, 15%]", "expected shares of the error above 0% that add up to at most 100%"),
        ("[100%, 0%, 0%, 0%]", "expected shares of the error above 0%"),
    ],
)
def test_shares_of_the_error_fit_the_visits(shares: str, message: str) -> None:
    """One for each visit that the counters allow, and no more than the whole together."""
    assert message in refused((CONFIDENCE, f"{CONFIDENCE}, visits: {shares}"))


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "bonferroni"])
def test_the_error_may_be_spent_in_three_ways(spending: str) -> None:
    """And divided over the visits as declared."""
    text = edited((CONFIDENCE, f"{CONFIDENCE}, spending: {spending}, visits: [70%, 10%, 10%, 10%]"))
    assert spending == load_text(text, "x.yaml", catalogue(), describe).schedule.evidence["full"].spending
