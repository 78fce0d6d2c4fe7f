"""What replications and comparisons say in words, and what they never say."""

import pytest
from attrs import evolve

from townlet.machine.replication.evidence import Gain
from townlet.machine.replication.recipes import Recipe, RecipeComparison, RecipeKpi
from townlet.machine.replication.sentences import (
    comparison_headline,
    comparison_sentences,
    decision,
    replication_sentences,
    runs_sentence,
)
from townlet.machine.replication.summary import KpiSpread, Replicate, Replication

GAIN = Gain(
    metric="profit", against="champion", candidate=12.0, baseline=10.0, gain=2.0, error=0.5, pairs=32, left_out=0
)
SPREAD = KpiSpread(
    metric="profit",
    against="champion",
    direction="higher",
    runs=5,
    mean=2.0,
    sd=1.0,
    within=0.5,
    noise_share=0.25,
    retraining_sd=0.866,
    low=0.7,
    high=3.3,
)
KPI = RecipeKpi(recipe="b", metric="profit", unit="1", direction="higher", runs=5, episodes=160, left_out=0)


def replication(ended: int, runs: int = 5, spread: KpiSpread = SPREAD) -> Replication:
    """Return a replication of which so many runs ended."""
    replicates = tuple(
        Replicate(seed=seed, state="done" if seed < ended else "ppo", has_ended=seed < ended, gains=(GAIN,))
        for seed in range(runs)
    )
    return Replication(
        schedule="shop",
        digest="ab",
        replicates=replicates,
        ended=ended,
        promoted=0,
        promoted_low=0.0,
        promoted_high=0.5,
        spreads=(spread,),
    )


def comparison(runs: int, *, low: float, high: float) -> RecipeComparison:
    """Return a comparison of two recipes with so many runs each."""
    recipes = tuple(
        Recipe(name=name, digest=name, runs=tuple(map(str, range(runs))), seeds=tuple(range(runs))) for name in "ab"
    )
    second = evolve(KPI, runs=runs, improvement=(low + high) / 2, improvement_low=low, improvement_high=high)
    return RecipeComparison(recipes=recipes, objective="profit", kpis=(evolve(KPI, recipe="a", runs=runs), second))


def test_four_runs_say_nothing_of_the_recipe() -> None:
    """Each run speaks of its own weights; the fifth makes it a recipe."""
    few, enough = (" ".join(replication_sentences(replication(ended))) for ended in (4, 5))
    assert "this recipe" not in few
    assert "4 of 5 runs ended" in few
    assert (
        "seed 3, these weights: not promoted; profit 12, champion 10, difference 2 with standard error 0.5 (32 pairs)"
        in few
    )
    assert "seed 4, these weights" not in few
    assert "these weights" not in enough
    assert "this recipe: profit differs by 2 from champion in the mean of 5 runs, 95% interval 0.7 to 3.3" in enough
    assert "better than champion" in enough
    assert "this recipe: 0 of 5 runs promoted, exact 95% interval of the share 0% to 50%" in enough


def test_five_runs_of_which_four_have_a_comparison_do_not_speak_of_its_kpi() -> None:
    """A run that held before it was evaluated has no difference; four others are not five."""
    said = " ".join(replication_sentences(replication(5, spread=evolve(SPREAD, runs=4))))
    assert "profit: 4 runs have a comparison, and 5 would speak of this recipe" in said
    assert "differs by" not in said


def test_noise_that_explains_everything_leaves_nothing_to_tell() -> None:
    """The share of the noise stands in the sentence, and what is left for retraining."""
    some, everything = (
        " ".join(replication_sentences(replication(5, spread=evolve(SPREAD, noise_share=share)))) for share in (0.25, 1)
    )
    assert "evaluation noise explains 25% of the variance between them, and retraining is left with" in some
    assert "so what retraining adds cannot be told from it" in everything


