"""The judge on cases worked by hand: thresholds, counters and comparisons of two numbers."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve
from cases import CANDIDATE, CHAMPION, OTHER, QUEUES, RETURN, asked, compared, guard, known, table
from fakes import measurement, ppo_result

from townlet.dto.codec import CodecError
from townlet.dto.guards import (
    BetweenSpec,
    ComparisonSpec,
    GuardSpec,
    PairedComparisonSpec,
    ThresholdSpec,
    Verdict,
    VisitCountSpec,
)
from townlet.dto.policy import BCTrainingResult, CaptureResult
from townlet.machine.journal.run_state import Accepted


@pytest.mark.parametrize(
    ("question", "limit", "expected"),
    [
        ("at_least", 0.2, Verdict.PASS), ("at_least", 0.21, Verdict.FAIL), ("at_most", 0.2, Verdict.PASS),
        ("at_most", 0.19, Verdict.FAIL),
    ],
)  # fmt: skip
def test_thresholds_are_inclusive(question: str, limit: float, expected: Verdict) -> None:
    """The value loss is 0.2."""
    report = asked(guard(metric="ppo.value_loss", **{question: limit}), known())
    assert (expected, 0.2, limit) == (report.verdict, report.value, report.limit)


def test_counters_count_below_their_limit() -> None:
    """Two visits are below 3 and not below 2; a state never visited counts 0."""
    assert Verdict.PASS is asked(guard(visits_to="ppo", below=3), known()).verdict
    assert Verdict.FAIL is asked(guard(visits_to="ppo", below=2), known()).verdict
    assert Verdict.PASS is asked(guard(visits_to="rollback", below=1), known()).verdict


@pytest.mark.parametrize(
    ("metric", "changes", "why"),
    [
        ("bc.heldout_accuracy", {}, "bc has not been visited"),
        ("ppo.happiness", {}, "ppo does not report happiness"),
        ("ppo.value_loss", {"results": {"ppo": ppo_result(CANDIDATE, value_loss=math.nan)}}, "its value is nan"),
        ("ppo.value_loss", {"results": {"ppo": ppo_result(OTHER)}}, "it was measured on other weights"),
        ("ppo.value_loss", {"results": {"ppo": ppo_result(None)}}, "it was measured on other weights (none)"),
        ("evaluate.deaths", {}, f"it was not measured on {CANDIDATE[:12]}"),
        ("evaluate.unheard_of", {}, "it could not be judged (KeyError"),
        ("nonsense", {}, "'nonsense' is not a metric"),
    ],
)
def test_what_is_not_known_is_unknown(metric: str, changes: Mapping[str, Any], why: str) -> None:
    """Missing, NaN, of other weights: never a pass, and the sentence says why."""
    report = asked(guard(metric=metric, at_least=0.0), known(**changes))
    assert Verdict.UNKNOWN is report.verdict
    assert why in report.sentence


def test_a_statistic_without_a_value_is_unknown() -> None:
    """`heldout_r2` of a clone without box heads is missing; of one with them it is judged as any number."""
    clone = BCTrainingResult(
        weights=CANDIDATE,
        heldout_accuracy=0.9,
        heldout_nll=0.2,
        train_accuracy=0.9,
        train_loss=0.2,
        value_loss=0.3,
        worst_recall=0.8,
    )
    question = guard(metric="bc.heldout_r2", at_least=0.8)
    report = asked(question, known(results={"bc": clone}))
    assert (Verdict.UNKNOWN, True) == (report.verdict, "its value is missing" in report.sentence)
    for value, verdict in ((0.81, Verdict.PASS), (0.79, Verdict.FAIL)):
        assert verdict is asked(question, known(results={"bc": evolve(clone, heldout_r2=value)})).verdict


def test_a_measurement_on_other_weights_is_unknown() -> None:
    """The champion's number does not speak for the candidate, nor does one in another unit or none at all."""
    for found, why in (
        (measurement(RETURN, 12.0, CHAMPION), f"it was measured on {CHAMPION[:12]}"),
        (measurement(RETURN, 12.0, CANDIDATE, unit="1/day"), "it was measured in 1/day, expected 1/agent-day"),
        (measurement(RETURN, None, CANDIDATE), "its value is missing"),
        (measurement(RETURN, 12.0, CANDIDATE, scenario="crowded"), "it was not measured"),
        (measurement(RETURN, 12.0, CANDIDATE, actions="stochastic"), "it was not measured"),
    ):
        report = asked(guard(metric=f"evaluate.{RETURN}", at_least=0.0), known(measurements=[found]))
        assert Verdict.UNKNOWN is report.verdict
        assert why in report.sentence


