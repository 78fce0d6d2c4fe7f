"""The short form of the simulations in docs/benchmarks/gate.md: where an error is clearly above 5 %, these fail."""

from typing import Any

import gate_counts
import pytest
from gate_error import LOOKS, Found, at_the_limit, judged, with_gains
from gate_pairs import SHAPES
from gate_tails import losing, tail_passes

from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.look_errors import LookErrors

RUNS, SEED = 300, 11
BAR = 0.05


def exceeds(found: Found) -> bool:
    """Return whether the exact interval of the error lies above the bar."""
    return found.interval()[0] > BAR


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("normal", "better_by 0"),
        ("correlated −0.5", "not_worse_than, relative"),
        ("heavy (t, 3 df)", "better_by 0"),
        ("skewed down (exponential)", "better_by 0"),
        ("bounded, candidate erratic", "not_worse_than, absolute"),
        ("zero-inflated events, both", "not_worse_than, relative"),
        ("5 % missing, dropped", "better_by 0"),
    ],
)
def test_the_gate_keeps_its_error_on_pairs_of_many_shapes(name: str, asked: str) -> None:
    """Asked where the true answer is no, just so."""
    shape = SHAPES[name]
    (question,) = (each for each in at_the_limit(shape) if each.name == asked)
    assert not exceeds(judged(question, shape, RULE, RUNS, SEED))


def test_student_s_bounds_would_not_pass_here() -> None:
    """As many runs are enough to see that rule 2 errs on skewed differences."""
    shape = SHAPES["skewed down (exponential)"]
    assert exceeds(judged(at_the_limit(shape)[0], shape, 2, RUNS, SEED))


def test_a_true_gain_is_found() -> None:
    """0.4 standard deviations: above 0.9 of visits in the full form."""
    shape = SHAPES["normal"]
    assert judged(with_gains(shape)[1], shape, RULE, 50, SEED).passed.mean() > 0.8


def test_verdicts_do_not_rest_on_p_values(monkeypatch: Any) -> None:
    """The simulations leave out the p-values over all looks; with them the verdicts are the same."""
    shape = SHAPES["skewed down (exponential)"]
    asked = with_gains(shape)[0]
    quick = judged(asked, shape, RULE, 10, SEED)
    monkeypatch.setattr("gate_error.OfOneLook", LookErrors)
    full = judged(asked, shape, RULE, 10, SEED)
    assert quick.passed.tolist() == full.passed.tolist()
    assert {True, False} == set(full.passed.flatten().tolist())


def test_a_tail_guard_keeps_its_error_at_its_limit_and_sees_what_the_mean_does_not() -> None:
    """Losses in 5.0 % of episodes: `better` passes in many runs, `tail` with the limit 5 % in few."""
    shape = losing(BAR)
    asked = at_the_limit(shape)[0]
    better = judged(asked, shape, RULE, RUNS, SEED)
    own, other = asked.pairs(shape, better.passed.size, SEED)
    assert exceeds(better)
    assert not exceeds(Found(passed=tail_passes(own, other, BAR).reshape(better.passed.shape), episodes=LOOKS[-1]))


@pytest.mark.parametrize("name", ["wipe-outs, 1 in 10", "single and wipe-outs, 1 in 40", "one by one, 2 an episode"])
def test_counts_divided_by_their_dispersion_keep_their_error(name: str) -> None:
    """At equal rates, and at the relative margin; without the division wipe-outs pass in half of all runs."""
    for asked in gate_counts.questions(name)[:2]:
        found = {
            test: gate_counts.judged(asked, name, test, asked.ratio, RUNS, SEED)
            for test in ("counts", "counts ÷ dispersion")
        }
        assert not exceeds(found["counts ÷ dispersion"])
        assert exceeds(found["counts"]) == ("wipe-outs" in name)
