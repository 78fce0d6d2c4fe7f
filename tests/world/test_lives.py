"""A death leaves nothing to the next life, and too many absences cost a place in town."""

import numpy as np
import pytest
from hamlet import Hamlet
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet.dto.town import DAY
from townlet.world.batch import TownBatch
from townlet.world.lifecycle import count_absences
from townlet.world.rows import Agent, Relation, layout

EVICTION, FAINT, SHAPING = 8, 6, 9

OF_THE_SLOT = {"home_x", "home_y", "job", "generation", "episode_return", "waits", "need_unmet"}
"""Fields that belong to the slot: its place, its count of lives and its account of the episode."""


def _reborn(past: np.random.Generator | None) -> Hamlet:
    """Return a town in which agent 0 has just been reborn, after a life with the given past."""
    hamlet = Hamlet("small_town")
    hamlet.scatter()
    agent, town = hamlet.town.agents[0], hamlet.town
    if past is not None:
        for name in layout(Agent).names or ():
            if name not in OF_THE_SLOT | {"tie_break", "queue", "running", "respawn", "intent", "called"}:
                kind = agent[name].dtype.kind
                agent[name] = past.integers(0, 20) if kind == "i" else past.random()
        agent.tie_break, agent.intent, agent.wallet, agent.absence_bits = 77, 6, 5.0, 0
        for name in layout(Relation).names or ():
            town.relations[name][0, :] = town.relations[name][:, 0] = 1
        town.rivalry[0, 1:] = town.rivalry[1:, 0] = 0.7
        town.ready[0] = 1000
    agent.hunger, agent.starving = 0.0, 29
    hamlet.play()
    assert agent.respawn > 0
    agent.respawn = 1
    hamlet.play()
    assert agent.respawn == 0
    return hamlet


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_a_newborn_has_no_past(seed: int) -> None:
    """Field by field, what is known of a newborn does not depend on the life before it in the slot."""
    fresh, other = _reborn(None), _reborn(np.random.default_rng(seed))
    for name in layout(Agent).names or ():
        if name not in OF_THE_SLOT:
            assert fresh.town.agents[0][name] == other.town.agents[0][name], name
    assert fresh.town.ready[0].tolist() == other.town.ready[0].tolist()
    for name in layout(Relation).names or ():
        for cells in ((0, slice(None)), (slice(None), 0)):
            assert fresh.town.relations[name][cells].tolist() == other.town.relations[name][cells].tolist(), name
    assert not other.town.rivalry[0].any()
    assert not other.town.rivalry[:, 0].any()
    mine = fresh.batch.observe().observations[0, 0]
    assert mine.tolist() == other.batch.observe().observations[0, 0].tolist()


def test_the_dead_stand_in_no_queue_and_are_called_nowhere() -> None:
    """A death frees the object, empties the place and calls the meeting off."""
    hamlet = Hamlet("small_town")
    hamlet.scatter()
    meeting = hamlet.town.perturbations[3]
    meeting.invitee_a, meeting.invitee_b = 0, 1
    hamlet.town.agents[0].called = hamlet.town.agents[1].called = 1
    agent, bed = hamlet.town.agents[0], hamlet.town.objects[4]
    agent.x, agent.y, agent.intent, agent.energy = bed.x, bed.y, 6 + 4, 0.2
    hamlet.play()
    assert 0 == bed.holder
    agent.hunger, agent.starving = 0.0, 29
    hamlet.play()
    assert (-1, 0, -1) == (bed.holder, bed.running, agent.queue)
    assert [0, 0] == [hamlet.town.agents[i].called for i in (0, 1)]
    assert -1 == meeting.invitee_a


def _missing(days: int, *agents: int) -> Hamlet:
    hamlet = Hamlet("small_town")
    hamlet.scatter()
    for i in agents:
        hamlet.town.agents[i].absence_bits = (1 << days) - 1
    return hamlet