def test_a_scenario_of_a_suite_is_asked_by_its_name() -> None:
    """``evaluate[crowded].return_per_agent_day`` is another number than the schedule's own scenario's."""
    found = [measurement(RETURN, 12.0, CANDIDATE), measurement(RETURN, 3.0, CANDIDATE, scenario="crowded")]
    report = asked(guard(metric=f"evaluate[crowded].{RETURN}", at_least=5.0), known(measurements=found))
    assert (Verdict.FAIL, 3.0) == (report.verdict, report.value)


def test_capture_names_no_weights() -> None:
    """Its metrics are judged whatever the candidate is."""
    capture = CaptureResult(
        episodes=256.0, samples=1.0, action_entropy=0.5, perturbed_share=0.0, return_per_agent_day=1.0, action_counts={}
    )
    report = asked(guard(metric="capture.episodes", at_least=200), known(results={"capture": capture}))
    assert Verdict.PASS is report.verdict


# Comparisons of two numbers


@pytest.mark.parametrize(
    ("question", "margin", "value", "baseline", "expected", "limit", "tolerance"),
    [
        # higher is better: return 9 against 10 is 1 worse
        ("not_worse_than", {"relative": "10%", "floor": 1.0}, 9.0, 10.0, "pass", -1.0, "relative"),
        ("not_worse_than", {"relative": "5%", "floor": 1.0}, 9.0, 10.0, "fail", -0.5, "relative"),
        ("not_worse_than", {"absolute": 1.0}, 9.0, 10.0, "pass", -1.0, "absolute"),
        ("not_worse_than", {"relative": "5%", "floor": 1.0, "absolute": 2.0}, 9.0, 10.0, "pass", -2.0, "absolute"),
        ("better_by", {"absolute": 0}, 10.0, 10.0, "fail", 0.0, "absolute"),
        ("better_by", {"absolute": 0}, 10.1, 10.0, "pass", 0.0, "absolute"),
        ("better_by", {"relative": "50%", "floor": 1.0, "absolute": 0.5}, 11.0, 10.0, "pass", 0.5, "absolute"),
        ("worse_by", {"relative": "5%", "floor": 1.0}, 9.0, 10.0, "pass", -0.5, "relative"),
        ("worse_by", {"relative": "10%", "floor": 1.0}, 9.0, 10.0, "fail", -1.0, "relative"),
        # a negative or tiny baseline cannot flip the sign
        ("not_worse_than", {"relative": "10%", "floor": 1.0}, -10.5, -10.0, "pass", -1.0, "relative"),
        ("not_worse_than", {"relative": "10%", "floor": 1.0}, -11.5, -10.0, "fail", -1.0, "relative"),
        ("not_worse_than", {"relative": "10%", "floor": 1.0}, -0.05, 0.01, "pass", -0.1, "floor"),
        ("better_by", {"relative": "10%", "floor": 1.0}, -9.5, -10.0, "fail", 1.0, "relative"),
    ],
)
def test_comparisons_where_higher_is_better(
    question: str, margin: Mapping[str, Any], value: float, baseline: float, expected: str, limit: float, tolerance: str
) -> None:
    """The return per agent-day."""
    found = [measurement(RETURN, value, CANDIDATE), measurement(RETURN, baseline, CHAMPION)]
    report = asked(compared(question, **margin), known(measurements=found))
    assert (expected, value, baseline, tolerance) == (report.verdict, report.value, report.baseline, report.tolerance)
    assert limit == pytest.approx(report.limit)


