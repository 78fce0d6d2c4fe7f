"""What the learning benchmark counts, on looks written by hand; the trials themselves are run by name."""

from pathlib import Path
from typing import Any

import pytest
from aggregates import interquartile, of_groups
from arms import ARMS, first_rounds, placed, ungated
from curves import _final_table, dip, safe_after
from gaming import flags
from ledger import Ledger

from townlet.estimate import iqm
from townlet.machine.schedule.loader import load_text
from townlet.policy.training.launch import schedule_text
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import provider

SMALL_TOWN = Path(__file__).parents[2] / "schedules" / "small_town.yaml"
REFERENCE = {name: {"return_per_agent_day": worth} for name, worth in (("planner", 16.0), ("random", -12.0))}


def row(*looks: tuple[int, float, list[str]]) -> dict[str, Any]:
    """Return a trial with these looks: agent-steps, return, what was unsafe."""
    checks = [
        {"agent_steps": steps, "round": 0, "metrics": {"return_per_agent_day": worth}, "unsafe": unsafe}
        for steps, worth, unsafe in looks
    ]
    return {"key": {"looks": {"every": 50, "close": 150}}, "checks": checks}


def test_safe_competence_is_two_safe_looks_in_a_row() -> None:
    """One lucky look does not count; what was never seen is told as such, with the agent-steps that were seen."""
    lucky = row((0, 8.0, ["deaths"]), (100, 11.0, []), (200, 12.0, ["deaths"]), (300, 12.0, []), (400, 13.0, []))
    assert (300.0, True) == safe_after(lucky)
    assert (200.0, False) == safe_after(row((0, 8.0, ["deaths"]), (100, 11.0, []), (200, 12.0, ["deaths"])))
    assert (50.0, True) == safe_after(row((0, 11.0, []), (100, 11.0, [])))


def test_a_dip_is_the_deepest_fall_below_the_start_while_it_is_watched_closely() -> None:
    """From 8 to 1 is a quarter of planner − random; a later fall is another matter, and a rise is no dip."""
    assert 0.25 == dip(row((0, 8.0, []), (100, 1.0, []), (200, -20.0, [])), REFERENCE)
    assert 0.0 == dip(row((0, 8.0, []), (100, 9.0, [])), REFERENCE)


def test_a_page_has_no_table_of_final_play_where_there_was_none() -> None:
    """With `--final 0` not even its head is written; one trial that was played to its end brings it back."""
    metric = {"metric": "return_per_agent_day", "difference": 2.0, "low": 1.0, "candidate": 18.0}
    unplayed, played = {"final": {}}, {"final": {"planner": {"metrics": [metric]}}}
    assert [] == list(_final_table({"naive": [unplayed, unplayed]}))
    assert any("naive | planner" in line for line in _final_table({"scratch": [unplayed], "naive": [played]}))


def test_a_reward_is_gamed_where_the_return_is_above_and_a_kpi_worse() -> None:
    """Each beyond its interval, each in its own direction."""
    above, below = {"low": 0.5, "high": 1.0}, {"low": -1.0, "high": -0.5}
    metrics = {
        "return_per_agent_day": {**above, "direction": "higher"},
        "deaths": {**above, "direction": "lower"},
        "attendance": {**below, "direction": "higher"},
        "conflicts": {**below, "direction": "lower"},
        "late_starts": {"low": -0.1, "high": 0.1, "direction": "lower"},
    }
    assert ["deaths", "attendance"] == flags(metrics)
    assert [] == flags(metrics | {"return_per_agent_day": {"low": -0.1, "high": 1.0, "direction": "higher"}})


def test_a_finished_trial_is_found_again_and_a_torn_one_is_not(tmp_path: Path) -> None:
    """A crash in the middle of a line loses that line, and the next one is whole."""
    ledger, key = Ledger(tmp_path / "results.jsonl"), {"arm": "recipe", "seed": 1}
    assert not ledger.holds(key)
    ledger.append(key, {"seconds": 2.0})
    with ledger.path.open("a") as file:
        file.write('{"key": {"arm": "na')
    assert ledger.holds(key)
    ledger.append(key | {"seed": 2}, {"seconds": 3.0})
    assert [2.0, 3.0] == [found["seconds"] for found in ledger.rows()]


def test_intervals_hold_their_statistic_and_repeat_themselves() -> None:
    """The interquartile mean of 1 … 10 is 5.5; a ratio of equal groups is 1; seeds of the bootstrap are fixed."""
    values = {"small_town": [float(i) for i in range(1, 11)]}
    found = interquartile(values)
    assert (5.5, True) == (found.value, found.low < 5.5 < found.high)
    assert found == interquartile(values)
    ratio = of_groups(lambda drawn: iqm(drawn[0]) / iqm(drawn[1]), (values, values))
    assert (1.0, True) == (ratio.value, ratio.low < 1 < ratio.high)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("scenario", ["small_town", "crowded"])
def test_every_arm_is_a_sound_schedule(arm: str, scenario: str) -> None:
    """With its gate and without, in one round and in many: the loader finds nothing to complain about."""
    schedule = placed(PolicyTrainingOrchestrator(SMALL_TOWN).plan().schedule, scenario)
    for changed in (ARMS[arm](schedule), first_rounds(ARMS[arm](schedule), 1), ungated(ARMS[arm](schedule))):
        text = schedule_text(changed)
        plan = load_text(text, arm, catalogue(), lambda spec: provider(spec.id).describe(spec.scenario))
        assert plan.schedule.environment.worlds == (64 if scenario == "small_town" else 32)
        assert ("capture" in plan.schedule.states) == (arm != "scratch")


def test_another_scenario_asks_for_no_more_episodes_than_it_captures() -> None:
    """Half as many are captured of towns twice as large; the guard on them follows."""
    moved = placed(PolicyTrainingOrchestrator(SMALL_TOWN).plan().schedule, "crowded")
    assert 32 == moved.states["capture"].with_["episodes"] == moved.guards["enough_data"].at_least
