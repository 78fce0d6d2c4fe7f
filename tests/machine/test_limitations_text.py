"""What a run could not see, in sentences: the golden text, and words that nothing undecided is called."""

import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as some

from townlet.dto.fields import Direction
from townlet.dto.guards import Verdict
from townlet.dto.limitations import GuardLimitation, KpiMove, PairFacts, RunLimitations, Scope, VisitLimitations
from townlet.report.limitations import limitation_lines

GOLDEN = Path(__file__).parent / "data" / "limitations.txt"
FLOATS = some.floats(-1e6, 1e6)
RUN = RunLimitations(run="r")
DECIDED_WORDS = re.compile(
    r"\b(better|worse|equal|equals|similar|same|trend|tends?|improved?|no difference|confirms?|proves?|safe)\b"
)


def guard(name: str, **changes: Any) -> GuardLimitation:
    """Return what a guard on the return could detect."""
    facts = GuardLimitation(
        guard=name,
        metric="evaluate.return",
        unit="1/agent-day",
        verdict=Verdict.PASS,
        pairs=96,
        power=0.8,
        detectable_sd=0.31,
        detectable=1.25,
        passes_at=1.25,
        difference=3.5,
        skewness=0.2,
    )
    return evolve(facts, **changes)


def move(metric: str, difference: float, direction: Direction, baseline: str = "champion") -> KpiMove:
    """Return a move with an interval of a tenth to both sides."""
    return KpiMove(
        metric=metric,
        unit="ticks/agent-day",
        direction=direction,
        baseline=baseline,
        difference=difference,
        low=difference - 0.1,
        high=difference + 0.1,
    )


def visit(*guards: GuardLimitation, **changes: Any) -> VisitLimitations:
    """Return a visit with these guards."""
    found = VisitLimitations(
        judged_in="evaluate",
        judged_visit=2,
        state="evaluate",
        visit=2,
        evidence="full",
        candidate="c0ffee" * 10,
        episodes=96,
        declared=96,
        unseen_rate=0.0307,
        guards=guards,
        scope=Scope(scenarios=("small_town",), length="7 days", actions="greedy"),
    )
    return evolve(found, **changes)


def text(*guards: GuardLimitation, **changes: Any) -> str:
    """Return the section of a visit."""
    return "\n".join(limitation_lines(RUN, visit(*guards, **changes)))


PAIR = PairFacts(
    metric="return", unit="1/agent-day", baseline="champion", pairs=96, correlation=0.83, gain=5.8,
    worst_episode=17, candidate=12.1, paired_value=14.0,
)  # fmt: skip


def test_the_section_is_that_of_the_golden_file() -> None:
    """Every kind of sentence once."""
    section = text(
        guard("pays"),
        guard("waits", unit="s", passes_at=-2.0, passes_above=False, verdict=Verdict.UNDECIDED, difference=-0.5),
        guard("lives", passes_at=None, detectable=None, skewness=-2.4, dropped=3),
        guard(
            "works", passes_at=None, detectable_sd=None, skewness=1.6, dropped=1, candidate_missing=4, missing="worst"
        ),
        guard("survives", metric="evaluate.deaths", passes_at=-2.0, passes_above=False, bound=0.0),
        guard("arrives", metric="evaluate.share", unit="share", bound=1.0),
        guard("burials", passes_at=None, detectable=None, detectable_sd=None, is_count=True),
        pairs=(
            PAIR,
            evolve(PAIR, metric="waits", correlation=-0.2, gain=0.8, worst_episode=3, candidate=5.0, paired_value=0.0),
            evolve(PAIR, metric="deaths", correlation=None, gain=1.0, worst_episode=0, candidate=0.0, paired_value=0.0),
            evolve(PAIR, metric="alarms", correlation=1.0, gain=None, all_equal=True),
        ),
        unguarded=("conflicts", "noise", "chats", "sleep"),
        comparisons=8,
        moves=(
            move("conflicts", -1.0, Direction.LOWER),
            move("noise", 2.0, Direction.LOWER),
            move("chats", 3.0, Direction.NONE),
            move("chats", -3.0, Direction.NONE, "teacher"),
        ),
        not_compared=("sleep",),
        scope=Scope(
            scenarios=("small_town",),
            unplayed=("crowded", "city"),
            length="7 days",
            training_lengths=("ppo 5 days",),
            actions="greedy",
            other_episodes=20,
        ),
    )
    assert GOLDEN.read_text("utf-8") == f"{section}\n"