def test_three_absences_in_a_week_cost_the_place_in_town() -> None:
    """The third ends the life: −5, the episode's return ends, the money is forfeited; two do not."""
    hamlet = _missing(2, 0)
    hamlet.play()
    assert 0 == hamlet.town.ledger.evictions
    hamlet = _missing(3, 0)
    hamlet.play()
    assert (1, 0) == (hamlet.town.ledger.evictions, hamlet.town.ledger.deaths)
    assert -5 == hamlet.terms[EVICTION, 0]
    assert 0 == hamlet.terms[FAINT, 0]
    assert bool(hamlet.ended[0])
    assert hamlet.town.agents[0].respawn > 0
    assert 0 == hamlet.town.agents[0].wallet


def test_at_most_two_are_evicted_in_a_day() -> None:
    """Of three who have earned it one is spared until midnight."""
    hamlet = _missing(3, 0, 1, 2)
    hamlet.play(5)
    assert 2 == hamlet.town.ledger.evictions
    hamlet.set_time(DAY - 1)
    hamlet.town.agents[2].absence_bits = 0b111
    hamlet.play(2)
    assert 3 == hamlet.town.ledger.evictions


def test_absences_are_forgotten_after_a_week() -> None:
    """An absence moves one day back at each midnight and is gone after the seventh."""
    hamlet = _missing(1, 0)
    hamlet.town.agents[0].job = -1
    for day in range(1, 8):
        hamlet.set_time(DAY - 1)
        hamlet.play(2)
        for agent in hamlet.town.agents:
            agent.hunger = 0.9
        assert (1 << day) % (1 << 7) == hamlet.town.agents[0].absence_bits


def test_shaping_adds_up_to_the_change_of_potential() -> None:
    """With shaping 1 each decision adds gamma·phi' − phi of the needs, and nothing else changes."""
    plain = Hamlet("small_town", ticks=6)
    spec = plain.spec.rewards.__class__(shaping=1.0)
    shaped = Hamlet("small_town", ticks=6, rewards=spec)

    def phi(hamlet: Hamlet) -> float:
        agent = hamlet.town.agents[0]
        return float(1.0 * agent.hunger + 0.6 * agent.hygiene + 0.8 * agent.energy)

    gamma = 1 - 6 / 500
    for _ in range(10):
        before = phi(shaped)
        shaped.play()
        plain.play()
        assert pytest.approx(gamma * phi(shaped) - before, abs=1e-5) == shaped.batch._buffers.terms[SHAPING, 0, 0]
    assert plain.terms[:SHAPING].tolist() == shaped.terms[:SHAPING].tolist()
    assert not plain.terms[SHAPING].any()


def test_a_death_takes_the_whole_potential_back() -> None:
    """Phi of what is over is 0: the last decision of a life costs −phi."""
    hamlet = Hamlet("small_town", ticks=6, rewards=Hamlet("small_town").spec.rewards.__class__(shaping=1.0))
    agent = hamlet.town.agents[0]
    hamlet.play()
    held = float(agent.potential)
    assert held > 0
    agent.hunger, agent.starving = 0.0, 29
    hamlet.play()
    assert pytest.approx(-held) == hamlet.batch._buffers.terms[SHAPING, 0, 0]


def test_generations_count_lives(batch: TownBatch) -> None:
    """Every life begun after the first is the end of another, by hunger or by eviction."""
    dead = batch._state.agents["respawn"] > 0
    lives = batch._state.agents["generation"].sum(1) + dead.sum(1)
    assert (batch._state.ledgers["deaths"] + batch._state.ledgers["evictions"]).tolist() == lives.tolist()
    assert lives.sum() > 0


@pytest.fixture(scope="module")
def batch() -> TownBatch:
    """Return worlds in which nobody has done anything for five days."""
    batch = TownBatch(Hamlet("small_town", ticks=6).spec, worlds=4, seed=1, days=5)
    batch.reset()
    for _ in range(5 * 240):
        batch.step(np.zeros((4, 8), np.int64))
    return batch


def test_the_ring_counts_days() -> None:
    """The number of absences is the number of bits."""
    counts = [(absence_bits).bit_count() for absence_bits in range(128)]
    plain = getattr(count_absences, "py_func", count_absences)
    assert counts == [plain(absence_bits) for absence_bits in range(128)]
