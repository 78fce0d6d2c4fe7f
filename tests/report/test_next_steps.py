"""What a report says can be done next is what the program takes, and one answer is told from what follows it."""

import shlex

from attrs import evolve
from test_run_sentences import unpromoted

from townlet.cli import app
from townlet.dto.journal import ApprovalRequested
from townlet.machine.audit.report_facts import ReportFacts
from townlet.machine.journal.run_state import OpenVisit
from townlet.report.next_steps import resume_steps, undo_commands, undo_sentences


def test_the_way_back_is_a_command_that_the_program_takes(facts: ReportFacts) -> None:
    """Where something was in force before, the registry's rollback puts it back; names are quoted for a shell."""
    assert facts.intent is not None
    registry = evolve(facts.schedule.registry, scope="run")
    run = evolve(
        facts,
        intent=evolve(facts.intent, expected="0123456789abcdef", alias="it's"),
        schedule=evolve(facts.schedule, registry=registry),
    )
    (command,) = undo_commands(run)

    assert "what corridor@it's named before, 0123456789ab" in next(undo_sentences(run))
    program, *words = shlex.split(command)
    assert "townlet" == program
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert {"name": "corridor", "alias": "it's", "reason": "WHY", "run": facts.run} == {
        key: str(value) for key, value in bound.arguments.items() if key != "home"
    }


def test_where_nothing_was_in_force_before_no_rollback_is_promised(facts: ReportFacts) -> None:
    """The registry would refuse it; the sentence says what to go on with."""
    first, second, third = undo_sentences(facts)

    assert (
        "corridor@champion named nothing before, so no earlier version can be put back: the alias names version 1 "
        "until another promotion moves it, and no command empties it." == first
    )
    assert "name what was in force before, teacher:lazy, wherever you name corridor@champion" in second
    assert third.startswith("The first command shows what the alias names now, the second plays teacher:lazy; where")
    history, play = undo_commands(facts)
    assert "townlet registry history" == history
    program, *words = shlex.split(play)
    assert "townlet" == program
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_a_run_that_moved_nothing_has_nothing_to_undo(facts: ReportFacts) -> None:
    """No command is printed that could harm."""
    run = unpromoted(facts, state="hold")

    assert [
        "There is nothing to undo: this run moved no alias, and the policy in force is the one from before it."
    ] == [*undo_sentences(run)]
    assert () == undo_commands(run)


def test_a_run_that_waits_says_how_it_goes_on(facts: ReportFacts) -> None:
    """Each answer is a command of its own, which the program takes, and resume comes last."""
    request = ApprovalRequested(state="evaluate", edge=1, report="c0ffee", expires=0.0)
    run = unpromoted(facts, state="hold", approval=request, closed=None)

    answer, resume = resume_steps(run)
    assert "The run waits for a person. Give one of these commands:" == answer.sentences[-1]
    assert ("And then this one, with which the run goes on:",) == resume.sentences
    commands = [shlex.split(command, comments=True) for command in (*answer.commands, *resume.commands)]
    assert ["approve", "reject", "retry", "abort", "resume"] == [words[1] for words in commands]
    for _, *words in commands:
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_a_run_that_was_cut_off_is_resumed_and_one_that_ended_is_not(facts: ReportFacts) -> None:
    """Its last checkpoint is where it goes on; a closed run gets no advice."""
    cut_off = unpromoted(facts, state="ppo", closed=None)

    (step,) = resume_steps(cut_off)
    assert "its last checkpoint" in step.sentences[-1]
    assert (f"townlet resume {facts.run}",) == step.commands
    assert () == resume_steps(facts)


def test_a_risk_is_accepted_by_the_name_of_a_state(facts: ReportFacts) -> None:
    """The number of an edge stands only where two edges lead to one state, counted from 1 as on the page."""
    held = OpenVisit(
        state="evaluate",
        number=1,
        attempt=1,
        inputs={},
        baseline_digests={},
        expected_champion=None,
        reports=(),
    )
    run = unpromoted(facts, state="hold", approval=None, held=held, held_state="evaluate", closed=None)
    state = facts.schedule.states["evaluate"]
    twice = evolve(state, next=(*state.next, state.next[0]))

    again = evolve(run, schedule=evolve(run.schedule, states={**run.schedule.states, "evaluate": twice}))

    one, two = (
        [command.partition(f"{facts.run} ")[2] for command in resume_steps(each)[0].commands] for each in (run, again)
    )
    assert "promote --reason WHY  # goes on against the guards, to promote" in one
    assert "1 --reason WHY  # goes on against the guards, to rollback" in two
