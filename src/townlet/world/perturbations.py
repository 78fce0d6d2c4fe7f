"""Perturbations: prices jump, power and water fail, two are called together; when, how long and whom is keyed."""

from townlet.compiled import compiled, f32
from townlet.dto.town_rules import DAY, PERTURBATIONS
from townlet.world.kernel_rng import CALM, GUEST, LENGTH, SIZE, below, draw, uniform
from townlet.world.movement import distance
from townlet.world.relations import befriend, rejoice
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["call_off", "calm", "meet", "perturb"]

SPIKE, BLACKOUT, OUTAGE, MEET = (
    PERTURBATIONS.index(name) for name in ("price_spike", "blackout", "outage", "arranged_meet")
)
_ONE = f32(1)


@compiled
def plan(town: Town, rules: Rules, k: int, earliest: int) -> None:
    """Draw when the next upset of a kind begins: at the earliest then, on average `every` later."""
    upset, kind = town.upsets[k], rules.perturbations[k]
    upset.begins = earliest + 1 + below(draw(town.clock.key, CALM, upset.count, k), 2 * kind.every)


@compiled
def calm(town: Town, rules: Rules) -> None:
    """Begin an episode with nothing amiss."""
    town.clock.price, town.clock.power, town.clock.water = _ONE, 1, 1
    for k in range(len(rules.perturbations)):
        upset = town.upsets[k]
        upset.begins, upset.ends, upset.day, upset.today, upset.count, upset.size = -1, -1, 0, 0, 0, _ONE
        upset.guest_a, upset.guest_b, upset.x, upset.y = NOBODY, NOBODY, 0, 0
        if rules.perturbations[k].every > 0:
            plan(town, rules, k, 0)


@compiled
def call_off(town: Town) -> None:
    """End the arranged meeting, kept or not."""
    upset = town.upsets[MEET]
    if upset.guest_a != NOBODY:
        town.agents[upset.guest_a].called, town.agents[upset.guest_b].called = 0, 0
    upset.guest_a, upset.guest_b = NOBODY, NOBODY


@compiled
def invite(town: Town, rules: Rules) -> None:
    """Call two agents to a place; where one of them does not live, nobody is called."""
    upset, law, size = town.upsets[MEET], rules.law, len(town.agents)
    if size < 2:
        return
    a = below(draw(town.clock.key, GUEST, upset.count, 0), size)
    b = (a + 1 + below(draw(town.clock.key, GUEST, upset.count, 1), size - 1)) % size
    if town.agents[a].respawn > 0 or town.agents[b].respawn > 0:
        return
    tile = below(draw(town.clock.key, GUEST, upset.count, 2), law.width * law.height)
    upset.guest_a, upset.guest_b, upset.x, upset.y = a, b, tile % law.width, tile // law.width
    town.agents[a].called, town.agents[b].called = 1, 1


@compiled
def begin_upset(town: Town, rules: Rules, k: int) -> None:
    """Let an upset begin, or put it off to the next day where this one has seen enough."""
    upset, kind, clock = town.upsets[k], rules.perturbations[k], town.clock
    now = clock.start + clock.tick
    if upset.day != now // DAY:
        upset.day, upset.today = now // DAY, 0
    if upset.today >= kind.cap:
        plan(town, rules, k, clock.tick + DAY - now % DAY)
        return
    upset.today += 1
    upset.count += 1
    upset.ends = clock.tick + kind.least + below(draw(clock.key, LENGTH, upset.count, k), kind.most - kind.least + 1)
    upset.size = kind.low + (kind.high - kind.low) * uniform(draw(clock.key, SIZE, upset.count, k))
    if k == SPIKE:
        clock.price = upset.size
    elif k == BLACKOUT:
        clock.power = 0
    elif k == OUTAGE:
        clock.water = 0
    else:
        invite(town, rules)


@compiled
def end_upset(town: Town, rules: Rules, k: int) -> None:
    """Let an upset end and plan the next."""
    if k == SPIKE:
        town.clock.price = _ONE
    elif k == BLACKOUT:
        town.clock.power = 1
    elif k == OUTAGE:
        town.clock.water = 1
    else:
        call_off(town)
    plan(town, rules, k, town.clock.tick + rules.perturbations[k].cooldown)


@compiled
def perturb(town: Town, rules: Rules) -> None:
    """Play one tick of the town's misfortunes."""
    for k in range(len(rules.perturbations)):
        if rules.perturbations[k].every > 0:
            if town.clock.tick == town.upsets[k].ends:
                end_upset(town, rules, k)
            if town.clock.tick == town.upsets[k].begins:
                begin_upset(town, rules, k)


@compiled
def meet(town: Town, rules: Rules) -> None:
    """Keep the meeting once both guests stand at its place: it is worth a perfect chat and a shared meal."""
    upset = town.upsets[MEET]
    if upset.guest_a == NOBODY:
        return
    a, b = upset.guest_a, upset.guest_b
    one, other = town.agents[a], town.agents[b]
    if distance(one.x, one.y, upset.x, upset.y) <= 1 and distance(other.x, other.y, upset.x, upset.y) <= 1:
        rejoice(town, rules, a, b, _ONE)
        rejoice(town, rules, b, a, _ONE)
        befriend(town, a, b, rules.manners.meal_trust, rules.manners.meal_familiarity)
        town.ledger.meetings += 1
        call_off(town)
