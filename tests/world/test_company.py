"""Chats, meals, handovers, colleagues and meetings, worked out by hand."""

import numpy as np
import pytest
from hamlet import Hamlet

from townlet.dto.scenarios import scenario
from townlet.dto.town import PERTURBATIONS

CHAT_TERM = 7
WORK, CHAT = 1, 4


def _pair(mood: float = 1.0) -> Hamlet:
    """Return a hamlet in which agents 0 and 1 stand side by side, the third far away."""
    hamlet = Hamlet()
    hamlet.scatter()
    for i in (0, 1):
        agent = hamlet.town.agents[i]
        agent.x, agent.y = 10, 10 + i
        agent.hunger = agent.hygiene = agent.energy = mood
    return hamlet


def test_a_good_chat_brings_two_closer_and_pays_both() -> None:
    """In the best of moods a chat cannot fail: trust +0.05, familiarity +0.10, and 0.01 each between strangers."""
    hamlet = _pair()
    hamlet.town.agents[0].intent = CHAT
    hamlet.play()
    for i, j in ((0, 1), (1, 0)):
        assert pytest.approx(0.05) == hamlet.town.relations[i, j].trust
        assert pytest.approx(0.10) == hamlet.town.relations[i, j].familiarity
        assert pytest.approx(0.01) == hamlet.terms[CHAT_TERM, i]
    assert 1 == hamlet.town.ledger.chats
    assert 0 == hamlet.terms[CHAT_TERM, 2]


def test_friends_enjoy_a_chat_more() -> None:
    """With trust 0.5 and familiarity 1 it is worth 0.01 + 0.06·0.5 + 0.04·1 at quality 1."""
    hamlet = _pair()
    for i, j in ((0, 1), (1, 0)):
        hamlet.town.relations[i, j].trust, hamlet.town.relations[i, j].familiarity = 0.5, 1.0
    hamlet.town.agents[1].intent = CHAT
    hamlet.play()
    assert pytest.approx(0.08) == hamlet.terms[CHAT_TERM, 0]


def test_who_has_chatted_must_wait_thirty_ticks() -> None:
    """Both rest for 30 ticks, however often they ask."""
    hamlet = _pair()
    hamlet.town.agents[0].intent = hamlet.town.agents[1].intent = CHAT
    hamlet.play(30)
    assert 1 == hamlet.town.ledger.chats + hamlet.town.ledger.failed_chats
    hamlet.play(1)
    assert 2 == hamlet.town.ledger.chats + hamlet.town.ledger.failed_chats


def test_a_chat_in_bad_mood_may_fail() -> None:
    """With nothing left in body or mood half of all chats fail: familiarity −0.05, rivalry +0.05."""
    failed = 0
    hamlet = _pair()
    for episode in range(60):
        hamlet.batch.reset()
        hamlet.scatter()
        for i in (0, 1):
            agent = hamlet.town.agents[i]
            agent.x, agent.y, agent.hunger = 10, 10 + i, 0.0
        hamlet.town.agents[0].intent = CHAT
        hamlet.play()
        if hamlet.town.ledger.failed_chats:
            failed += 1
            assert pytest.approx(-0.05) == hamlet.town.relations[0, 1].familiarity, episode
            assert pytest.approx(0.05) == hamlet.town.rivalry[0, 1]
            assert 0 == hamlet.town.relations[0, 1].trust
    assert 15 < failed < 45


def test_a_rival_is_not_talked_to_and_neither_is_who_is_too_far() -> None:
    """From rivalry 0.5 on, or from two tiles away, chatting is illegal and does nothing."""
    for rivalry, apart in ((0.6, 1), (0.0, 2)):
        hamlet = _pair()
        hamlet.town.rivalry[0, 1] = hamlet.town.rivalry[1, 0] = rivalry
        hamlet.town.agents[1].y = 10 + apart
        hamlet.play()
        assert not hamlet.batch.observe().action_mask[0, 0, CHAT]
        hamlet.town.agents[0].intent = CHAT
        hamlet.play()
        assert 0 == hamlet.town.ledger.chats + hamlet.town.ledger.failed_chats


