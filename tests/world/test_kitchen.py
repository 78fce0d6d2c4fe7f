"""Meals, raw stock, prices, power and water, worked out by hand."""

import itertools

import attrs
import pytest
from hamlet import Hamlet
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet.dto.scenarios import scenario
from townlet.dto.town import DAY, PERTURBATIONS, PerturbationSpec
from townlet.world.batch import TownBatch
from townlet.world.teachers import RandomTeacher

FRIDGE, STOVE, SHOWER = 0, 2, 3


def _kitchen(scenario: str = "small_town") -> Hamlet:
    hamlet = Hamlet(scenario)
    hamlet.scatter()
    return hamlet


def _use(hamlet: Hamlet, i: int, o: int, **needs: float) -> None:
    agent, item = hamlet.town.agents[i], hamlet.town.objects[o]
    agent.x, agent.y, agent.intent = item.x, item.y, 6 + o
    for need, level in needs.items():
        agent[need] = level


def test_cooking_turns_one_raw_portion_into_two_meals_in_the_nearest_fridge() -> None:
    """After 45 ticks: raw −1, two meals in the nearer fridge, 0.15 money, energy −0.05, hunger +0.40 for the cook."""
    hamlet = _kitchen()
    stove = hamlet.town.objects[STOVE]
    hamlet.town.objects[0].x, hamlet.town.objects[0].y = stove.x, (stove.y + 9) % 24
    near = int(stove.nearest_fridge)
    cook, raw, meals = hamlet.town.agents[0], int(stove.stock), int(hamlet.town.objects[near].stock)
    purse = float(cook.wallet)
    _use(hamlet, 0, STOVE, hunger=0.4)
    hamlet.play(45)
    assert (raw - 1, meals + 2) == (stove.stock, hamlet.town.objects[near].stock)
    assert pytest.approx(purse - 0.15) == cook.wallet
    assert pytest.approx(0.4 - 45 * 0.0018 + 0.4, abs=1e-5) == cook.hunger
    assert pytest.approx(0.9 - 45 * 0.001 - 0.05, abs=1e-5) == cook.energy
    assert (2, 1) == (hamlet.town.ledger.meals_cooked, hamlet.town.ledger.raw_used)


def test_the_larder_is_the_nearest_fridge() -> None:
    """Whatever the town looks like, no fridge is nearer to the stove than its larder."""
    hamlet = _kitchen()
    for _ in range(30):
        hamlet.batch.reset()
        stove, fridges = hamlet.town.objects[STOVE], [hamlet.town.objects[o] for o in (0, 1)]
        apart = [abs(int(f.x) - int(stove.x)) + abs(int(f.y) - int(stove.y)) for f in fridges]
        assert min(apart) == apart[stove.nearest_fridge]


def test_nobody_cooks_without_raw_stock_or_room() -> None:
    """A stove with nothing on it, or whose larder is full, refuses."""
    for stock, meals in ((0, 0), (5, 39)):
        hamlet = _kitchen()
        stove = hamlet.town.objects[STOVE]
        stove.stock, hamlet.town.objects[stove.nearest_fridge].stock = stock, meals
        _use(hamlet, 0, STOVE)
        hamlet.play(2)
        assert not hamlet.batch.observe().action_mask[0, 0, 6 + STOVE]
        assert -1 == stove.holder


@pytest.mark.parametrize(
    ("scenario", "hunger", "holder"),
    [("small_town", 0.9, 0), ("crowded", 0.9, -1), ("crowded", 0.4, 0), ("city", 0.9, -1)],
)
def test_only_the_hungry_cook_in_the_large_towns(scenario: str, hunger: float, holder: int) -> None:
    """The stoves of `crowded` and `city` refuse the well-fed, as a fridge does; in `small_town` anybody cooks ahead."""
    hamlet = _kitchen(scenario)
    stove = hamlet.batch.spec.objects.index("stove")
    _use(hamlet, 0, stove, hunger=hunger)
    hamlet.play(2)
    assert holder == hamlet.town.objects[stove].holder


def test_a_meal_that_is_not_there_cannot_be_eaten() -> None:
    """An empty fridge refuses; a fridge with one meal feeds one."""
    hamlet = _kitchen()
    fridge = hamlet.town.objects[FRIDGE]
    fridge.stock = 1
    _use(hamlet, 0, FRIDGE, hunger=0.3)
    _use(hamlet, 1, FRIDGE, hunger=0.3)
    hamlet.play(40)
    assert (0, 1) == (fridge.stock, hamlet.town.ledger.meals_eaten)
    assert [-1, -1] == [hamlet.town.agents[i].queue for i in (0, 1)]