@given(
    some.builds(
        GuardLimitation,
        guard=some.just("g"),
        metric=some.just("evaluate.m"),
        unit=some.sampled_from(["", "s", "1/day"]),
        verdict=some.just(Verdict.UNDECIDED),
        pairs=some.integers(20, 500),
        power=some.just(0.8),
        detectable_sd=some.none() | FLOATS,
        passes_at=some.none() | FLOATS,
        passes_above=some.booleans(),
        difference=some.none() | FLOATS,
        skewness=some.none() | some.floats(-1, 1),
        dropped=some.integers(0, 9),
        candidate_missing=some.integers(0, 3),
        baseline_missing=some.integers(0, 3),
        missing=some.sampled_from([None, "drop"]),
    )
)
def test_nothing_undecided_is_called_a_result(facts: GuardLimitation) -> None:
    """Neither better nor similar nor a trend, whatever was found; where it says what passes, it may or may not hold."""
    section = text(facts)
    assert DECIDED_WORDS.search(section) is None
    if "passes with" in section:
        assert "g may or may not hold: it passes with a chance of 80%" in section


@given(some.lists(some.tuples(FLOATS, some.sampled_from(Direction)), max_size=6))
def test_a_move_is_better_or_worse_only_where_its_kpi_has_a_direction(moves: list[tuple[float, Direction]]) -> None:
    """One line for each direction of a move that there is; none without a move."""
    section = text(
        unguarded=("k",),
        comparisons=6,
        moves=tuple(move("k", difference, direction) for difference, direction in moves),
    )
    expected = {
        ("higher" if x > 0 else "lower")
        if direction is Direction.NONE
        else ("better" if (x > 0) == (direction is Direction.HIGHER) else "worse")
        for x, direction in moves
    }
    assert expected == set(re.findall(r"^  (better|worse|higher|lower) than champion: ", section, re.MULTILINE))
    assert ("may or may not have moved" in section) == (not moves)


def test_pairs_that_saved_no_episodes_say_so() -> None:
    """The environment does not obey its seed: no correlation, and only the candidate's side of the worst episode."""
    alone = evolve(PAIR, correlation=None, gain=None, paired_value=None)
    section = text(guard("pays"), unpaired=True, pairs=(alone,))
    assert "the episodes are not pairs, and save none" in section
    assert "  return, champion: worst episode 17: 12.1" in section.splitlines()
    assert "pairing" not in section


def test_what_cannot_be_read_or_asked_stands_first() -> None:
    """Below the heading, before any number."""
    run = RunLimitations(run="r", environment_problem="no such environment")
    lines = list(limitation_lines(run, visit(guard("pays"), problem="blob e is missing")))
    assert ["the evidence cannot", "the environment can"] == [line.strip()[:19] for line in lines[1:3]]


@pytest.mark.parametrize("name", ["g\n  pass      forged", "g\x1b[2Jx", "g\u202eb"])
def test_names_from_outside_make_no_line_and_move_no_cursor(name: str) -> None:
    """A guard, a KPI, a scenario, a baseline: each sentence stays one line of printable text."""
    facts = guard(name, skewness=-3.0)
    scope = Scope(scenarios=(name,), unplayed=(name,), length="1 days", actions="greedy")
    hostile = {"pairs": (evolve(PAIR, metric=name, baseline=name),), "not_compared": (name,), "scope": scope}
    plain = {"pairs": (PAIR,), "not_compared": ("g",), "scope": evolve(scope, scenarios=("g",), unplayed=("g",))}
    moves = (move(name, 1.0, Direction.HIGHER),)
    lines = text(facts, comparisons=1, unguarded=(name,), moves=moves, **hostile).split("\n")
    expected = text(evolve(facts, guard="g"), comparisons=1, unguarded=("g",), moves=moves, **plain).split("\n")
    assert len(expected) == len(lines)
    assert all(line.isprintable() for line in lines)


def test_a_suite_counts_its_episodes_in_each_scenario() -> None:
    """96 episodes of each of two scenarios."""
    scope = Scope(scenarios=("a", "b"), length="7 days", actions="stochastic")
    section = text(scope=scope)
    assert "from 96 of 96 episodes in each scenario (full, evaluate visit 2)" in section
    assert "stochastic actions were judged; greedy ones not played\n" in section
    assert "played in a, b\n" in section
