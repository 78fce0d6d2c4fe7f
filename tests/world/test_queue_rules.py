"""Queues, conflicts and rivalry, worked out by hand."""

import numpy as np
import pytest
from hamlet import Hamlet

RUN = 30  # ticks of a shower


def test_three_who_come_together_are_served_one_after_the_other() -> None:
    """Each of three agents at one shower gets its turn, and three uses take three times the duration."""
    hamlet = Hamlet(rivalry=Hamlet().spec.rivalry.__class__(gain=0.0))
    hamlet.stand_at(0, 0, 1, 2)
    hamlet.play(1)
    shower = hamlet.town.objects[0]
    assert (1, 2) == (shower.running, shower.waiting)
    hamlet.play(3 * RUN - 1)
    assert 3 == shower.uses
    assert 3 * RUN == shower.busy


def test_a_wait_of_ten_ticks_on_a_user_is_one_conflict() -> None:
    """With two waiting, intensity is 0.4 + 0.25 at ticks 10, 20 and 30, between the user and the head of the queue."""
    hamlet = Hamlet()
    hamlet.stand_at(0, 0, 1, 2)
    hamlet.play(9)
    assert 0 == hamlet.town.ledger.conflicts
    user, first = hamlet.town.objects[0].holder, hamlet.first(0)
    hamlet.play(1)
    assert 1 == hamlet.town.ledger.conflicts
    assert pytest.approx(0.65) == hamlet.town.ledger.intensity
    grown = 0.25 * 0.65
    assert pytest.approx(grown, abs=0.0003) == hamlet.town.rivalry[user, first]
    assert hamlet.town.rivalry[first, user] == hamlet.town.rivalry[user, first]
    assert pytest.approx(-0.3 * 0.65) == hamlet.terms[2, user]
    assert pytest.approx(-0.3 * 0.65) == hamlet.terms[2, first]
    hamlet.play(10)
    assert 2 == hamlet.town.ledger.conflicts


def test_the_granted_who_does_not_come_goes_to_the_tail() -> None:
    """A holder that stays away for six ticks is evicted behind the others: one conflict, 1.5 + 0.25 for two waiting."""
    hamlet = Hamlet()
    shower = hamlet.town.objects[0]
    hamlet.stand_at(0, 0)
    ghost = hamlet.town.agents[0]
    ghost.x = shower.x + 3 if shower.x < 12 else shower.x - 3
    hamlet.play(1)
    assert 0 == shower.holder
    ghost.intent = 0
    hamlet.stand_at(0, 1, 2)
    hamlet.play(4)
    assert (0, 0) == (shower.holder, hamlet.town.ledger.conflicts)
    hamlet.play(1)
    assert (1, 1) == (hamlet.town.ledger.conflicts, hamlet.town.ledger.ghost_steps)
    assert pytest.approx(1.75) == hamlet.town.ledger.intensity
    assert 3 == shower.waiting
    hamlet.play(1)
    assert shower.holder in {1, 2}
    assert 0 != hamlet.first(0)


def test_a_ghost_with_nobody_behind_quarrels_with_nobody() -> None:
    """An eviction without anyone waiting is no conflict."""
    hamlet = Hamlet()
    shower, ghost = hamlet.town.objects[0], hamlet.town.agents[0]
    hamlet.stand_at(0, 0)
    ghost.x = shower.x + 3 if shower.x < 12 else shower.x - 3
    hamlet.play(1)
    ghost.intent = 0
    hamlet.play(12)
    assert 0 == hamlet.town.ledger.conflicts
    assert 0 == ghost.queue


def test_waiting_counts_against_rank() -> None:
    """Order is rank − 0.1·waited: 31 ticks of waiting pass over three ranks."""
    hamlet = Hamlet()
    hamlet.town.objects[0].holder, hamlet.town.objects[0].waiting = 2, 2
    early, late = hamlet.town.agents[0], hamlet.town.agents[1]
    early.queue, early.rank, early.waited = 0, 3, 29
    late.queue, late.rank, late.waited = 0, 0, 0
    assert 1 == hamlet.first(0)
    early.waited = 31
    assert 0 == hamlet.first(0)


def test_a_tie_is_broken_by_lot_and_not_by_index() -> None:
    """Over many episodes, those who join together come first about equally often."""
    hamlet = Hamlet()
    firsts = np.zeros(3, int)
    for _ in range(90):
        hamlet.batch.reset()
        hamlet.stand_at(0, 0, 1, 2)
        hamlet.play(1)
        firsts[hamlet.town.objects[0].holder] += 1
    assert 15 < firsts.min()
    assert 45 > firsts.max()


def test_a_rival_in_the_queue_is_avoided_once() -> None:
    """From 0.5 on an agent does not join its rival's queue, and that is one avoidance however long it stands there."""
    hamlet = Hamlet()
    hamlet.town.rivalry[0, 1] = hamlet.town.rivalry[1, 0] = 0.6
    hamlet.stand_at(0, 0)
    hamlet.play(1)
    hamlet.stand_at(0, 1)
    hamlet.play(8)
    assert -1 == hamlet.town.agents[1].queue
    assert 1 == hamlet.town.ledger.avoidances


def test_an_urgent_need_overrules_a_grudge() -> None:
    """Below 0.12 an agent queues with anyone."""
    hamlet = Hamlet()
    hamlet.town.rivalry[0, 1] = hamlet.town.rivalry[1, 0] = 0.6
    hamlet.stand_at(0, 0)
    hamlet.play(1)
    hamlet.stand_at(0, 1, need=0.2)
    assert 0 == hamlet.rival_in_queue(1, 0)
    hamlet.stand_at(0, 1, need=0.11)
    assert -1 == hamlet.rival_in_queue(1, 0)


def test_grudges_fade_to_nothing() -> None:
    """Rivalry falls by 0.0002 a tick and stops at zero."""
    hamlet = Hamlet()
    hamlet.town.rivalry[0, 1] = 0.001
    hamlet.play(3)
    assert pytest.approx(0.0004) == hamlet.town.rivalry[0, 1]
    hamlet.play(3)
    assert 0 == hamlet.town.rivalry[0, 1]


def test_a_finished_use_helps_costs_and_cools_down() -> None:
    """After 30 ticks hygiene is up by 0.45 and the same agent may not shower for ten ticks."""
    hamlet = Hamlet()
    hamlet.stand_at(0, 0, need=0.3)
    bather = hamlet.town.agents[0]
    bather.wallet = 1.0
    hamlet.play(RUN)
    assert pytest.approx(0.3 - RUN * 0.004 + 0.45, abs=0.0001) == bather.hygiene
    assert (0, -1) == (bather.running, bather.queue)
    assert hamlet.town.clock.tick - 1 + 10 == hamlet.town.ready[0, 0]
    assert 1 == hamlet.town.objects[0].uses


def test_who_leaves_loses_its_place() -> None:
    """Choosing to go home while waiting empties the place; waiting keeps it."""
    hamlet = Hamlet()
    hamlet.stand_at(0, 0, 1)
    hamlet.play(1)
    waiting = hamlet.first(0)
    agent = hamlet.town.agents[waiting]
    agent.intent = 0
    hamlet.play(1)
    assert 0 == agent.queue
    agent.intent = 2
    hamlet.play(1)
    assert (-1, 0) == (agent.queue, hamlet.town.objects[0].waiting)
