"""Shifts, wages, lateness and absence; fainting and respawn; worked out by hand."""

import pytest
from hamlet import Hamlet

from townlet.world import features as feature

WAGE, LATE, ABSENT, PUNCTUALITY, FAINT = 1, 3, 4, 5, 6


def _before_shift(ticks: int) -> Hamlet:
    hamlet = Hamlet("small_town")
    hamlet.town.clock.start = 420 - ticks
    hamlet.town.clock.tick = 0
    for agent in hamlet.town.agents:
        agent.intent, agent.excused, agent.duty = 0, 0, 0
        agent.hunger = agent.hygiene = agent.energy = 0.9
    return hamlet


def _to_site(hamlet: Hamlet, i: int) -> None:
    agent, job = hamlet.town.agents[i], hamlet.rules.jobs[hamlet.town.agents[i].job]
    agent.x, agent.y, agent.intent = job.x, job.y, 1


def test_a_full_shift_on_site_is_paid_in_full() -> None:
    """240 ticks of work earn 240 wages, attendance 1, and 0.02 a tick for having missed nothing."""
    hamlet = _before_shift(2)
    _to_site(hamlet, 0)
    hamlet.town.agents[0].wallet = 0
    hamlet.play(244)
    worker = hamlet.town.agents[0]
    assert pytest.approx(240 * 0.016, rel=1e-4) == worker.wallet
    assert pytest.approx(2.5 * 240 * 0.016, rel=1e-4) == hamlet.terms[WAGE, 0]
    assert pytest.approx(4.8, rel=1e-4) == hamlet.terms[PUNCTUALITY, 0]
    assert 1.0 == worker.share_1
    assert 0 == hamlet.terms[LATE, 0]


def test_grace_truly_protects() -> None:
    """Work begun on the sixth tick of the shift is on time: no fine, no penalty, punctuality earned."""
    hamlet = _before_shift(0)
    hamlet.play(6)
    assert 0 == hamlet.town.agents[0].late
    _to_site(hamlet, 0)
    hamlet.play(1)
    assert (1, 0) == (hamlet.town.agents[0].arrived, hamlet.town.agents[0].late)
    assert pytest.approx(0.02) == hamlet.terms[PUNCTUALITY, 0]
    assert 0 == hamlet.terms[LATE, 0]


def test_who_leaves_the_post_for_longer_than_the_grace_is_paid_but_not_punctual() -> None:
    """Punctuality goes on through an absence of the grace's length and ends for the shift with the tick after it."""
    hamlet = _before_shift(0)
    _to_site(hamlet, 0)
    hamlet.play(100)
    earned, paid = float(hamlet.terms[PUNCTUALITY, 0]), float(hamlet.terms[WAGE, 0])
    hamlet.town.agents[0].intent = 0
    hamlet.play(6)
    assert (earned, paid) == (hamlet.terms[PUNCTUALITY, 0], hamlet.terms[WAGE, 0])
    hamlet.town.agents[0].intent = 1
    hamlet.play(10)
    assert pytest.approx(earned + 10 * 0.02, rel=1e-4) == hamlet.terms[PUNCTUALITY, 0]
    hamlet.town.agents[0].intent = 0
    hamlet.play(1)
    hamlet.town.agents[0].intent = 1
    hamlet.play(10)
    assert pytest.approx(earned + 10 * 0.02, rel=1e-4) == hamlet.terms[PUNCTUALITY, 0]
    assert hamlet.terms[WAGE, 0] > paid + 19 * 2.5 * 0.016 * 0.99
    worker = hamlet.town.agents[0]
    assert (0, 7) == (worker.late, worker.duty - worker.worked)


def test_lateness_costs_once_and_then_by_the_tick() -> None:
    """From the seventh tick without arrival: −6 once, −0.02 a tick, 0.1 money; nothing more after arrival."""
    hamlet = _before_shift(0)
    purse = float(hamlet.town.agents[0].wallet)
    hamlet.play(16)
    assert pytest.approx(-6 - 10 * 0.02) == hamlet.terms[LATE, 0]
    assert pytest.approx(purse - 0.1) == hamlet.town.agents[0].wallet
    _to_site(hamlet, 0)
    hamlet.play(5)
    assert pytest.approx(-6 - 10 * 0.02) == hamlet.terms[LATE, 0]
    assert 0 == hamlet.terms[PUNCTUALITY, 0]
    assert hamlet.terms[WAGE, 0] > 0


