"""A schedule without a teacher: what it may not ask for, and what a first run of it cannot compare."""

import pytest
from catalogue import catalogue, describe

from townlet.machine.schedule.forecast import forecast
from townlet.machine.schedule.loader import ScheduleError, load_text

OFFLINE = """\
schedule: townlet/v1
name: offline
seed: 1
environment: {id: town, scenario: small_town}
registry: {name: offline}
evidence: {full: {episodes: [20], days: 1, confidence: 95%}}
baselines: {champion: {alias: champion}}
guards:
  cloned: {metric: bc.heldout_accuracy, at_least: 0.9}
  good: {metric: evaluate.return_per_agent_day, at_least: 10}
  better: {metric: evaluate.return_per_agent_day, better_by: {baseline: champion, absolute: 0}, evidence: full}
initial: bc
states:
  bc:
    strategy: bc
    with: {data: {manifest: play.yaml, sha256: abc}}
    next: [{to: evaluate, when: [cloned]}, {to: hold}]
  evaluate:
    strategy: evaluate
    with: {evidence: full}
    next: [{to: promote, when: [good]}, {to: done}]
  promote: {strategy: promote, with: {unproven: true}, next: [{to: done}]}
"""
BC = "  bc:\n    strategy: bc"
CAPTURE = "  capture: {strategy: capture, next: [{to: bc}]}\n" + BC
CHAMPION = "baselines: {champion: {alias: champion}}"
DRIVEN = "{agent_steps: 100000, num_steps: 48, days: 1, ramps: [{teacher_share: [[0, 0.5], [50000, 0]]}]}"
PPO = f"  ppo: {{strategy: ppo, with: {DRIVEN}, next: [{{to: evaluate}}]}}\n" + BC


def edited(*changes: tuple[str, str]) -> str:
    """Return the schedule with pieces replaced, each of which must be there once."""
    text = OFFLINE
    for old, new in changes:
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    return text


def warnings(text: str) -> list[str]:
    """Return what `check` says of a first run."""
    plan = load_text(text.encode(), "x.yaml", catalogue(), describe)
    return list(forecast(plan, catalogue(), describe(plan.schedule.environment)).first_run)


@pytest.mark.parametrize("teacher", ["", "teacher: none\n"])
def test_recorded_data_needs_no_teacher(teacher: str) -> None:
    """`none` and nothing mean the same."""
    plan = load_text((teacher + OFFLINE).encode(), "x.yaml", catalogue(), describe)
    assert "none" == plan.schedule.teacher


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ((("initial: bc", "initial: capture"), (BC, CAPTURE)), "14:3", "'capture' needs a teacher"),
        (((CHAMPION, CHAMPION[:-1] + ", script: {policy: teacher}}"),), "7:59", "no teacher for baseline 'script'"),
        (((CHAMPION, CHAMPION[:-2] + ", otherwise: teacher}}"),), "7:52", "no teacher for baseline 'champion'"),
        (
            (("{to: evaluate, when: [cloned]}", "{to: ppo, when: [cloned]}"), (BC, PPO)),
            "14:100",
            "no teacher that could drive worlds",
        ),
    ],
)
def test_what_asks_for_a_teacher_is_refused(changes: tuple[tuple[str, str], ...], place: str, message: str) -> None:
    """Each with its place and what to do instead."""
    with pytest.raises(ScheduleError) as caught:
        load_text(edited(*changes).encode(), "x.yaml", catalogue(), describe)
    assert any(message in mistake.message for mistake in caught.value.mistakes), caught.value
    assert f"x.yaml:{place}" in str(caught.value)
    assert "name one (teacher: …)" in str(caught.value)


def test_a_teacher_that_cannot_be_read_is_one_mistake() -> None:
    """It does not count as none."""
    text = edited(("initial: bc", "teacher: 3\ninitial: capture"), (BC, CAPTURE))
    with pytest.raises(ScheduleError) as caught:
        load_text(text.encode(), "x.yaml", catalogue(), describe)
    assert not any("needs a teacher" in mistake.message for mistake in caught.value.mistakes)


def test_fixed_limits_need_no_champion() -> None:
    """An edge that asks them alone can be taken in a first run; what no edge asks is said of the guard alone."""
    assert [
        "better: compared with champion; in a first run there is no champion and nothing takes its place: it "
        "cannot pass"
    ] == warnings(OFFLINE)


@pytest.mark.parametrize("when", ["[better]", "[good, better]", "[{any: [good, better]}]", "[{not: better}]"])
def test_an_edge_that_a_first_run_holds_before_is_named(when: str) -> None:
    """One unknown guard makes the whole condition unknown."""
    _, sentence = warnings(edited(("when: [good]", f"when: {when}")))
    assert sentence.startswith("evaluate → promote: a first run holds before this edge")


def test_a_guard_that_is_skipped_holds_nothing() -> None:
    """It is said to be skipped, and the edge is open."""
    unasked = "evidence: full}\ninitial"
    skipped = (unasked, unasked.replace("}", ", without_baseline: skip}"))
    (sentence,) = warnings(edited(skipped, ("when: [good]", "when: [good, better]")))
    assert sentence.endswith("it is skipped")


def test_a_policy_that_takes_the_place_of_the_champion_can_be_compared_with() -> None:
    """Nothing is missing then, with or without a teacher."""
    taught = ("initial: bc", "teacher: scripted\ninitial: bc")
    assert [] == warnings(edited((CHAMPION, CHAMPION[:-2] + ", otherwise: teacher}}"), taught))
    assert warnings(edited(taught))
