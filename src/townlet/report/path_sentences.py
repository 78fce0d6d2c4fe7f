"""The path of a run as sentences: how long it worked, where it went on its verdicts, each span of its timeline."""

import re
from collections.abc import Iterator

from townlet.dto.guards import Verdict
from townlet.dto.journal import OperatorCommand
from townlet.dto.policy import RollbackResult
from townlet.dto.policy_ref import short_ref
from townlet.escapes import one_line
from townlet.machine.audit.report_facts import Decision, ReportFacts
from townlet.machine.audit.timeline import TimelineSpan
from townlet.machine.journal.run_state import WAITING
from townlet.numerals import plain_reason, time_words

__all__ = ["edge_sentences", "span_sentence", "time_sentence"]

_TARGETS = {"accepted": "last accepted policy"}
"""What a rollback goes back to, in words, where its name is no noun."""


def time_sentence(facts: ReportFacts) -> str:
    """Return when the run began, how long it worked, how much it played, and how long it stood still."""
    worked = sum(span.seconds for span in facts.spans if span.kind == "work")
    waited = sum(span.seconds for span in facts.spans if span.kind == "wait")
    stood = f" It stood still for {time_words(waited)}, waiting for a person." if waited else ""
    return (
        f"The run began at {_minute(facts.created_at)} UTC, worked for {time_words(worked)} and played "
        f"{facts.state.agent_steps:,} agent-steps.{stood}"
    )


def edge_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield where the run went on the verdicts of the decision, why, and what people answered before and after."""
    decision = facts.decision
    if decision is None:
        return
    where = f"{decision.state} (visit {decision.visit}, record {decision.seq})"
    if not decision.to:
        yield f"The verdicts of {where} were written; the journal ends before the run went on."
        return
    at = next((entry.at for entry in facts.entries if entry.seq == decision.seq), "")
    waits = [span for span in facts.spans if span.kind == "wait" and (span.commands or span.approval is not None)]
    earlier = [span for span in waits if span.end is not None and span.end <= at]
    yield from map(span_sentence, earlier)
    yield one_line(f"From {where} the run went to {decision.to}: {_with_skipped(decision)}.")
    yield from _rollback_sentences(facts, decision)
    yield from map(span_sentence, waits[len(earlier) :])


def _with_skipped(decision: Decision) -> str:
    """Return why an edge was taken; a guard that was not evaluated is no reason, and is marked."""
    reason = plain_reason(decision.why)
    for report in decision.reports:
        if report.verdict is Verdict.SKIPPED:
            name = rf"(?<![\w.-]){re.escape(report.guard)}(?![\w.-])"
            reason = re.sub(name, lambda match: f"{match.group()} (skipped)", reason)
    return reason


def _rollback_sentences(facts: ReportFacts, decision: Decision) -> Iterator[str]:
    """Yield what the run went back to after the decision, and which earlier candidates were discarded before it."""
    at = next(
        (n for n, each in enumerate(facts.visits) if (each.state, each.visit) == (decision.state, decision.visit)), -1
    )
    earlier = []
    for n, visit in enumerate(facts.visits):
        if not isinstance(visit.result, RollbackResult):
            continue
        if n < at:
            why = f" ({plain_reason(facts.visits[n - 1].why)})" if n and facts.visits[n - 1].why else ""
            earlier.append(f"{visit.state} (visit {visit.visit}) {_rollback(visit.result)}{why}")
        elif n == at + 1:
            to = f" Then the run went to {visit.to}." if visit.to else ""
            yield one_line(f"There {visit.state} (visit {visit.visit}) {_rollback(visit.result)}.{to}")
    if earlier:
        yield one_line(f"Before that decision, {'; '.join(earlier)}.")


def _rollback(result: RollbackResult) -> str:
    discarded = "" if result.discarded is None else f"discarded the candidate {short_ref(result.discarded)} and "
    weights = "" if result.weights is None else f", the weights {short_ref(result.weights)}"
    return f"{discarded}went back to the {_TARGETS.get(result.target, result.target)}{weights}"


def span_sentence(span: TimelineSpan) -> str:
    """Return one span of the timeline as a sentence."""
    to = f", then {span.to}: {plain_reason(span.why)}" if span.to else ""
    after = "" if span.end is None else f" after {time_words(span.seconds)}"
    if span.kind == "wait":
        length = f" {time_words(span.seconds)}" if span.end is not None else ""
        if span.state in WAITING:
            text = f"{span.state}: the run waited for {'an approval' if span.approval else 'a person'}{length}{to}"
        else:
            rest = ", until a process took over" if span.end is not None else ", and no process has taken over"
            text = f"{span.state}: the run stood still{length}{rest}"
    else:
        attempt = f", attempt {span.attempt}" if span.attempt > 1 else ""
        endings = {
            "finished": f"finished{after}",
            "crashed": f"its process died{after}; another one took over",
            "stopped": f"was stopped{after}, with its checkpoint",
            "retried": f"met an error{after} and was tried again",
            "left": f"was left without a result{after}",
            "open": "is not finished where the journal ends",
        }
        text = f"{span.state}, visit {span.visit}{attempt}: {endings[span.ending]}{to}"
    if span.died_after:
        text += "; its process died before it went on, and another one took over"
    if span.promoted is not None:
        text += f"; {span.promoted.alias} became version {span.promoted.version}"
    commands = "".join(f" {_command(each)}." for each in span.commands if each.refused or each.actor not in span.why)
    return one_line(f"{text}.{commands}")


def _command(command: OperatorCommand) -> str:
    name = command.command.replace("_", "-")
    owner = "" if command.uid is None else f" (user id {command.uid})"
    reason = f": {command.reason}" if command.reason else ""
    rest = f", which was refused: {command.refused}" if command.refused else reason
    return f"{command.actor}{owner} gave {name}{rest}"


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