@pytest.mark.parametrize(
    ("question", "margin", "value", "expected"),
    [
        ("not_worse_than", {"relative": "15%", "floor": 0.05}, 1.15, "pass"),
        ("not_worse_than", {"relative": "15%", "floor": 0.05}, 1.2, "fail"),
        ("better_by", {"absolute": 0.1}, 0.8, "pass"),
        ("better_by", {"absolute": 0.1}, 0.95, "fail"),
        ("worse_by", {"absolute": 0.1}, 1.2, "pass"),
        ("worse_by", {"absolute": 0.1}, 1.05, "fail"),
    ],
)
def test_comparisons_where_lower_is_better(
    question: str, margin: Mapping[str, Any], value: float, expected: str
) -> None:
    """Queue intensity against 1."""
    found = [measurement(QUEUES, value, CANDIDATE), measurement(QUEUES, 1.0, CHAMPION)]
    assert expected == asked(compared(question, QUEUES, **margin), known(measurements=found)).verdict


def test_a_metric_without_direction_cannot_be_better() -> None:
    """The checker refuses it; the judge does not guess."""
    found = [measurement("chats", 2.0, CANDIDATE), measurement("chats", 1.0, CHAMPION)]
    report = asked(compared("better_by", "chats", absolute=0), known(measurements=found))
    assert (Verdict.UNKNOWN, True) == (report.verdict, "no better direction" in report.sentence)


LOSS = {"baseline": "accepted", "relative": "10%", "floor": 0.05}


def test_accepted_is_the_best_value_among_accepted_rounds() -> None:
    """Losses of 0.3 and 0.15 were accepted: the bar is 0.15, and another state's rounds do not count."""
    rounds = (
        Accepted(state="ppo", visit=1, result=ppo_result(OTHER, value_loss=0.3)),
        Accepted(state="ppo", visit=2, result=ppo_result(OTHER, value_loss=0.15)),
        Accepted(state="polish", visit=1, result=ppo_result(OTHER, value_loss=0.01)),
        Accepted(state="ppo", visit=3, result=ppo_result(OTHER, value_loss=math.nan)),
    )
    report = asked(guard(metric="ppo.value_loss", not_worse_than=LOSS), known(accepted=rounds))
    assert (Verdict.FAIL, 0.2, 0.15) == (report.verdict, report.value, report.baseline)


def test_a_missing_baseline_is_unknown_or_skipped_as_the_guard_says() -> None:
    """No accepted round; a champion whose training statistics nobody has; a champion that does not exist."""
    point = compared("better_by", absolute=0)
    mine = [measurement(RETURN, 12.0, CANDIDATE)]
    for spec, what in (
        (guard(metric="ppo.value_loss", not_worse_than=LOSS), known()),
        (guard(metric="ppo.value_loss", not_worse_than={**LOSS, "baseline": "champion"}), known()),
        (point, known(measurements=mine)),
        (point, known(measurements=mine, baseline_digests={})),
        (compared("better_by", evidence=True, absolute=0), known(table=table([1.0] * 20), baseline_digests={})),
    ):
        assert (Verdict.UNKNOWN, True) == ((report := asked(spec, what)).verdict, "there is no" in report.sentence)
        assert Verdict.SKIPPED is asked(evolve(spec, without_baseline="skip"), what).verdict


# Kinds of guards


