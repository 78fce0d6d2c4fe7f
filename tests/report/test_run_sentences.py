"""Every sentence of a report is complete, and says what happened, whatever the run came to."""

import re

import pytest
from attrs import evolve

from townlet.dto.fields import Direction
from townlet.dto.guards import Verdict
from townlet.dto.journal import ApprovalRequested, OperatorCommand
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import RollbackResult
from townlet.dto.run_data import RunVisit
from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.report_facts import ReportFacts
from townlet.machine.audit.timeline import TimelineSpan
from townlet.report.headline import headline
from townlet.report.next_steps import undo_commands, undo_sentences
from townlet.report.path_sentences import edge_sentences, span_sentence, time_sentence
from townlet.report.run_sentences import (
    changed_sentences,
    compared_sentences,
    kpi_change,
    level_sentence,
    objective_sentences,
)


def unpromoted(facts: ReportFacts, **state: object) -> ReportFacts:
    """Return the facts of a run that promoted nothing and is in another state."""
    return evolve(facts, promotion=None, intent=None, state=evolve(facts.state, **state))


def crash() -> TimelineSpan:
    """A span that ended in a crash."""
    return TimelineSpan(
        kind="work", state="ppo", visit=1, attempt=1, start="2026-01-01T00:00:00+00:00", ending="crashed"
    )


def test_the_first_line_says_promoted(facts: ReportFacts) -> None:
    """It names the weights, the alias, the version, and what they take the place of."""
    first = "Promoted: the weights 433995a58c4b became corridor@champion, as version 1"
    assert facts.intent is not None
    again = evolve(facts, intent=evolve(facts.intent, expected="beef" * 16))
    imported = tuple(evolve(row, policy="beef" * 16) for row in facts.comparisons)

    assert f"{first}, instead of the script teacher:lazy." == headline(facts)
    assert f"{first}, instead of the weights beefbeefbeef." == headline(again)
    assert f"{first}, which named nothing before." == headline(evolve(facts, comparisons=imported))


def test_the_first_line_has_the_reason_that_the_schedule_gives_for_promoting(facts: ReportFacts) -> None:
    """A policy that is as good within a tolerance is promoted too, and the first line does not hide it."""
    edges = tuple(
        evolve(edge, why="as good within the tolerance") if edge.target in facts.promoting else edge
        for edge in facts.edges
    )

    assert headline(evolve(facts, edges=edges)).endswith("the script teacher:lazy: as good within the tolerance.")


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("hold", "the clone is too weak", "Held: the clone is too weak; nothing was promoted."),
        ("failed", "out of disk", "Failed in bc: out of disk; nothing was promoted."),
        ("aborted", "reject by Ada", "Aborted: reject by Ada; nothing was promoted."),
        ("done", "no better policy", "Not promoted: no better policy; the champion is unchanged."),
        ("ppo", "on cloned", "Not finished: the journal ends in ppo; nothing was promoted so far."),
    ],
)
def test_the_first_line_says_how_a_run_ended(facts: ReportFacts, state: str, reason: str, expected: str) -> None:
    """Held, failed, aborted, unchanged and still going are told apart, each with its reason."""
    assert expected == headline(unpromoted(facts, state=state, reason=reason, held_state="bc", visit=None))


def test_the_first_line_names_rollbacks_crashes_and_an_ignored_seed(facts: ReportFacts) -> None:
    """What makes a reader careful is not left to the small print."""
    run = unpromoted(facts, state="hold", reason="rolled back too often", obeys_seed=False)
    run = evolve(run, rollbacks=2, spans=(crash(), crash()))

    assert (
        "Rolled back twice, then held: rolled back too often; nothing was promoted. It crashed twice and was resumed. "
        "This environment ignores its seed, so its episodes are not pairs." == headline(run)
    )


def test_the_first_line_says_what_a_person_is_asked(facts: ReportFacts) -> None:
    """A run that waits for an approval names the edge's target."""
    request = ApprovalRequested(state="evaluate", edge=1, report="c0ffee", expires=None)

    assert "Held: evaluate asks a person before it goes on to promote; nothing was promoted yet." == headline(
        unpromoted(facts, state="hold", approval=request)
    )


def test_a_rehearsal_promotes_nothing_in_its_first_line(facts: ReportFacts) -> None:
    """Also where its journal holds a promotion of its own."""
    run = evolve(facts, created=evolve(facts.created, rehearsal=True))

    assert headline(run).startswith("Rehearsal: nothing was promoted")
    assert "There is nothing to undo" in next(undo_sentences(run))
    assert () == undo_commands(run)


def test_a_hostile_reason_stays_in_the_first_line(facts: ReportFacts) -> None:
    """No reason begins a new line, moves the cursor or turns the text around."""
    line = headline(unpromoted(facts, state="hold", reason="a\nPromoted: b\x1b[2J\u202e"))

    assert r"Held: a\nPromoted: b\x1b[2J\u202e; nothing was promoted." == line


def test_a_long_reason_is_cut_in_the_first_line_only(facts: ReportFacts) -> None:
    """The first line stays one that can be read."""
    assert len(headline(unpromoted(facts, state="hold", reason="x" * 10_000))) < 400


