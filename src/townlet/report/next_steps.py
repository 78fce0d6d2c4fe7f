"""What can be done about a run: how to undo its promotion, and how it goes on where it waits or was cut off."""

import shlex
from collections.abc import Iterator

from townlet.dto.policy_ref import short_ref
from townlet.escapes import one_line
from townlet.machine.audit.report_facts import ReportFacts
from townlet.machine.engine.operator_commands import open_commands
from townlet.machine.journal.run_state import WAITING

__all__ = ["resume_commands", "resume_sentences", "undo_commands", "undo_sentences"]

_HOME = "where the home is not .townlet in the working directory, add --home FOLDER"


def undo_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield how to undo the promotion, or why there is nothing to undo."""
    intent, done = facts.intent, facts.promotion
    if facts.created.rehearsal or intent is None:
        yield "There is nothing to undo: this run moved no alias, and the policy in force is the one from before it."
        return
    alias = f"{intent.registry}@{intent.alias}"
    if done is None:
        yield f"The promotion to {alias} was begun and not finished: townlet resume finishes it, or says why it cannot."
        return
    if intent.expected is None:
        yield (
            f"{alias} named nothing before, so no earlier version can be put back. To undo the promotion, go on with "
            f"what was in force before: {_compared_policy(facts)}."
        )
        yield f"This command shows what the alias names now; {_HOME}."
        return
    before = short_ref(intent.expected)
    yield f"This command puts back what {alias} named before, {before}, and keeps both moves in the history."
    if facts.created.signers:
        yield "Moves of this alias must be signed: the command writes a request to sign first."
    yield f"{_HOME[0].upper()}{_HOME[1:]}."


def _compared_policy(facts: ReportFacts) -> str:
    policies = dict.fromkeys(short_ref(comparison.policy) for comparison in facts.comparisons)
    return next(iter(policies), facts.schedule.teacher)


def undo_commands(facts: ReportFacts) -> tuple[str, ...]:
    """Return the commands that `undo_sentences` speaks of, quoted for a shell."""
    intent, done = facts.intent, facts.promotion
    if facts.created.rehearsal or intent is None or done is None:
        return ()
    own = ["--run", facts.run] if facts.schedule.registry.scope == "run" else []
    if intent.expected is None:
        return (shlex.join(["townlet", "registry", "history", *own]),)
    alias = ["--alias", intent.alias] if intent.alias != "champion" else []
    return (shlex.join(["townlet", "registry", "rollback", intent.registry, *alias, "--reason", "WHY", *own]),)


def resume_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield how a run goes on that waits for a person or was cut off; nothing for one that has ended."""
    state = facts.state
    if state.state in ("done", "aborted"):
        return
    if _waits_for_signature(facts):
        yield (
            "The promotion waits for a signature: sign signature_request.json of the run directory with townlet sign, "
            "bring the signature with the first command, then give the second."
        )
    elif state.state in WAITING:
        yield "The run waits for a person. Give one of these commands, and then the last one:"
    else:
        yield "This command takes the run up where its last checkpoint is, if no process works on it:"
    yield f"{_HOME[0].upper()}{_HOME[1:]}."


def _waits_for_signature(facts: ReportFacts) -> bool:
    held = facts.state.held
    return held is not None and held.intent is not None and held.done is None


def resume_commands(facts: ReportFacts) -> tuple[str, ...]:
    """Return the commands that `resume_sentences` speaks of, quoted for a shell; what they do stands after a #."""
    state = facts.state
    if state.state in ("done", "aborted"):
        return ()
    lines = []
    if _waits_for_signature(facts):
        lines.append(shlex.join(["townlet", "approve", facts.run, "--signature", "FILE"]))
    else:
        for words in open_commands(state, facts.schedule):
            name, *rest = words.partition(" (")[0].split()
            more = ["--reason", "WHY"] if name == "accept-risk" or state.state == "failed" else []
            note = _note(facts, name, words.partition(" (")[2].rstrip(")"))
            lines.append(shlex.join(["townlet", name, facts.run, *rest, *more]) + (f"  # {note}" if note else ""))
    return (*lines, shlex.join(["townlet", "resume", facts.run]))


def _note(facts: ReportFacts, name: str, own: str) -> str:
    """Return what a command does, in a few words that a shell takes for a comment."""
    state = facts.state.held_state or facts.state.state
    notes = {
        "approve": "yes: goes on as the guards decided",
        "reject": "no: ends the run, and promotes nothing",
        "retry": f"plays {state} once more",
        "accept-risk": f"goes on against the guards, {own}",
        "abort": "ends the run, and promotes nothing",
    }
    note = notes.get(name, own)
    return one_line(f"{note}, {own}" if own and own not in note else note)
