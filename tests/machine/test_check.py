"""The static checks: each thing that is refused at load, one at a time, with the words that mend it."""

import re
from pathlib import Path

import pytest
from catalogue import catalogue, describe

from townlet.dto.schedule import Plan
from townlet.machine.schedule.loader import ScheduleError, load_text

SMALL_TOWN = (Path(__file__).parent / "data" / "small_town.yaml").read_text("utf-8")
CHAMPION = "not_worse_than: {baseline: champion, absolute: 0}"
TINY = """
schedule: townlet/v1
name: tiny
seed: 1
environment: {id: town, scenario: small_town}
teacher: scripted
registry: {name: tiny}
guards:
  a: {metric: one.episodes, at_least: 1}
  b: {metric: one.episodes, at_least: 2}
  few: {visits_to: one, below: 3}
initial: one
states:
"""


def plan_of(text: str) -> Plan:
    """Return the plan of a schedule's text."""
    return load_text(text.encode(), "x.yaml", catalogue(), describe)


def refused(text: str) -> list[str]:
    """Return the messages of everything wrong with a text that must be refused."""
    with pytest.raises(ScheduleError) as caught:
        plan_of(text)
    return [mistake.message for mistake in caught.value.mistakes]


def states(**ways: str) -> str:
    """Return a tiny schedule of capture states with these edges."""
    return TINY + "".join(f"  {name}: {{strategy: capture, next: [{edges}]}}\n" for name, edges in ways.items())


def edited(*changes: tuple[str, str]) -> str:
    """Return the reference schedule with pieces of its text replaced, each of which must be there once."""
    text = SMALL_TOWN
    for old, new in changes:
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("id: town", "id: twon"), "unknown environment 'twon'; did you mean 'town'?"),
        (
            ("initial: capture", "trackers: {tensorbord: {}}\ninitial: capture"),
            "unknown tracker 'tensorbord'; did you mean 'tensorboard'?",
        ),
        (("scenario: small_town,", "scenario: smal_town,"), "unknown scenario 'smal_town'; did you mean 'small_town'?"),
        (("teacher: scripted", "teacher: script"), "unknown teacher 'script'; did you mean 'scripted'?"),
        (("initial: capture", "initial: captur"), "unknown state 'captur'; did you mean 'capture'?"),
        (("strategy: evaluate", "strategy: evaluation"), "unknown strategy 'evaluation'; did you mean 'evaluate'?"),
        (("{to: ppo, when: [cloned]}", "{to: ppo, when: [clond]}"), "unknown guard 'clond'; did you mean 'cloned'?"),
        (("with: {evidence: full}", "with: {evidence: ful}"), "unknown evidence 'ful'; did you mean 'full'?"),
        (("evidence: quick, against", "evidence: quik, against"), "unknown evidence 'quik'; did you mean 'quick'?"),
        (("against: parent", "against: champion"), "expected 'parent', found 'champion'"),
        (("start_from: clone ", "start_from: klone "), "unknown weights 'klone'; did you mean 'clone'?"),
        (("ppo.learning_rate: 0.5", "pp.learning_rate: 0.5"), "unknown state 'pp'; did you mean 'ppo'?"),
        (("ppo.learning_rate: 0.5", "ppo.learnin_rate: 0.5"), "unknown option of ppo 'learnin_rate'"),
        (
            ("ppo.learning_rate: 0.5", "ppo.start_from: 0.5"),
            "ppo.start_from cannot be scaled; expected an option of ppo with decimals",
        ),
        (("ppo.learning_rate: 0.5", "ppo.learning_rate: 0"), "expected a factor above 0"),
        (
            ("with: {scale: {", "with: {target: chmpion, scale: {"),
            "expected 'accepted' or 'champion', found 'chmpion'; did you mean 'champion'?",
        ),
        (("episodes: [20]", "episodes: [19]"), "expected at least 20 pairs at the first look, found 19"),
        (("{policy: teacher}", "{policy: teachr}"), "unknown policy 'teachr'; did you mean 'teacher'?"),
        (("otherwise: champion}", "otherwise: chmp}"), "unknown baseline 'chmp'; did you mean 'champion'?"),
        (("parent:   {of: ppo}", "parent:   {of: bc}"), "state 'bc' fine-tunes no weights"),
        (("parent:   {of: ppo}", "mother: {of: ppo}"), "a baseline with of: is called 'parent'"),
        (
            ("alias: champion, otherwise: teacher", "alias: champion, otherwise: accepted"),
            "accepted → champion → accepted",
        ),
        (
            ("rounds_left:     {visits_to: ppo, below: 4}", "rounds_left: {visits_to: ppo, below: 0}"),
            "at least 1, found 0",
        ),
        (("{visits_to: ppo,", "{visits_to: pp,"), "unknown state 'pp'; did you mean 'ppo'?"),
        (("metric: capture.episodes", "metric: episodes"), "expected STATE.NAME or STATE[SCENARIO].NAME"),
        (("metric: capture.episodes", "metric: captur.episodes"), "unknown state 'captur'"),
        (
            ("metric: evaluate.deaths", "metric: evaluate.death"),
            "unknown metric of evaluate 'death'; did you mean 'deaths'?",
        ),
        (("metric: evaluate.deaths", "metric: evaluate.chats"), "'chats' has no better direction"),
        (
            ("metric: evaluate.deaths", "metric: 'evaluate[small_town].deaths'"),
            "unknown scenario of the suite 'small_town'",
        ),
        (("metric: capture.episodes", "metric: 'capture[x].episodes'"), "state 'capture' plays no scenarios for this"),
        (
            ("floor: 0.02}, evidence: full}", "floor: 0.02}, evidence: quick}"),
            "state 'evaluate' gathers 'full', not 'quick'",
        ),
        (
            ("floor: 0.02}, evidence: full}", "floor: 0.02}, evidence: ful}"),
            "unknown evidence 'ful'; did you mean 'full'?",
        ),
        (("{baseline: teacher,", "{baseline: accepted,"), "'accepted' remembers the best training statistic"),
        (("{baseline: accepted,", "{baseline: champion,"), "ppo.value_loss is a training statistic, which baseline"),
        (("metric: ppo.value_loss", "metric: bc.value_loss"), "'accepted' is of 'ppo' and has no statistic of 'bc'"),
        (("when: [clearly_worse]", "when: [{not: loss_tolerance}]"), "a skipped guard has no opposite"),
        (("when: [clearly_worse]", "when: [{any: []}]"), "expected at least one guard under any"),
        (("with: {episodes: 256, days: 3}", "with: {episodes: 0, days: 3}"), "expected more than 0, found 0"),
    ],
)
def test_one_mistake_is_told_once(change: tuple[str, str], message: str) -> None:
    """Each thing that cannot mean anything gives exactly one message, and no cascade of others."""
    messages = refused(edited(change))
    assert 1 == len(messages), messages
    assert message in messages[0]