def test_the_first_line_names_risks_that_a_person_accepted(facts: ReportFacts) -> None:
    """Each one that was carried out; a command that was rejected is none."""
    risk = OperatorCommand(command="accept_risk", actor="ada", reason="why not")
    entries = tuple(
        evolve(facts.entries[-1], seq=99, record=record) for record in (risk, evolve(risk, refused="no such edge"))
    )
    run = evolve(facts, entries=(*facts.entries, *entries))

    assert headline(run) == f"{headline(facts)} A person went on against the guards once."


def test_what_was_compared_is_told_with_its_error(facts: ReportFacts) -> None:
    """Candidate, baseline, pairs, length, actions; what champion stood for; looks and the chance of a false pass."""
    assert [
        "The candidate 433995a58c4b was compared with champion (teacher:lazy) in 20 paired episodes of 2 days in "
        "plain, with greedy actions.",
        "No learned policy was in force before, so champion stands for the script, teacher:lazy.",
        "The schedule declares one look, after 20 episodes; the verdicts below are those of look 1. The schedule "
        "bounds the chance that a policy which is no better passes as better: at most 5% over the whole run.",
    ] == list(compared_sentences(facts))


def test_the_objective_is_told_with_its_interval(facts: ReportFacts) -> None:
    """Both means, the paired difference and its two-sided interval, against each policy once."""
    assert [
        "return_per_agent_day is 22.06 against 21.3 of champion (teacher:lazy): paired difference 0.7625, with a "
        "two-sided 95% interval from 0.4798 to 1.045."
    ] == list(objective_sentences(facts))


def test_the_objective_is_told_in_each_scenario(facts: ReportFacts) -> None:
    """Of a suite no scenario is left out, and no name has brackets."""
    rows = tuple(
        evolve(facts.comparisons[0], metric=f"[{scenario}].return_per_agent_day") for scenario in ("plain", "steep")
    )

    sentences = list(objective_sentences(evolve(facts, comparisons=rows)))
    assert [
        "return_per_agent_day in plain is 22.06 against",
        "return_per_agent_day in steep is 22.06 against",
    ] == [sentence.partition(" 21.3")[0] for sentence in sentences]


def test_every_level_on_the_page_is_explained(facts: ReportFacts) -> None:
    """Those of guards come from the error of the whole run; a run whose guards have no bounds says nothing."""
    assert (
        "Guards have bounds of 97.5%: the error that the schedule allows the whole run, 5%, is shared among its looks "
        "and visits. Other intervals have two sides: 95% each, of one comparison alone; those under “Also measured” "
        "97.5% each, which is 95% for all of them together." == level_sentence(facts)
    )
    assert "" == level_sentence(evolve(facts, decision=None))


def test_what_is_equal_in_every_episode_is_said(facts: ReportFacts) -> None:
    """Two policies that do the same may not be called undecided; one missing number is said to be the reason."""
    equal = evolve(comparison(0.0, 0.0), metric="speed", values=(1.0, 2.0), baseline_values=(1.0, 2.0))
    lost = evolve(comparison(None, None), metric="success", values=(None, None))

    _, first, second, _ = changed_sentences(evolve(facts, comparisons=(equal, lost)))
    assert "Equal to champion (teacher:lazy) in every episode: speed." == first
    assert second.endswith("because numbers are missing or there are fewer than two: success.")


def test_a_run_without_evaluation_says_that_nothing_was_compared(facts: ReportFacts) -> None:
    """And one whose episodes are lost says that instead."""
    run = evolve(facts, evidence=None, evaluation=None)
    lost = evolve(run, problems=("the episodes cannot be read: the home does not hold them",))

    assert ["No policy was compared with another: the run did not come to an evaluation."] == list(
        compared_sentences(run)
    )
    assert ["The episodes that were compared cannot be read here."] == list(compared_sentences(lost))


def test_what_got_worse_comes_first(facts: ReportFacts) -> None:
    """KPIs whose interval lies on the worse side are all named, with both means."""
    first, second, third, last = changed_sentences(facts)

    assert first == (
        "Worse than champion (teacher:lazy), by more than its 95% interval: queue_intensity 5.694 against 5.569 "
        "per agent-day."
    )
    assert second.startswith("Better than champion (teacher:lazy)")
    assert "None on either side, 0 in every episode: deaths." == third
    assert last.startswith("Each interval is of one comparison alone")


def test_what_a_guard_failed_on_comes_first_and_nothing_guarded_is_hidden(facts: ReportFacts) -> None:
    """Of twelve KPIs on one side, the one whose guard failed stands first and the guarded ones are all named."""
    assert facts.decision is not None
    better = next(each for each in facts.decision.reports if each.guard == "better")
    rows = [evolve(comparison(1.0, 2.0), metric=f"k{n}") for n in range(12)]
    guarded = tuple(
        evolve(better, metric=f"evaluate.k{n}", verdict=Verdict.FAIL if n == 11 else Verdict.PASS) for n in range(5, 12)
    )
    spec = MetricSpec(name="k", unit="1/day", direction=Direction.HIGHER, exposure="days")
    run = evolve(
        facts,
        comparisons=tuple(rows),
        metrics=tuple(evolve(spec, name=row.metric) for row in rows),
        decision=evolve(facts.decision, reports=guarded, state="evaluate"),
    )

    _, text, *_ = changed_sentences(run)
    assert ["k11", "k5", "k6", "k7", "k8", "k9", "k10"] == re.findall(r"(k\d+) 1.5 against 1 per day", text)
    assert text.endswith("; and 5 more.")