def test_midnight_fills_up_and_takes_nothing_away() -> None:
    """A fridge below its stock is brought to it, one above it keeps its cooked meals."""
    hamlet = _kitchen()
    hamlet.set_time(DAY - 1)
    first, second = hamlet.town.objects[0], hamlet.town.objects[1]
    first.stock, second.stock = 3, 20
    before = int(hamlet.town.ledger.meals_restocked)
    hamlet.play(2)
    assert (14, 20) == (first.stock, second.stock)
    assert before + 11 == hamlet.town.ledger.meals_restocked


def test_prices_follow_the_multiplier() -> None:
    """At 1.5 a meal costs 0.6, and 0.59 is not enough to begin one."""
    hamlet = _kitchen()
    hamlet.town.clock.price = 1.5
    rich, poor = hamlet.town.agents[0], hamlet.town.agents[1]
    rich.wallet, poor.wallet = 1.0, 0.59
    _use(hamlet, 0, 0, hunger=0.3)
    _use(hamlet, 1, 1, hunger=0.3)
    hamlet.play(21)
    assert pytest.approx(0.4) == rich.wallet
    assert pytest.approx(0.59) == poor.wallet
    assert -1 == poor.queue


@pytest.mark.parametrize(
    ("utility", "object_", "stops"),
    [("power", STOVE, 1), ("power", SHOWER, 1), ("power", FRIDGE, 0), ("water", SHOWER, 1), ("water", STOVE, 0)],
)
def test_what_needs_power_or_water_stops_without(utility: str, object_: int, stops: int) -> None:
    """A blackout breaks off cooking and showers, an outage showers; a broken-off use costs nothing but time."""
    hamlet = _kitchen()
    _use(hamlet, 0, object_, hunger=0.3, hygiene=0.3)
    hamlet.play(5)
    purse = float(hamlet.town.agents[0].wallet)
    assert 1 == hamlet.town.objects[object_].running
    hamlet.town.clock[utility] = 0
    hamlet.play(2)
    assert 1 - stops == hamlet.town.objects[object_].running
    assert (stops == 1) == (hamlet.town.agents[0].queue == -1)
    assert pytest.approx(purse) == hamlet.town.agents[0].wallet


OFTEN = {
    name: PerturbationSpec(every=100, least=20, most=60, cooldown=30, cap=3, low=1.2, high=1.8)
    for name in PERTURBATIONS
}


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_upsets_keep_to_their_durations_caps_and_sizes(seed: int) -> None:
    """Each lasts 20 to 60 ticks, at least 30 apart, at most three in a day, prices 1 or between 1.2 and 1.8."""
    spec = attrs.evolve(scenario("small_town"), perturbations=OFTEN, ticks_per_decision=1)
    batch = TownBatch(spec, worlds=1, seed=seed, days=3)
    seen, teacher = batch.reset(), RandomTeacher()
    clock = batch._state.clocks[0]
    runs: list[list[int]] = []
    for tick in range(3 * DAY):
        seen = batch.step(teacher.act(seen)).observations
        price = float(clock["price"])
        assert price == 1 or 1.2 <= price <= 1.8
        if not clock["power"]:
            if runs and runs[-1][1] == tick - 1:
                runs[-1][1] = tick
            else:
                runs.append([tick, tick])
    ended = [run for run in runs if run[1] < 3 * DAY - 1]
    assert runs
    assert all(20 <= last - first + 1 <= 60 for first, last in ended)
    assert all(later[0] - sooner[1] > 30 for sooner, later in itertools.pairwise(runs))
    for day in range(5):
        count_today = [run for run in runs if (run[0] + int(clock["start"])) // DAY == day]
        assert len(count_today) <= 3


def test_a_quiet_spec_is_never_upset() -> None:
    """Where no perturbation is named, prices stay at 1 and nothing fails."""
    batch = TownBatch(scenario("quiet"), worlds=4, seed=1, days=3)
    seen, teacher = batch.reset(), RandomTeacher()
    for _ in range(3 * 240):
        seen = batch.step(teacher.act(seen)).observations
        assert (1.0, 1, 1) == tuple(batch._state.clocks[["price", "power", "water"]][0])
