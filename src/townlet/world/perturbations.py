"""Perturbations: prices jump, power and water fail, two are called together; when, how long and whom is keyed."""

from townlet.compiled import f32, kernel
from townlet.dto.town_rules import DAY, PERTURBATIONS
from townlet.world.kernel_rng import (
    INVITEE,
    PERTURBATION_LENGTH,
    PERTURBATION_SIZE,
    PERTURBATION_START,
    below,
    draw,
    uniform,
)
from townlet.world.movement import distance
from townlet.world.relations import add_chat_reward, change_both_relations
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["cancel_meeting", "complete_meeting", "schedule_first", "update_perturbations"]

SPIKE, BLACKOUT, OUTAGE, MEET = (
    PERTURBATIONS.index(name) for name in ("price_spike", "blackout", "outage", "arranged_meet")
)
_ONE = f32(1)


@kernel
def schedule_next(town: Town, rules: Rules, k: int, earliest: int) -> None:
    """Draw when the next perturbation of a kind begins: after `earliest`, on average `every` ticks later."""
    perturbation, kind = town.perturbations[k], rules.perturbations[k]
    perturbation.begins = (
        earliest + 1 + below(draw(town.clock.key, PERTURBATION_START, perturbation.count, k), 2 * kind.every)
    )


@kernel
def schedule_first(town: Town, rules: Rules) -> None:
    """Begin an episode with nothing amiss."""
    town.clock.price, town.clock.power, town.clock.water = _ONE, 1, 1
    for k in range(len(rules.perturbations)):
        perturbation = town.perturbations[k]
        (
            perturbation.begins,
            perturbation.ends,
            perturbation.day,
            perturbation.count_today,
            perturbation.count,
            perturbation.size,
        ) = -1, -1, 0, 0, 0, _ONE
        perturbation.invitee_a, perturbation.invitee_b, perturbation.x, perturbation.y = NOBODY, NOBODY, 0, 0
        if rules.perturbations[k].every > 0:
            schedule_next(town, rules, k, 0)


@kernel
def cancel_meeting(town: Town) -> None:
    """End the arranged meeting, kept or not."""
    perturbation = town.perturbations[MEET]
    if perturbation.invitee_a != NOBODY:
        town.agents[perturbation.invitee_a].called, town.agents[perturbation.invitee_b].called = 0, 0
    perturbation.invitee_a, perturbation.invitee_b = NOBODY, NOBODY


@kernel
def invite(town: Town, rules: Rules) -> None:
    """Call two agents to a place; where one of them does not live, nobody is called."""
    perturbation, constants, size = town.perturbations[MEET], rules.constants, len(town.agents)
    if size < 2:
        return
    a = below(draw(town.clock.key, INVITEE, perturbation.count, 0), size)
    b = (a + 1 + below(draw(town.clock.key, INVITEE, perturbation.count, 1), size - 1)) % size
    if town.agents[a].respawn > 0 or town.agents[b].respawn > 0:
        return
    tile = below(draw(town.clock.key, INVITEE, perturbation.count, 2), constants.width * constants.height)
    perturbation.invitee_a, perturbation.invitee_b, perturbation.x, perturbation.y = (
        a,
        b,
        tile % constants.width,
        tile // constants.width,
    )
    town.agents[a].called, town.agents[b].called = 1, 1


@kernel
def begin_perturbation(town: Town, rules: Rules, k: int) -> None:
    """Start a perturbation, or postpone it to the next day where the cap of this day is reached."""
    perturbation, kind, clock = town.perturbations[k], rules.perturbations[k], town.clock
    now = clock.start + clock.tick
    if perturbation.day != now // DAY:
        perturbation.day, perturbation.count_today = now // DAY, 0
    if perturbation.count_today >= kind.cap:
        schedule_next(town, rules, k, clock.tick + DAY - now % DAY)
        return
    perturbation.count_today += 1
    perturbation.count += 1
    perturbation.ends = (
        clock.tick
        + kind.least
        + below(draw(clock.key, PERTURBATION_LENGTH, perturbation.count, k), kind.most - kind.least + 1)
    )
    perturbation.size = kind.low + (kind.high - kind.low) * uniform(
        draw(clock.key, PERTURBATION_SIZE, perturbation.count, k)
    )
    if k == SPIKE:
        clock.price = perturbation.size
    elif k == BLACKOUT:
        clock.power = 0
    elif k == OUTAGE:
        clock.water = 0
    else:
        invite(town, rules)


@kernel
def end_perturbation(town: Town, rules: Rules, k: int) -> None:
    """End a perturbation and schedule the next."""
    if k == SPIKE:
        town.clock.price = _ONE
    elif k == BLACKOUT:
        town.clock.power = 1
    elif k == OUTAGE:
        town.clock.water = 1
    else:
        cancel_meeting(town)
    schedule_next(town, rules, k, town.clock.tick + rules.perturbations[k].cooldown)


@kernel
def update_perturbations(town: Town, rules: Rules) -> None:
    """Play one tick of the town's misfortunes."""
    for k in range(len(rules.perturbations)):
        if rules.perturbations[k].every > 0:
            if town.clock.tick == town.perturbations[k].ends:
                end_perturbation(town, rules, k)
            if town.clock.tick == town.perturbations[k].begins:
                begin_perturbation(town, rules, k)


@kernel
def complete_meeting(town: Town, rules: Rules) -> None:
    """Keep the meeting once both guests stand at its place: it is worth a perfect chat and a shared meal."""
    perturbation = town.perturbations[MEET]
    if perturbation.invitee_a == NOBODY:
        return
    a, b = perturbation.invitee_a, perturbation.invitee_b
    one, other = town.agents[a], town.agents[b]
    if (
        distance(one.x, one.y, perturbation.x, perturbation.y) <= 1
        and distance(other.x, other.y, perturbation.x, perturbation.y) <= 1
    ):
        add_chat_reward(town, rules, a, b, _ONE)
        add_chat_reward(town, rules, b, a, _ONE)
        change_both_relations(
            town, a, b, rules.relation_constants.meal_trust, rules.relation_constants.meal_familiarity
        )
        town.ledger.meetings += 1
        cancel_meeting(town)