def test_each_look_is_told_with_the_verdicts_it_decided(facts: ReportFacts) -> None:
    """Of two looks a verdict stays from the first that decides it; what the last left open is said too."""
    assert facts.decision is not None
    name, spec = next(iter(facts.schedule.evidence.items()))
    better, worse, rest = facts.decision.reports
    run = evolve(
        facts,
        schedule=evolve(facts.schedule, evidence={name: evolve(spec, episodes=(10, 20))}),
        decision=evolve(facts.decision, reports=(better, evolve(worse, look=2, verdict=Verdict.UNDECIDED), rest)),
    )

    *_, last = compared_sentences(run)
    assert last.startswith(
        "The schedule declares looks after 10 and 20 episodes; a verdict stays from the first look that decides it: "
        "look 1 decided better; look 2 left worse undecided. The numbers outside the guards are of all 20 episodes."
    )


def test_a_skipped_guard_is_no_reason(facts: ReportFacts) -> None:
    """It stands among the guards of the edge that was taken, and is marked."""
    assert facts.decision is not None
    skipped = evolve(facts.decision.reports[0], guard="loss", verdict=Verdict.SKIPPED)
    decision = evolve(facts.decision, reports=(*facts.decision.reports, skipped), why="on better, loss, at_loss")

    (sentence,) = edge_sentences(evolve(facts, decision=decision))
    assert sentence.endswith("the run went to promote: on better, loss (skipped), at_loss.")


def test_a_rollback_says_what_it_went_back_to(facts: ReportFacts) -> None:
    """The weights and whose they are; a candidate that was discarded before has its sentence."""
    assert facts.decision is not None
    at = next(n for n, each in enumerate(facts.visits) if each.state == facts.decision.state)
    evaluate = facts.visits[at]

    def rollback(number: int, to: str) -> RunVisit:
        result = RollbackResult(
            weights="c10e" * 16, discarded=f"{number}bad" * 16, target="clone", parity=None, scale={}
        )
        return evolve(evaluate, state="rollback", visit=number, result=result, to=to, why="on rounds_left")

    first = evolve(evaluate, visit=7, why="on worse")
    visits = (*facts.visits[:at], first, rollback(1, "ppo"), evaluate, rollback(2, "hold"))

    _, after, before = edge_sentences(evolve(facts, visits=visits))
    assert (
        "There rollback (visit 2) discarded the candidate 2bad2bad2bad and went back to the clone, the weights "
        "c10ec10ec10e. Then the run went to hold." == after
    )
    assert (
        "Before that decision, rollback (visit 1) discarded the candidate 1bad1bad1bad and went back to the clone, the "
        "weights c10ec10ec10e (on worse)." == before
    )


def comparison(low: float | None, high: float | None) -> KpiComparison:
    """A KPI whose difference has these bounds."""
    return KpiComparison(
        metric="speed",
        baseline="champion",
        policy="teacher:lazy",
        values=(1.0, 2.0),
        baseline_values=(1.0, 1.0),
        is_paired=True,
        is_known=True,
        low=low,
        high=high,
    )


@pytest.mark.parametrize(
    ("low", "high", "direction", "expected"),
    [
        (0.1, 0.2, Direction.HIGHER, "better"),
        (0.1, 0.2, Direction.LOWER, "worse"),
        (-0.2, -0.1, Direction.HIGHER, "worse"),
        (-0.2, -0.1, Direction.LOWER, "better"),
        (0.1, 0.2, Direction.NONE, "higher"),
        (-0.2, -0.1, None, "lower"),
        (-0.1, 0.2, Direction.HIGHER, "open"),
        (0.0, 0.0, Direction.HIGHER, "open"),
        (None, None, Direction.HIGHER, "unknown"),
    ],
)
def test_nothing_undecided_is_called_a_change(
    low: float | None, high: float | None, direction: Direction | None, expected: str
) -> None:
    """Only an interval without 0 is a change, and only a declared direction makes it better or worse."""
    spec = None if direction is None else MetricSpec(name="speed", unit="1", direction=direction, exposure="episodes")

    assert expected == kpi_change(comparison(low, high), spec)


def test_every_sentence_ends(facts: ReportFacts) -> None:
    """No sentence is cut off."""
    sentences = [
        headline(facts),
        time_sentence(facts),
        *compared_sentences(facts),
        *edge_sentences(facts),
        *changed_sentences(facts),
        *map(span_sentence, facts.spans),
    ]

    assert [] == [sentence for sentence in sentences if not sentence.endswith(".")]