@pytest.mark.parametrize(
    ("limits", "expected", "nearest"),
    [
        ([0.2, 0.5], Verdict.PASS, 0.2),
        ([0.1, 0.2], Verdict.PASS, 0.2),
        ([0.2, 0.2], Verdict.PASS, 0.2),
        ([0.21, 0.5], Verdict.FAIL, 0.21),
        ([-1.0, 0.19], Verdict.FAIL, 0.19),
    ],
)
def test_between_includes_both_limits(limits: list[float], expected: Verdict, nearest: float) -> None:
    """The value loss is 0.2; the report shows the limit nearest to it."""
    report = asked(guard(metric="ppo.value_loss", between=limits), known())
    assert (expected, 0.2, nearest) == (report.verdict, report.value, report.limit)
    phrase = f"{limits[0]:.4g} and {limits[1]:.4g}"
    assert f"ppo.value_loss 0.2 is {'' if expected is Verdict.PASS else 'not '}between {phrase}" == report.sentence


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"metric": "ppo.value_loss", "at_most": 1}, ThresholdSpec),
        ({"metric": "ppo.value_loss", "between": [0, 1]}, BetweenSpec),
        ({"metric": "ppo.value_loss", "not_worse_than": LOSS}, ComparisonSpec),
        ({"metric": "evaluate.deaths", "worse_by": LOSS, "evidence": "full"}, PairedComparisonSpec),
        ({"visits_to": "ppo", "below": 3}, VisitCountSpec),
    ],
)
def test_the_keys_of_a_guard_select_its_kind(keys: dict[str, Any], kind: type) -> None:
    """Keys that an earlier Townlet wrote at their defaults say nothing."""
    earlier = dict.fromkeys(("metric", "at_least", "not_worse_than", "evidence", "visits_to")) | keys
    assert kind is type(guard(**keys)) is type(guard(**earlier, without_baseline="unknown"))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"metric": "a.b"}, "expected exactly one of at_least, at_most, between, not_worse_than"),
        ({"metric": "a.b", "at_least": 1, "below": 2}, "found at_least, below"),
        ({"metric": "a.b", "at_leest": 1}, "at_leest: unknown key 'at_leest'; did you mean 'at_least'?"),
        (
            {"metric": "a.b", "between": [2, 1]},
            "between as [low, high] with low of at most high",
        ),
        ({"metric": "a.b", "between": [1]}, "between: expected a list of 2, found 1 items"),
        ({"metric": "a.b", "between": [1, "x"]}, "between[1]: expected a number, found 'x'"),
        ({"at_least": 1}, "at_least needs metric"),
        ({"below": 3}, "below needs visits_to"),
        ({"metric": "a.b", "visits_to": "a", "below": 3}, "metric cannot stand beside below; expected only visits_to"),
        ({"metric": "a.b", "at_least": 1, "evidence": "full"}, "evidence cannot stand beside at_least"),
    ],
)
def test_a_guard_of_no_kind_is_refused(keys: dict[str, Any], problem: str) -> None:
    """The message names the key, what was expected and what was found."""
    with pytest.raises(CodecError) as raised:
        guard(**keys)
    assert problem in str(raised.value)


def test_a_kind_without_evaluate_function_holds_the_run() -> None:
    """It is UNKNOWN, and the sentence names the kind."""

    class NewSpec(GuardSpec):
        """A kind without a function in evaluate.py."""

        @property
        def subject(self) -> str:
            return "something new"

    report = asked(NewSpec.__new__(NewSpec), known())
    assert (Verdict.UNKNOWN, True) == (report.verdict, "NewSpec, which has no evaluate function" in report.sentence)


def test_means_over_different_numbers_of_episodes_are_not_compared() -> None:
    """An episode without exposure is left out of a mean, and may be the one that went wrong."""
    spec = compared("not_worse_than", absolute=0.0)
    for episodes, expected in ((40, Verdict.PASS), (36, Verdict.UNKNOWN)):
        candidate = measurement(RETURN, 10.0, CANDIDATE, episodes=episodes)
        baseline = measurement(RETURN, 9.0, CHAMPION)
        report = asked(spec, known(measurements=(candidate, baseline)))
        assert expected is report.verdict, report.sentence
    assert "a mean of 36 episodes, the baseline's of 40" in report.sentence
    assert Verdict.PASS is asked(spec, known(measurements=(candidate, baseline), rule=1)).verdict


def test_two_numbers_that_differ_by_rounding_are_equal() -> None:
    """0.1 + 0.2 is not better than 0.3, nor 0.3 worse."""
    for value, baseline, question, expected in (
        (0.1 + 0.2, 0.3, "better_by", Verdict.FAIL),
        (0.3, 0.1 + 0.2, "not_worse_than", Verdict.PASS),
        (0.3, 0.1 + 0.2, "worse_by", Verdict.FAIL),
    ):
        measurements = (measurement(RETURN, value, CANDIDATE), measurement(RETURN, baseline, CHAMPION))
        assert expected is asked(compared(question, absolute=0.0), known(measurements=measurements)).verdict
