"""The first line of a report: how a run ended, in place of what, and what makes a reader careful."""

from townlet.dto.journal import EffectIntent, OperatorCommand
from townlet.dto.policy_ref import parse_teacher, short_ref
from townlet.escapes import one_line
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import plain_reason
from townlet.report.run_sentences import compared_policy

__all__ = ["headline"]

_LONGEST_REASON = 300
"""Letters of a reason in the first line; the timeline has all of it."""
_TIMES = {1: "once", 2: "twice"}


def headline(facts: ReportFacts) -> str:
    """Return how the run ended, in the first line that anybody reads.

    Risks that a person accepted, crashes and an ignored seed are named there.
    """
    sentences = [_outcome(facts)]
    commands = [entry.record for entry in facts.entries if isinstance(entry.record, OperatorCommand)]
    risks = sum(each.command == "accept_risk" and not each.refused for each in commands)
    if risks:
        sentences.append(f"A person went on against the guards {_times(risks)}.")
    crashes = sum(span.ending == "crashed" or span.died_after for span in facts.spans)
    if crashes:
        sentences.append(f"It crashed {_times(crashes)} and was resumed.")
    if not facts.state.obeys_seed:
        sentences.append("This environment ignores its seed, so its episodes are not pairs.")
    return one_line(" ".join(sentences))


def _outcome(facts: ReportFacts) -> str:
    done, intent = facts.promotion, facts.intent
    if facts.created.rehearsal:
        return "Rehearsal: nothing was promoted, and the numbers on this page mean nothing."
    if done is not None and intent is not None:
        alias = f"{intent.registry}@{done.alias}"
        return (
            f"Promoted: the weights {short_ref(done.target)} became {alias}, as version {done.version}"
            f"{_replaced(facts, intent)}{_promotion_reason(facts)}."
        )
    before = f"rolled back {_times(facts.rollbacks)}, then " if facts.rollbacks else ""
    text = f"{before}{_end(facts)}."
    return text[:1].upper() + text[1:]


def _replaced(facts: ReportFacts, intent: EffectIntent) -> str:
    """Return what the promoted weights stand in for: those that the alias named, else what they were compared with."""
    if intent.expected is not None:
        return f", instead of the weights {short_ref(intent.expected)}"
    policy = compared_policy(facts)
    return f", instead of the script {policy}" if parse_teacher(policy) else ", which named nothing before"


def _promotion_reason(facts: ReportFacts) -> str:
    """Return the reason that the schedule gives for promoting, where its edge has one: not each promotes the better."""
    decision = facts.decision
    if decision is None or decision.to not in facts.promoting:
        return ""
    taken = (edge.why for edge in facts.edges if (edge.source, edge.order) == (decision.state, decision.edge))
    return f": {_cut(why)}" if (why := next(taken, "")) else ""


def _cut(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"


def _end(facts: ReportFacts) -> str:
    """Return how a run ended that promoted nothing."""
    state, nothing = facts.state, "nothing was promoted"
    reason = _cut(plain_reason(state.reason))
    match state.state:
        case "hold" if state.approval is not None:
            target = facts.schedule.states[state.approval.state].next[state.approval.edge].to
            text = f"held: {state.approval.state} asks a person before it goes on to {target}; {nothing} yet"
        case "hold":
            text = f"held: {reason}; {nothing}"
        case "failed":
            text = f"failed in {state.held_state or 'an unrecorded state'}: {reason}; {nothing}"
        case "aborted":
            text = f"aborted: {reason}; {nothing}"
        case "done" if facts.promoting:
            text = f"not promoted: {reason}; the champion is unchanged"
        case "done":
            text = f"done: {reason}; this schedule has no state that promotes"
        case _:
            word = "stopped" if facts.spans and facts.spans[-1].kind == "wait" else "not finished"
            visit = f", visit {state.visit.number}" if state.visit is not None else ""
            text = f"{word}: the journal ends in {state.state}{visit}; {nothing} so far"
    return text


def _times(count: int) -> str:
    return _TIMES.get(count, f"{count} times")
