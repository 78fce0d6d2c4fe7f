"""What the reward consists of, and the looks of the cliff watch: on the page and in Markdown, or why they are not."""

from html import unescape

import pytest
from attrs import evolve

pytest.importorskip("jinja2")

from townlet.dto.run_data import VisitPoint
from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.fine_tuning import WatchLook
from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.html.run_page import run_page
from townlet.report.reward_terms import reward_term_rows, reward_term_sentence, term_cells
from townlet.report.run_curves import learning_curves, look_sentence
from townlet.report.run_markdown import run_markdown

TERMS = ("wage", "conflict")


def compared(facts: ReportFacts, term: str, own: float, other: float) -> KpiComparison:
    """A term of the candidate against the first baseline of the golden run."""
    row = facts.comparisons[0]
    return KpiComparison(
        metric=term,
        baseline=row.baseline,
        policy=row.policy,
        values=(own, own),
        baseline_values=(other, other),
        is_paired=True,
        is_known=True,
        low=own - other - 0.5,
        high=own - other + 0.5,
    )


def trained(facts: ReportFacts) -> ReportFacts:
    """A run that recorded two terms in training and in its comparison."""
    points = tuple(
        VisitPoint(
            state="ppo",
            visit=1,
            step=n,
            agent_steps=1000 * n,
            numbers={"reward": 0.1 * n, "reward_term_wage": 2.0 * n, "reward_term_conflict": -1.0},
        )
        for n in (1, 2, 3)
    )
    rows = (compared(facts, "wage", 9.5, 8.25), compared(facts, "conflict", -0.75, -2.5))
    return evolve(facts, points=points, reward_terms=TERMS, term_unit="1/agent-day", term_comparisons=rows)


def looked(facts: ReportFacts, **bounds: float) -> ReportFacts:
    """A run whose cliff watch looked once, with or without what earlier versions did not record."""
    numbers = {"watched": 5.0, "watched_difference": 0.25, **bounds}
    point = VisitPoint(state="ppo", visit=1, step=4, agent_steps=4000, numbers=numbers)
    look = WatchLook(
        state="ppo",
        visit=1,
        agent_steps=4000,
        difference=0.25,
        low=bounds.get("watched_low"),
        high=bounds.get("watched_high"),
        pairs=24 if bounds else None,
        confidence=0.99,
    )
    return evolve(facts, points=(point,), looks=(look,))


def test_a_term_has_the_means_of_both_the_difference_and_a_curve(facts: ReportFacts) -> None:
    """In the order of the environment, with the interval of the difference and the mean of the last iteration."""
    run = trained(facts)
    rows = reward_term_rows(run, [facts.comparisons[0].policy])
    page, plain = unescape(run_page(run)), run_markdown(run)

    assert [("wage", "9.5", "8.25", "1.25 [0.75, 1.75]"), ("conflict", "-0.75", "-2.5", "1.75 [1.25, 2.25]")] == [
        (row.name, *term_cells(row)) for row in rows
    ]
    assert (2.0, 4.0, 6.0) == rows[0].curves["ppo"].y
    assert "Means per agent-day, which add up to the reward" in page
    assert 2 == page.count('class="sketch"')
    assert "reward_term_wage in 3 iterations: first 2, last 6" in page
    assert "reward_term_wage," not in page.partition("metrics.jsonl in the run directory also holds")[2]
    assert "| term | candidate | `champion` | difference | while `ppo` trains |" in plain
    assert "| `wage` | 9.5 | 8.25 | 1.25 [0.75, 1.75] | 2 → 6 |" in plain


def test_a_run_that_was_not_compared_shows_the_terms_of_its_training(facts: ReportFacts) -> None:
    """Its table has no column for a candidate."""
    run = evolve(trained(facts), term_comparisons=(), comparisons=(), evidence=None, evaluation=None)

    assert "| term | while `ppo` trains |" in run_markdown(run)
    assert 2 == run_page(run).count('class="sketch"')


def test_each_row_of_a_suite_names_its_scenario(facts: ReportFacts) -> None:
    """The curve of training stands beside the scenario that was trained in."""
    own = facts.schedule.environment.scenario
    rows = tuple(compared(facts, f"[{scenario}].wage", 1.0, 0.0) for scenario in (own, "other"))
    first, second = reward_term_rows(evolve(trained(facts), term_comparisons=rows), [facts.comparisons[0].policy])

    assert (f"wage in {own}", "wage in other") == (first.name, second.name)
    assert (["ppo"], []) == (list(first.curves), list(second.curves))


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ((), "This environment declares no terms of its reward."),
        (TERMS, "The terms of the reward were not recorded: an earlier version of Townlet made the run."),
        (None, "No terms of the reward are recorded: the environment declares none, or an earlier version"),
    ],
)
def test_what_is_not_there_is_said(facts: ReportFacts, declared: tuple[str, ...] | None, sentence: str) -> None:
    """The golden run of an earlier version has no terms; whether the environment declares some decides why."""
    run = evolve(facts, reward_terms=declared)

    assert sentence in unescape(run_page(run))
    assert (sentence in run_markdown(run)) is (declared == TERMS)


def test_a_run_that_only_began_lacks_nothing(facts: ReportFacts) -> None:
    """Nothing was trained by reward or compared yet."""
    run = evolve(facts, reward_terms=TERMS, points=(), gathered=())

    assert reward_term_sentence(run).startswith("The run neither trained by reward nor compared policies so far")
    assert "" == reward_term_sentence(trained(facts))


def test_a_look_is_a_point_with_the_bounds_that_the_watch_decides_by(facts: ReportFacts) -> None:
    """The level and the pairs stand below it; the bounds are no other numbers of the stream."""
    run = looked(facts, watched_low=-0.5, watched_high=1.0, watched_pairs=24.0)
    curve = next(curve for _, curve in learning_curves(run) if curve.name == "watched_difference")
    page = unescape(run_page(run))

    assert ((-0.5, 1.0),) == curve.bounds
    assert "the last has bounds from -0.5 to 1" in page
    assert "one-sided 99% bounds on both sides, of 24 pairs a look" in page
    assert "watched_low" not in page
    assert "| `ppo` 1 | 4,000 | 0.25 | -0.5 to 1 | 24 |" in run_markdown(run)


def test_looks_of_an_earlier_version_have_no_bounds(facts: ReportFacts) -> None:
    """The page draws the point alone, and says what was not recorded."""
    run = looked(facts)
    page = unescape(run_page(run))

    assert "bounds and pairs were not recorded" in page
    assert "the last has bounds" not in page
    assert "| `ppo` 1 | 4,000 | 0.25 |  |  |" in run_markdown(run)


def test_a_look_without_two_pairs_says_so(facts: ReportFacts) -> None:
    """It was recorded, and there was nothing to bound."""
    (look,) = looked(facts).looks

    assert "no look had two pairs, so none has bounds" == look_sentence([evolve(look, pairs=1)])