@pytest.mark.parametrize("name", ["hold", "a.b", "1st", "x[y]", ""])
def test_names_that_would_mean_something_else_are_refused(name: str) -> None:
    """A state may not be called like a built-in one, nor like a piece of a metric's name."""
    assert any(
        "name" in message
        for message in refused(
            TINY + f'  one: {{strategy: capture, next: [{{to: "{name}"}}]}}\n'
            f'  "{name}": {{strategy: capture, next: [{{to: done}}]}}\n'
        )
    )


def test_a_suite_needs_the_scenario_in_every_metric() -> None:
    """With scenarios in the evidence a bare metric is ambiguous, and a named one is fine."""
    suite = ("full:  {episodes", "full:  {scenarios: [small_town, crowded], episodes")
    messages = refused(edited(suite))
    assert 8 == sum("say which scenario is meant" in message for message in messages) == len(messages)
    assert plan_of(re.sub(r"metric: evaluate\.(\w+)", r"metric: 'evaluate[crowded].\1'", edited(suite)))


def test_a_scenario_of_the_suite_must_exist() -> None:
    """The environment is asked for every scenario."""
    messages = refused(edited(("full:  {episodes", "full:  {scenarios: [small_tow], episodes")))
    assert "unknown scenario 'small_tow'; did you mean 'small_town'?" in messages


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ({"one": "{to: two, when: [a]}, {to: done}", "two": "{to: done, when: [a]}"}, "the last edge is always open"),
        ({"one": "{to: done}, {to: hold}"}, "those after it are never taken"),
        ({"one": ""}, "expected at least one edge"),
        ({"one": "{to: done}", "two": "{to: done}"}, "state 'two' is never reached from 'one'"),
        ({"one": "{to: two}", "two": "{to: two}"}, "no way leads from 'two' to an end"),
        ({"one": "{to: one, when: [a]}, {to: done}"}, "one → one can repeat without end"),
        (
            {"one": "{to: two, when: [few]}, {to: done}", "two": "{to: two, when: [a]}, {to: one}"},
            "two → two can repeat without end",
        ),
        (
            {"one": "{to: two, when: [{any: [few, a]}]}, {to: done}", "two": "{to: one}"},
            "one → two → one can repeat without end",
        ),
        (
            {"one": "{to: two, when: [{not: few}]}, {to: done}", "two": "{to: done}"},
            "state 'two' is never reached: the counters close every way to it",
        ),
    ],
)
def test_a_machine_that_is_not_total_reachable_and_ending_is_refused(ways: dict[str, str], message: str) -> None:
    """Open ends, dead branches and rounds that no counter bounds are told at the edge or state."""
    assert any(message in found for found in refused(states(**ways)))


