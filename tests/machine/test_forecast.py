"""The forecast: what a run may cost and what its evidence can see."""

import re
from pathlib import Path

import pytest
from attrs import evolve
from catalogue import catalogue, describe

from townlet.machine.schedule.forecast import Forecast, forecast
from townlet.machine.schedule.loader import load, load_text


@pytest.fixture
def told() -> Forecast:
    """Return the forecast of the reference schedule on a machine without torch."""
    plan = load(Path(__file__).parent / "data" / "small_town.yaml", catalogue(), describe)
    return forecast(plan, catalogue(torch=False), describe(plan.schedule.environment))


def test_worst_case_agent_steps_are_counted_by_hand(told: Forecast) -> None:
    """Eight agents, 48 decisions a day: capture, ppo with its watch, and every policy of an evaluation."""
    steps = {state.state: state.agent_steps for state in told.states}
    iteration = 64 * 8 * 48
    assert 256 * 3 * 48 * 8 == steps["capture"]
    assert 82 * iteration + 8 * 2 * 20 * 4 * 48 * 8 == steps["ppo"]
    assert 4 * 100 * 14 * 48 * 8 == steps["evaluate"]
    assert steps["capture"] + 4 * steps["ppo"] + 4 * steps["evaluate"] == told.agent_steps


def test_where_the_walk_can_go_is_told(told: Forecast) -> None:
    """Every state with the most visits and the states after it, and the ends that are possible."""
    assert ("done", "hold") == told.ends
    assert {"capture": 1, "bc": 1, "ppo": 4, "evaluate": 4, "promote": 1, "rollback": 3} == {
        state.state: state.most_visits for state in told.states
    }
    assert ("rollback", "promote", "ppo", "done") == next(s.leads_to for s in told.states if s.state == "evaluate")
    assert () == told.torch


def test_the_gate_says_what_it_can_see(told: Forecast) -> None:
    """Four visits share 5 %, the last look has most of it: 100 pairs find 0.31 sd in 80 % of visits."""
    better = next(guard for guard in told.guards if guard.guard == "better")
    assert (("evaluate",), ("evaluate → promote",), 100) == (better.asked_at, better.decides, better.pairs)
    assert 0.05 / 4 > better.alpha > 0.9 * 0.05 / 4
    assert 0.05 / 4 == pytest.approx(better.equal_passes)
    assert better.detectable == pytest.approx(0.313, abs=0.002)
    assert better.undetected_rate == pytest.approx(1 - 0.05**0.01)
    tolerant = next(guard for guard in told.guards if guard.guard == "lives")
    assert tolerant.equal_passes is None


def test_a_forecast_travels_as_plain_data(told: Forecast) -> None:
    """`check --json` prints it."""
    assert "small-town" == told.model_dump()["name"]


def test_each_scenario_of_a_suite_costs_what_its_own_agents_do() -> None:
    """Sixteen agents in the second scenario: a suite of both costs three times the small town alone."""
    text = (Path(__file__).parent / "data" / "small_town.yaml").read_text("utf-8")
    text = text.replace("full:  {episodes", "full:  {scenarios: [small_town, crowded], episodes")
    text = re.sub(r"metric: evaluate\.(\w+)", r"metric: 'evaluate[crowded].\1'", text)
    plan = load_text(text.encode(), "x.yaml", catalogue(), describe)
    own = describe(plan.schedule.environment)

    told = forecast(plan, catalogue(), own, {"crowded": evolve(own, scenario="crowded", agents=16)})
    assert 3 * 4 * 100 * 14 * 48 * 8 == next(state.agent_steps for state in told.states if state.state == "evaluate")