def test_absence_is_recorded_once() -> None:
    """The 31st tick without arrival costs −1 and 0.2 money, and no later tick does."""
    hamlet = _before_shift(0)
    hamlet.play(30)
    assert 0 == hamlet.terms[ABSENT, 0]
    hamlet.play(100)
    assert -1 == hamlet.terms[ABSENT, 0]
    assert 1 == hamlet.town.agents[0].absent
    assert 4 == hamlet.town.ledger.recorded_absences
    assert 4 == hamlet.town.ledger.late_starts


def test_a_life_that_begins_in_a_shift_is_excused_from_it() -> None:
    """Whoever is born into a running shift is neither late nor scheduled until the next one."""
    hamlet = _before_shift(0)
    hamlet.town.agents[0].excused = 1
    hamlet.play(100)
    assert 0 == hamlet.terms[LATE, 0]
    assert 300 == hamlet.town.ledger.duty_ticks
    hamlet.play(150)
    assert 0 == hamlet.town.agents[0].excused


def test_thirty_ticks_of_starving_end_a_life_and_the_slot_returns() -> None:
    """An agent that starves faints after 30 ticks, costs 5, is gone for 5 to 20 ticks and returns one generation on."""
    hamlet = Hamlet("small_town")
    agent = hamlet.town.agents[0]
    agent.hunger, agent.wallet, agent.intent = 0.0, 1.2, 0
    hamlet.town.rivalry[0, 1] = hamlet.town.rivalry[1, 0] = 0.9
    hamlet.play(29)
    assert 0 == agent.respawn
    hamlet.play(1)
    assert -5 == hamlet.terms[FAINT, 0]
    assert bool(hamlet.ended[0])
    gone = int(agent.respawn)
    assert 5 <= gone <= 20
    assert pytest.approx(1.2, abs=0.3) == hamlet.town.ledger.forfeits
    hamlet.play(gone)
    assert (0, 1) == (agent.respawn, agent.generation)
    assert pytest.approx(3.0) == agent.wallet
    assert pytest.approx(0.6, abs=0.003) == agent.hunger
    assert 0 == hamlet.town.rivalry[0, 1]


def test_nothing_after_a_death_counts_in_its_decision() -> None:
    """Terms stop at the faint, even when the slot lives again before the decision is over."""
    terms = []
    for ticks in (30, 60):
        hamlet = Hamlet("small_town", ticks=ticks)
        hamlet.town.agents[0].hunger, hamlet.town.agents[0].intent = 0.0, 0
        hamlet.play()
        assert bool(hamlet.ended[0])
        terms.append(hamlet.terms[:, 0].tolist())
    assert terms[0] == terms[1]
    assert 1 == hamlet.town.agents[0].generation


def test_the_survival_term_is_the_formula() -> None:
    """One tick is worth 0.012 − 0.02·(1.0·(1−hunger)² + 0.6·(1−hygiene)² + 0.8·(1−energy)²)."""
    hamlet = _before_shift(100)
    agent = hamlet.town.agents[0]
    agent.hunger, agent.hygiene, agent.energy = 0.5, 0.25, 0.75
    hamlet.play(1)
    hurt = 1.0 * 0.5018**2 + 0.6 * 0.7508**2 + 0.8 * 0.251**2
    assert pytest.approx(0.012 - 0.02 * hurt, rel=1e-4) == hamlet.terms[0, 0]


@pytest.mark.parametrize(("hunger", "cost"), [(0.5, 0.0), (0.2018, 0.0), (0.1018, 0.05), (0.0018, 0.1)])
def test_the_last_of_hunger_costs_more_the_nearer_the_faint_is(hunger: float, cost: float) -> None:
    """In `small_town` below 0.2 up to 0.1 a tick besides, more than a tick of work earns."""
    hamlet = _before_shift(100)
    agent = hamlet.town.agents[0]
    agent.hunger, agent.hygiene, agent.energy = hunger, 1.0, 1.0
    hamlet.play(1)
    assert pytest.approx(0.012 - 0.02 * (1 - float(agent.hunger)) ** 2 - cost, abs=2e-4) == hamlet.terms[0, 0]


def test_the_last_minutes_before_a_bell_are_told_apart() -> None:
    """An hour ahead shows as a half, 20 minutes as a quarter, in both features; what is over shows nothing."""
    shown = {}
    for ticks in (60, 20, -180, -220):
        hamlet = _before_shift(ticks + 1)
        hamlet.play()
        seen = hamlet.batch.observe().observations[0, 0]
        shown[ticks] = (seen[feature.TO_SHIFT], seen[feature.SHIFT_LEFT])
    assert {60: (0.5, 0), 20: (0.25, 0), -180: (0, 0.5), -220: (0, 0.25)} == shown