@pytest.mark.parametrize(
    ("low", "high", "direction", "said"),
    [
        (0.1, 2.0, "higher", "better than champion"),
        (0.1, 2.0, "lower", "worse than champion"),
        (-2.0, -0.1, "lower", "better than champion"),
        (-2.0, -0.1, "none", "lower than champion; the KPI has no better direction"),
        (-0.1, 2.0, "higher", "undecided: the interval holds 0"),
        (0.0, 2.0, "higher", "undecided: the interval holds 0"),
    ],
)
def test_an_interval_decides_by_where_zero_is(low: float, high: float, direction: str, said: str) -> None:
    """Better and worse follow the KPI's direction; an interval that holds 0, its ends included, decides nothing."""
    assert said == decision(low, high, direction, "champion")


def test_a_comparison_speaks_of_recipes_from_five_runs_on() -> None:
    """And says that its intervals over few runs are too narrow."""
    few, enough = (" ".join(comparison_sentences(comparison(runs, low=0.6, high=0.8))) for runs in (4, 5))
    assert "these weights: b beside a, profit: an episode is better in 70% of the couples" in few
    assert "this recipe" not in few
    assert "this recipe: b beside a, profit" in enough
    assert "bootstrap intervals over 5 runs are too narrow" in enough
    assert "too narrow" not in " ".join(comparison_sentences(comparison(20, low=0.6, high=0.8)))


@pytest.mark.parametrize("runs", [1, 5])
def test_what_is_undecided_has_no_other_name(runs: int) -> None:
    """Neither a replication nor a comparison calls it better, worse, similar, equal or a trend."""
    open_spread = evolve(SPREAD, low=-0.2, high=1.0)
    said = [*comparison_sentences(comparison(runs, low=0.4, high=0.9))]
    said += replication_sentences(replication(5, spread=open_spread))
    undecided = [sentence for sentence in said if "undecided: the interval holds" in sentence]
    assert 2 == len(undecided)
    for word in ("similar", "equal", "trend", "tends", "seems", "no difference", "better than", "worse"):
        assert word not in " ".join(undecided)


@pytest.mark.parametrize(
    ("runs", "low", "high", "expected"),
    [
        (5, 0.6, 0.9, "The recipe b is better than a in profit, IQM 12 against 10."),
        (5, 0.1, 0.4, "The recipe b is worse than a in profit, IQM 12 against 10."),
        (5, 0.4, 0.6, "Undecided: the recipe b may be better or worse than a in profit, IQM 12 against 10."),
        (1, 0.6, 0.9, "These weights of b are better than a in profit, IQM 12 against 10."),
    ],
)
def test_the_first_line_decides_no_more_than_the_interval(runs: int, low: float, high: float, expected: str) -> None:
    """It says better or worse where the interval does, and speaks of weights where there are few runs."""
    found = comparison(runs, low=low, high=high)
    kpis = tuple(evolve(kpi, iqm=iqm) for kpi, iqm in zip(found.kpis, (10.0, 12.0), strict=True))

    assert expected == comparison_headline(evolve(found, kpis=kpis))
    assert (
        f"a: {runs} run{'s' * (runs > 1)}, 160 episodes; b: {runs} run{'s' * (runs > 1)}, 160 episodes"
        == runs_sentence(found)
    )


def test_the_first_line_names_many_recipes_by_their_verdicts() -> None:
    """One sentence for all; a recipe without a number is unknown."""
    found = comparison(5, low=0.6, high=0.9)
    third = evolve(found.recipes[1], name="c"), evolve(KPI, recipe="c", problem="lost")
    many = evolve(found, recipes=(*found.recipes, third[0]), kpis=(*found.kpis, third[1]))

    assert "2 recipes beside a in profit: better: b; unknown: c." == comparison_headline(many)
    assert "Nothing is known of the recipe c beside a in profit." == comparison_headline(
        evolve(many, recipes=(found.recipes[0], third[0]))
    )
