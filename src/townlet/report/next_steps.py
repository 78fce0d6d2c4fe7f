"""What can be done about a run: how to undo its promotion, and how it goes on where it waits or was cut off."""

import shlex
from collections.abc import Iterator

from attrs import frozen

from townlet.dto.policy_ref import parse_teacher, short_ref
from townlet.escapes import one_line
from townlet.machine.audit.report_facts import ReportFacts
from townlet.machine.engine.operator_commands import open_commands
from townlet.machine.journal.run_state import WAITING
from townlet.report.run_sentences import compared_policy

__all__ = ["Step", "resume_steps", "undo_commands", "undo_sentences"]

_HOME = "where the home is not .townlet in the working directory, add --home FOLDER"


@frozen(kw_only=True)
class Step:
    """What is to be done next: sentences, then commands, of which one is given where the sentences say so."""

    sentences: tuple[str, ...]
    """What to do."""
    commands: tuple[str, ...]
    """Quoted for a shell; what each does stands after a #."""


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
            f"{alias} named nothing before, so no earlier version can be put back: the alias names version "
            f"{done.version} until another promotion moves it, and no command empties it."
        )
        policy = compared_policy(facts)
        if policy:
            yield one_line(
                f"To go on without this promotion, name what was in force before, {policy}, wherever you name "
                f"{alias}: townlet play and townlet evaluate take both."
            )
        both = "The first command shows what the alias names now, the second plays " + policy
        one = "This command shows what the alias names now"
        yield one_line(f"{both if parse_teacher(policy) else one}; {_HOME}.")
        return
    before = short_ref(intent.expected)
    yield f"This command puts back what {alias} named before, {before}, and keeps both moves in the history."
    if facts.created.signers:
        yield "Moves of this alias must be signed: the command writes a request to sign first."
    yield f"{_HOME[0].upper()}{_HOME[1:]}."


def undo_commands(facts: ReportFacts) -> tuple[str, ...]:
    """Return the commands that `undo_sentences` speaks of, quoted for a shell."""
    intent, done = facts.intent, facts.promotion
    if facts.created.rehearsal or intent is None or done is None:
        return ()
    own = ["--run", facts.run] if facts.schedule.registry.scope == "run" else []
    if intent.expected is None:
        policy, environment = compared_policy(facts), facts.schedule.environment
        place = ["--environment", environment.id, "--scenario", environment.scenario]
        play = [shlex.join(["townlet", "play", "--policy", policy, *place])] if parse_teacher(policy) else []
        return (shlex.join(["townlet", "registry", "history", *own]), *map(one_line, play))
    alias = ["--alias", intent.alias] if intent.alias != "champion" else []
    return (shlex.join(["townlet", "registry", "rollback", intent.registry, *alias, "--reason", "WHY", *own]),)


def resume_steps(facts: ReportFacts) -> tuple[Step, ...]:
    """Return how a run goes on that waits for a person or was cut off, in order; nothing for one that has ended."""
    state = facts.state
    if state.state in ("done", "aborted"):
        return ()
    home, resume = f"{_HOME[0].upper()}{_HOME[1:]}.", shlex.join(["townlet", "resume", facts.run])
    if _waits_for_signature(facts):
        first = (
            "The promotion waits for a signature: sign signature_request.json of the run directory with townlet sign, "
            "and bring the signature with this command:"
        )
        answers = [shlex.join(["townlet", "approve", facts.run, "--signature", "FILE"])]
    elif state.state in WAITING:
        answers = list(_answers(facts))
        first = f"The run waits for a person. Give {'one of these commands' if len(answers) > 1 else 'this command'}:"
    else:
        text = "This command takes the run up where its last checkpoint is, if no process works on it:"
        return (Step(sentences=(home, text), commands=(resume,)),)
    return (
        Step(sentences=(home, first), commands=tuple(answers)),
        Step(sentences=("And then this one, with which the run goes on:",), commands=(resume,)),
    )


def _waits_for_signature(facts: ReportFacts) -> bool:
    held = facts.state.held
    return held is not None and held.intent is not None and held.done is None


def _answers(facts: ReportFacts) -> Iterator[str]:
    """Yield the commands of which a person gives one, each with what it does after a #."""
    for words in open_commands(facts.state, facts.schedule):
        name, *rest = words.partition(" (")[0].split()
        more = ["--reason", "WHY"] if name == "accept-risk" or facts.state.state == "failed" else []
        to = f"to {rest[0]}" if rest and not rest[0].isdecimal() else ""
        note = _note(facts, name, words.partition(" (")[2].rstrip(")") or to)
        yield shlex.join(["townlet", name, facts.run, *rest, *more]) + (f"  # {note}" if note else "")


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