def test_ties_loosen_by_the_hour() -> None:
    """Trust and distrust both lose 0.01 an hour."""
    hamlet = _pair()
    hamlet.set_time(59)
    hamlet.town.relations[0, 1].trust, hamlet.town.relations[0, 2].trust = 0.5, -0.5
    hamlet.play(2)
    assert pytest.approx(0.49) == hamlet.town.relations[0, 1].trust
    assert pytest.approx(-0.49) == hamlet.town.relations[0, 2].trust


def _diners(delay: int) -> Hamlet:
    """Return a hamlet in which agents 0 and 1 have eaten at two fridges side by side, the second so much later."""
    hamlet = Hamlet("small_town")
    hamlet.scatter()
    fridges = hamlet.town.objects[0], hamlet.town.objects[1]
    fridges[0].x, fridges[0].y, fridges[1].x, fridges[1].y = 10, 10, 12, 10
    for i, fridge in enumerate(fridges):
        agent = hamlet.town.agents[i]
        agent.x, agent.y, agent.hunger = fridge.x, fridge.y, 0.5
    hamlet.town.agents[0].intent = 6
    hamlet.play(delay)
    hamlet.town.agents[1].intent = 7
    hamlet.play(21)
    return hamlet


@pytest.mark.parametrize(("delay", "shared"), [(0, 1), (10, 1), (21, 1), (22, 0)])
def test_a_meal_begun_before_the_other_ends_is_shared(delay: int, shared: int) -> None:
    """Up to neighbouring ticks two meals count as one table: trust +0.1, familiarity +0.25, once."""
    hamlet = _diners(delay)
    assert shared == hamlet.town.ledger.meals_shared
    assert pytest.approx(0.1 * shared) == hamlet.town.relations[0, 1].trust
    assert pytest.approx(0.25 * shared) == hamlet.town.relations[1, 0].familiarity


def test_a_friend_is_let_go_first_and_it_is_no_conflict() -> None:
    """The user hands over to the one it thinks most of, not to the head; that is polite and counts as no conflict."""
    hamlet = Hamlet()
    hamlet.stand_at(0, 0)
    hamlet.play()
    hamlet.stand_at(0, 1)
    hamlet.play()
    hamlet.stand_at(0, 2)
    hamlet.town.relations[0, 2].trust = 0.5
    hamlet.play(3)
    assert 1 == hamlet.first(0)
    hamlet.town.objects[0].progress = 28
    hamlet.town.objects[0].stall = 0
    hamlet.play(3)
    assert (2, 1) == (hamlet.town.objects[0].holder, hamlet.town.ledger.handovers)
    assert pytest.approx(0.55) == hamlet.town.relations[0, 2].trust
    assert 0 == hamlet.town.ledger.conflicts


def test_a_place_further_back_weighs_more_than_a_little_trust() -> None:
    """0.04 of trust does not outweigh one place of 0.05."""
    hamlet = Hamlet()
    for i in range(3):
        hamlet.stand_at(0, i)
        hamlet.play()
    hamlet.town.relations[0, 2].trust = 0.04
    hamlet.town.objects[0].progress, hamlet.town.objects[0].stall = 28, 0
    hamlet.play(3)
    assert 1 == hamlet.town.objects[0].holder


def test_a_grudge_makes_no_polite_handover() -> None:
    """Who hands over to a rival because nobody else waits grows no closer to it."""
    hamlet = Hamlet()
    hamlet.stand_at(0, 0)
    hamlet.play()
    hamlet.stand_at(0, 1)
    hamlet.play()
    hamlet.town.rivalry[0, 1] = hamlet.town.rivalry[1, 0] = 0.3
    hamlet.town.objects[0].progress, hamlet.town.objects[0].stall = 28, 0
    hamlet.play(3)
    assert (1, 0) == (hamlet.town.objects[0].holder, hamlet.town.ledger.handovers)
    assert 0 == hamlet.town.relations[0, 1].trust


def _shift() -> Hamlet:
    """Return a town at the start of the first shift: agent 2 at work, its colleagues 0, 4 and 6 elsewhere."""
    hamlet = Hamlet("small_town")
    hamlet.scatter()
    hamlet.set_time(420)
    for agent in hamlet.town.agents:
        agent.excused, agent.duty = 0, 0
    worker, job = hamlet.town.agents[2], hamlet.rules.jobs[0]
    worker.x, worker.y, worker.intent = job.x, job.y, WORK
    return hamlet


