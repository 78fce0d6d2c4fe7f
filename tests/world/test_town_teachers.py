"""The scripts: competent, beatable, legal, and blind to all but the observations."""

import numpy as np
import pytest

from townlet.dto.scenarios import scenario
from townlet.dto.town import DAY, NEEDS
from townlet.world import features as feature
from townlet.world.batch import TownBatch
from townlet.world.kpis import metrics
from townlet.world.teachers import TEACHERS, RandomTeacher, _ticks

SPEC = scenario("small_town")


def _kpis(name: str) -> tuple[dict[str, np.ndarray], TownBatch]:
    batch, teacher = TownBatch(SPEC, worlds=24, seed=2, days=4), TEACHERS[name]()
    seen = batch.reset()
    for _ in range(4 * 240):
        actions = teacher.act(seen)
        assert np.take_along_axis(seen.action_mask, actions[..., None], -1).all(), "teachers play legal actions"
        seen = batch.step(actions).observations
    tallies = batch.tallies()
    return {m.name: s / e for m, s, e in zip(metrics(SPEC), tallies.sums, tallies.exposures, strict=True)}, batch


@pytest.fixture(scope="module")
def played() -> dict[str, tuple[dict[str, np.ndarray], TownBatch]]:
    """KPIs and final batch of each teacher over four days."""
    return {name: _kpis(name) for name in TEACHERS}


def test_the_teacher_is_competent_and_beatable(played: dict[str, tuple[dict[str, np.ndarray], TownBatch]]) -> None:
    """In paired worlds the planner beats the script and the script beats chance, far outside the noise."""
    returns = {name: kpis["return_per_agent_day"] for name, (kpis, _) in played.items()}
    for better, worse in (("planner", "scripted"), ("scripted", "random")):
        gap = returns[better] - returns[worse]
        assert gap.mean() > 5 * gap.std(ddof=1) / np.sqrt(len(gap)), (better, worse)
    script = {name: values.mean() for name, values in played["scripted"][0].items()}
    assert script["deaths"] < 0.07
    assert script["attendance"] > 0.8
    assert 3 < script["conflicts"] < 10
    assert 0.2 < script["self_sufficiency"] < 0.7


def test_the_teachers_wages_cover_its_needs(played: dict[str, tuple[dict[str, np.ndarray], TownBatch]]) -> None:
    """What the script earns in a day is 1.1 to 1.4 times what it spends."""
    ledgers = played["scripted"][1]._state.ledgers
    assert 1.1 <= ledgers["wages"].sum() / ledgers["spending"].sum() <= 1.4


def test_objects_are_neither_idle_nor_swamped(played: dict[str, tuple[dict[str, np.ndarray], TownBatch]]) -> None:
    """Under the script each kind of object is in use three to eight tenths of the time."""
    batch = played["scripted"][1]
    busy = batch._state.objects["busy"].mean(0) / (4 * DAY)
    for kind in set(SPEC.objects):
        share = np.mean([b for b, k in zip(busy, SPEC.objects, strict=True) if k == kind])
        assert 0.28 <= share <= 0.8, kind


def test_random_draws_every_legal_action_equally_often() -> None:
    """Over many decisions each legal action of one mask comes up within noise of its share."""
    batch = TownBatch(SPEC, worlds=2000, seed=2, days=1)
    seen = batch.reset()
    mask = seen.action_mask
    actions = RandomTeacher().act(seen)
    expected = (mask / mask.sum(-1, keepdims=True)).sum((0, 1))
    counts = np.bincount(actions.ravel(), minlength=mask.shape[-1])
    assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(expected + 1))
    assert actions.tolist() == RandomTeacher().act(seen).tolist()


def test_scripts_read_every_minute_of_the_day_back() -> None:
    """What `to_shift` shows, in single precision, rounds to the ticks it came from."""
    ticks = np.arange(DAY, dtype=np.float32)
    assert np.array_equal(ticks, _ticks(ticks / (ticks + np.float32(feature.HALFWAY))))


def test_constants_bear_the_names_of_their_rows() -> None:
    """Each feature's constant is the position of the row of its name, so that a kernel writes the column it means."""
    assert feature.OWN_TABLE.names()[: len(NEEDS)] == NEEDS
    for number, name in enumerate(feature.OWN_TABLE.names()):
        assert name in NEEDS or number == getattr(feature, name.upper())
    for number, name in enumerate(feature.PERSON_TABLE.names()):
        assert number == getattr(feature, f"PERSON_{name.upper()}")
    for name in ("dx", "dy", "distance", "mine", "waiting", "left", "stall", "stock", "cooldown"):
        assert feature.OBJECT_TABLE.names().index(name) == getattr(feature, name.upper())
    assert feature.OBJECT_TABLE.names().index("rival") == feature.RIVAL_HERE
    assert len(set(feature.features(8))) == len(feature.features(8)) == feature.FIRST_OBJECT + 8 * feature.OBJECT_WIDTH


def test_equal_worlds_look_equal_whatever_was_chosen_last() -> None:
    """A choice that changed nothing cannot be read from the observation that follows it."""
    looks = []
    for action in (0, 2):
        batch = TownBatch(SPEC, worlds=1, seed=2, days=1)
        batch.reset()
        looks.append(batch.step(np.full((1, 8), action)).observations.observations.copy())
    assert looks[0].tolist() == looks[1].tolist()


QUEUES = ["crowded", "employment_punctuality", "kitchen_breakfast", "queue_conflict", "rivalry_decay"]


def _returns(name: str, teacher: str, worlds: int, days: int) -> tuple[np.ndarray, TownBatch]:
    batch, script = TownBatch(scenario(name), worlds=worlds, seed=6, days=days), TEACHERS[teacher]()
    seen = batch.reset()
    for _ in range(days * DAY // batch.spec.ticks_per_decision):
        seen = batch.step(script.act(seen)).observations
    tallies = batch.tallies()
    return tallies.sums[0] / tallies.exposures[0], batch


@pytest.mark.parametrize("name", [*QUEUES, pytest.param("city", marks=pytest.mark.slow)])
def test_in_every_town_with_queues_planning_beats_the_script_beats_chance(name: str) -> None:
    """In paired worlds the gaps are far outside the noise, and no kind of object is idle or swamped."""
    worlds, days = (4, 2) if name == "city" else (16, 4)
    (planner, _), (script, batch), (chance, _) = (
        _returns(name, teacher, worlds, days) for teacher in ("planner", "scripted", "random")
    )
    for better, worse in ((planner, script), (script, chance)):
        gap = better - worse
        assert gap.mean() > 3 * gap.std(ddof=1) / np.sqrt(len(gap))
    busy = batch._state.objects["busy"].mean(0) / (days * DAY)
    for kind in set(batch.spec.objects):
        share = np.mean([b for b, k in zip(busy, batch.spec.objects, strict=True) if k == kind])
        assert 0.15 <= share <= 0.85, kind


def test_the_script_cooks_when_the_larder_runs_low_and_chats_when_content(
    played: dict[str, tuple[dict[str, np.ndarray], TownBatch]],
) -> None:
    """Every day of every town sees meals cooked and good chats."""
    ledgers = played["scripted"][1]._state.ledgers
    assert np.all(ledgers["meals_cooked"] >= 4 * 2)
    assert np.all(ledgers["chats"] > 4)
