"""The report of a run as Markdown, for a pull request: verdict, guards, what could not be seen, how to undo it."""

from collections.abc import Iterator, Sequence

from townlet.dto.guards import GuardReport
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import number
from townlet.report.headline import headline
from townlet.report.limitations import limitation_sections
from townlet.report.markdown import bullets, code, markdown_text, table
from townlet.report.next_steps import Step, resume_steps, undo_commands, undo_sentences
from townlet.report.path_sentences import edge_sentences, time_sentence
from townlet.report.reward_terms import TermRow, reward_term_rows, reward_term_sentence, term_caption, term_cells
from townlet.report.run_curves import look_sentence
from townlet.report.run_sentences import (
    changed_sentences,
    compared_sentences,
    deciding_limitations,
    level_sentence,
    objective_sentences,
)
from townlet.report.verdicts import verdict_sentence

__all__ = ["run_markdown"]

_TRAINING = "arrows lead from the first to the last of the training iterations"


def run_markdown(facts: ReportFacts) -> str:
    """Return the report of a run in Markdown; every text from outside is escaped, and equal facts give equal bytes."""
    lines = [
        f"# {markdown_text(headline(facts))}",
        "",
        f"Run {code(facts.run)}, schedule {code(facts.created.name)}. {markdown_text(time_sentence(facts))}",
        "",
        *bullets(_decision(facts)),
        *_reservations(facts),
        *_guards(facts),
        *_terms(facts),
        *_looks(facts),
        *_limits(facts),
        *_steps("How it goes on", resume_steps(facts)),
        *_steps("How to undo it", [Step(sentences=tuple(undo_sentences(facts)), commands=undo_commands(facts))]),
    ]
    return "\n".join(lines) + "\n"


def _decision(facts: ReportFacts) -> Iterator[str]:
    yield from compared_sentences(facts)
    yield from objective_sentences(facts)
    yield from edge_sentences(facts)
    yield from changed_sentences(facts)


def _steps(title: str, steps: Sequence[Step]) -> Iterator[str]:
    """Yield a section of what can be typed, each command alone: nobody shall paste all answers at once."""
    if steps:
        yield from ("", f"## {title}")
    for step in steps:
        yield ""
        yield from (markdown_text(sentence) for sentence in step.sentences)
        if step.commands:
            yield ""
            yield from (f"- {code(command)}" for command in step.commands)


def _reservations(facts: ReportFacts) -> Iterator[str]:
    sentences = (*facts.reservations, *facts.inexact, *facts.problems)
    if sentences:
        yield from ("", "Reservations:", "")
        yield from bullets(sentences)


def _guards(facts: ReportFacts) -> Iterator[str]:
    yield from ("", "## Guards", "")
    if facts.decision is None:
        yield "No guard was evaluated."
        return
    asked = {
        guard: f"{edge.order}. to {code(edge.target)}"
        for edge in reversed(facts.edges)
        if edge.source == facts.decision.state
        for guard in edge.guards
    }
    yield from table(
        ("guard", "verdict", "asked by edge", "what was found"),
        (_guard(report, asked.get(report.guard, "")) for report in facts.decision.reports),
    )
    if levels := level_sentence(facts):
        yield from ("", markdown_text(levels))


def _guard(report: GuardReport, asked: str) -> tuple[str, ...]:
    return code(report.guard), report.verdict.value, asked, markdown_text(verdict_sentence(report))


def _terms(facts: ReportFacts) -> Iterator[str]:
    """Yield what the reward consists of; nothing where the environment is not known to declare terms."""
    missing = reward_term_sentence(facts)
    if missing and not facts.reward_terms:
        return
    yield from ("", "## What the reward consists of", "", markdown_text(missing or term_caption(facts, _TRAINING)))
    policies = {row.policy: row.baseline for row in reversed(facts.term_comparisons)}
    rows = reward_term_rows(facts, tuple(policies))
    states = tuple(dict.fromkeys(state for row in rows for state in row.curves))
    if rows:
        compared = ("candidate", *(cell for name in policies.values() for cell in (code(name), "difference")))
        yield ""
        yield from table(
            ("term", *(compared if policies else ()), *(f"while {code(state)} trains" for state in states)),
            (_term(row, states, compared=bool(policies)) for row in rows),
        )


def _term(row: TermRow, states: Sequence[str], *, compared: bool) -> tuple[str, ...]:
    ends = ((curve.y[0], curve.y[-1]) if (curve := row.curves.get(state)) else () for state in states)
    training = (" → ".join(number(each) for each in both) for both in ends)
    return code(row.name), *(term_cells(row) if compared else ()), *training


def _looks(facts: ReportFacts) -> Iterator[str]:
    """Yield what the cliff watch found, look by look."""
    if not facts.looks:
        return
    yield from ("", "## Looks of the cliff watch", "")
    yield markdown_text(
        f"The weights in training against those that the visit started from: {look_sentence(facts.looks)}."
    )
    yield ""
    yield from table(
        ("visit", "agent-steps", "mean difference", "bounds", "pairs"),
        (
            (
                f"{code(look.state)} {look.visit}",
                f"{look.agent_steps:,}",
                number(look.difference),
                "" if look.low is None or look.high is None else f"{number(look.low)} to {number(look.high)}",
                number(look.pairs),
            )
            for look in facts.looks
        ),
    )


def _limits(facts: ReportFacts) -> Iterator[str]:
    yield from ("", "## What this run could not see")
    found, visits = facts.limitations, tuple(deciding_limitations(facts))
    if found is None or not visits:
        yield from ("", "No comparison of policies was judged, so nothing was seen of how good the candidate is.")
        return
    for visit in visits:
        for heading, sentences in limitation_sections(found, visit):
            yield from ("", f"{markdown_text(heading)}:", "")
            yield from bullets(sentences)