@pytest.mark.parametrize(
    ("ways", "visits"),
    [
        ({"one": "{to: done}"}, {"one": 1}),
        ({"one": "{to: one, when: [few]}, {to: done}"}, {"one": 3}),
        ({"one": "{to: one, when: [few, a]}, {to: done}"}, {"one": 3}),
        ({"one": "{to: one, when: [{all: [a, {any: [{not: few}, few]}]}, few]}, {to: done}"}, {"one": 3}),
        ({"one": "{to: done, when: [{not: few}]}, {to: one}"}, {"one": 3}),
        (
            {"one": "{to: two, when: [a]}, {to: done}", "two": "{to: one, when: [few]}, {to: done}"},
            {"one": 3, "two": 3},
        ),
        (
            {
                "one": "{to: two, when: [few]}, {to: done}",
                "two": "{to: three, when: [a]}, {to: one}",
                "three": "{to: one}",
            },
            {"one": 3, "two": 2, "three": 2},
        ),
    ],
)
def test_the_longest_walk_is_counted(ways: dict[str, str], visits: dict[str, int]) -> None:
    """most_visits is what the counters allow where every other guard answers as it likes."""
    assert visits == dict(plan_of(states(**ways)).most_visits)


def test_too_many_situations_are_refused_and_not_counted_for_ever() -> None:
    """Where the counters allow more situations than can be looked at, the schedule is refused with the reason."""
    text = states(one="{to: one, when: [few, a]}, {to: two, when: [other]}, {to: done}", two="{to: one}")
    text = text.replace("below: 3}", "below: 100000}\n  other: {visits_to: two, below: 100000}")
    assert any("too many to prove" in message for message in refused(text))


@pytest.mark.parametrize("when", ["[]", "[cloned]", "[{any: [better, cloned]}]", "[{not: better}]", "[clearly_worse]"])
def test_an_edge_into_promote_needs_evidence(when: str) -> None:
    """Only a guard on evidence that must hold opens the way to promote."""
    text = edited(
        (
            "when: [better, still_beats_script, queue_tolerance, loss_tolerance, small_updates, lives, at_work, "
            "punctual, nobody_pays]",
            f"when: {when}",
        )
    )
    assert any("without a guard on evidence" in message for message in refused(text))


@pytest.mark.parametrize("when", ["[better, cloned]", "[{any: [better, lives]}]", "[{not: clearly_worse}]"])
def test_evidence_in_any_form_that_must_hold_opens_promote(when: str) -> None:
    """Every branch of an `any` proves it, and so does refuting that the candidate is worse."""
    assert plan_of(
        edited(
            (
                "when: [better, still_beats_script, queue_tolerance, loss_tolerance, small_updates, lives, "
                "at_work, punctual, nobody_pays]",
                f"when: {when}",
            )
        )
    )


def test_an_unproven_promotion_must_be_asked_for() -> None:
    """`unproven: true` at the promote state lets the edge pass without evidence."""
    changes = (
        (
            "when: [better, still_beats_script, queue_tolerance, loss_tolerance, small_updates, lives, at_work, "
            "punctual, nobody_pays]",
            "when: [cloned]",
        ),
        ("promote: {strategy: promote,", "promote: {strategy: promote, with: {unproven: true},"),
    )
    assert plan_of(edited(*changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("initial: capture", "initial: bc"),
            "'bc' needs a data set, but can be reached before there is one",
        ),
        (("{to: bc, when: [enough_data, varied_actions]}", "{to: ppo, when: [enough_data]}"), "'ppo' needs the clone"),
        (("initial: capture", "initial: evaluate"), "'evaluate' needs the candidate"),
        (("initial: capture", "initial: promote"), "a run cannot begin with 'promote'"),
    ],
)
def test_a_state_cannot_be_reached_before_what_it_begins_with(change: tuple[str, str], message: str) -> None:
    """Data sets, clones and candidates must have been made on every way to the state that needs them."""
    assert any(message in found for found in refused(edited(change)))


def test_a_fresh_start_needs_no_clone() -> None:
    """`start_from: fresh` may stand without behaviour cloning."""
    assert plan_of(edited(("start_from: clone ", "start_from: fresh ")))


def test_more_states_than_can_be_surveyed_are_refused() -> None:
    """A machine of hundreds of states is refused before it is walked."""
    ways = {"one": "{to: s0}"} | {f"s{i}": f"{{to: s{i + 1}}}" for i in range(300)} | {"s300": "{to: done}"}
    assert ["expected at most 64 states, found 302"] == refused(states(**ways))