def test_who_is_late_is_stood_in_for() -> None:
    """In the seventh tick trust grows by 0.2 and familiarity by 0.1, both ways, with each colleague at work."""
    hamlet = _shift()
    hamlet.play(6)
    assert 0 == hamlet.town.relations[0, 2].trust
    hamlet.play(2)
    assert pytest.approx(0.2) == hamlet.town.relations[0, 2].trust
    assert pytest.approx(0.1) == hamlet.town.relations[2, 0].familiarity
    assert 0 == hamlet.town.relations[0, 4].trust, "agent 4 was not at work"
    assert 3 == hamlet.town.ledger.late_helps


def test_who_is_absent_holds_it_against_those_who_worked() -> None:
    """In the 31st tick the absent trust the worker 0.1 less, one way, and rivalry grows by 0.3."""
    hamlet = _shift()
    hamlet.play(30)
    before = float(hamlet.town.relations[0, 2].trust), float(hamlet.town.relations[2, 0].trust)
    hamlet.play(1)
    assert pytest.approx(before[0] - 0.1) == hamlet.town.relations[0, 2].trust
    assert pytest.approx(before[1]) == hamlet.town.relations[2, 0].trust
    assert pytest.approx(0.3, abs=0.0003) == hamlet.town.rivalry[0, 2]
    assert 3 == hamlet.town.ledger.shift_takeovers


def _called() -> Hamlet:
    hamlet = Hamlet("small_town", perturbations=scenario("small_town").perturbations)
    hamlet.scatter()
    meeting = hamlet.town.perturbations[PERTURBATIONS.index("arranged_meet")]
    for perturbation in hamlet.town.perturbations:
        perturbation.begins, perturbation.ends = 10_000, -1
    meeting.invitee_a, meeting.invitee_b, meeting.x, meeting.y, meeting.ends = 0, 1, 20, 4, 40
    hamlet.town.agents[0].called = hamlet.town.agents[1].called = 1
    return hamlet


def test_two_who_are_called_walk_there_by_chatting_and_are_glad() -> None:
    """Both arrive, the meeting is kept once, and it is worth a perfect chat and a shared meal."""
    hamlet = _called()
    hamlet.town.agents[0].intent = hamlet.town.agents[1].intent = CHAT
    hamlet.play(30)
    assert 1 == hamlet.town.ledger.meetings
    assert (0, 0) == (hamlet.town.agents[0].called, hamlet.town.agents[1].called)
    assert pytest.approx(0.01 + _others(hamlet), abs=1e-6) == hamlet.terms[CHAT_TERM, 0]
    assert hamlet.town.relations[0, 1].familiarity >= 0.25


def _others(hamlet: Hamlet) -> float:
    """Return what the chat on arrival, of two who then knew each other from nothing or the meeting, was worth."""
    return float(hamlet.terms[CHAT_TERM, 1]) - 0.01


def test_a_meeting_nobody_comes_to_is_over_in_time() -> None:
    """At its end the guests are free again."""
    hamlet = _called()
    hamlet.play(41)
    assert 0 == hamlet.town.ledger.meetings
    assert not np.any(hamlet.town.agents["called"])


def test_an_avoidance_settles_the_conflicts_before_it() -> None:
    """Two conflicts of a pair, then an avoidance: both escalated; a second avoidance adds nothing."""
    hamlet = Hamlet()
    hamlet.scatter()
    hamlet.stand_at(0, 0)
    hamlet.play()
    hamlet.stand_at(0, 1)
    hamlet.play(21)
    assert 2 == hamlet.town.ledger.conflicts
    hamlet.town.rivalry[0, 1] = hamlet.town.rivalry[1, 0] = 0.6
    for _ in range(2):
        hamlet.town.agents[1].intent = 5
        hamlet.play(1)
        hamlet.stand_at(0, 1)
        hamlet.play(1)
    assert (2, 2) == (hamlet.town.ledger.escalations, hamlet.town.ledger.avoidances)
