"""Numbers of guards have units that people say: those of the metric, episodes in percent, visits."""

from attrs import evolve

from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.guard_numbers import guard_amount, measured_words, operand_line


def test_each_number_has_its_unit(facts: ReportFacts) -> None:
    """A KPI has that of its declaration, a share of episodes is one in percent, and visits are counted."""
    assert facts.decision is not None
    better, _, rounds_left = facts.decision.reports

    assert "0.5 per agent-day" == guard_amount(facts, better)(0.5)
    assert "15% of the episodes" == guard_amount(facts, evolve(better, test="share"))(0.15)
    assert ["1 visit", "2 visits"] == [guard_amount(facts, rounds_left)(count) for count in (1, 2)]


def test_a_statistic_of_training_has_the_unit_of_its_field(facts: ReportFacts) -> None:
    """It is no KPI of the environment; a metric that nobody declares has none."""
    assert facts.decision is not None
    better = facts.decision.reports[0]

    assert "0.02 nat" == guard_amount(facts, evolve(better, metric="ppo.approx_kl_p95"))(0.02)
    assert "0.02" == guard_amount(facts, evolve(better, metric="ppo.nothing"))(0.02)


def test_the_second_line_says_what_the_sentence_leaves_out(facts: ReportFacts) -> None:
    """The interval, episodes that were left out, and the worst one; nothing is said twice."""
    assert facts.decision is not None
    better, _, rounds_left = facts.decision.reports
    full = evolve(better, low=0.25, high=1.5, dropped=1, worst=-0.5, worst_episode=3)

    assert (
        "interval from 0.25 to 1.5 per agent-day; 1 episode left out; worst difference -0.5 per agent-day, in episode 3"
        == operand_line(facts, full)
    )
    assert "interval from 2.5% to 15% of the episodes" == operand_line(
        facts, evolve(better, test="share", low=0.025, high=0.15)
    )
    assert "" == operand_line(facts, rounds_left)


def test_several_on_one_scale_say_what_they_are(facts: ReportFacts) -> None:
    """A difference, a value, a share of the episodes or visits."""
    assert facts.decision is not None
    better, _, rounds_left = facts.decision.reports

    assert "difference in evaluate.return_per_agent_day, per agent-day" == measured_words(facts, better)
    assert "share of the episodes, evaluate.return_per_agent_day" == measured_words(facts, evolve(better, test="share"))
    assert "visits to ppo" == measured_words(facts, rounds_left)
