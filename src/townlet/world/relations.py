"""Relations: trust and familiarity, and the chats, meals and kindnesses they grow by."""

from townlet.compiled import compiled, f32
from townlet.dto.town_rules import DAY
from townlet.world.features import CHAT
from townlet.world.kernel_rng import CHAT as CHAT_STREAM
from townlet.world.kernel_rng import draw, uniform
from townlet.world.movement import distance
from townlet.world.rivalry import resent
from townlet.world.rows import NOBODY, Relation
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["befriend", "companion", "quality", "regard", "rejoice", "relate", "share_meal", "warm"]

_ZERO, _ONE, _HALF = f32(0), f32(1), f32(0.5)
_HOUR = 60


@compiled
def warm(tie: Relation, trust: float, familiarity: float) -> None:
    """Change what one feels for another, kept in [-1, 1]."""
    tie.trust = min(max(tie.trust + trust, -_ONE), _ONE)
    tie.familiarity = min(max(tie.familiarity + familiarity, -_ONE), _ONE)


@compiled
def befriend(town: Town, i: int, j: int, trust: float, familiarity: float) -> None:
    """Let two grow closer, each towards the other."""
    warm(town.ties[i, j], trust, familiarity)
    warm(town.ties[j, i], trust, familiarity)


@compiled
def regard(town: Town, i: int, j: int) -> float:
    """Return how i thinks of j: trust + familiarity - rivalry."""
    tie = town.ties[i, j]
    return f32(tie.trust + tie.familiarity - town.rivalry[i, j])


@compiled
def quality(town: Town, i: int, j: int) -> float:
    """Return the quality of a chat in [0, 1]: the mean over both of their most pressing need's level."""
    a, b = town.agents[i], town.agents[j]
    lows = min(a.hunger, a.hygiene, a.energy) + min(b.hunger, b.hygiene, b.energy)
    return lows * _HALF


@compiled
def companion(town: Town, rules: Rules, i: int) -> int:
    """Return whom an agent would chat with now: the nearest in reach that is free to, no rival; NOBODY for none.

    Among equally near ones the one it thinks most of, then the lower slot.
    """
    agent, manners, now = town.agents[i], rules.manners, town.clock.tick
    nearest, least = NOBODY, manners.chat_distance + 1
    if now < agent.chat_from:
        return nearest
    for j in range(len(town.agents)):
        other = town.agents[j]
        apart = distance(agent.x, agent.y, other.x, other.y)
        if apart > least or j == i or other.respawn > 0 or other.running == 1 or now < other.chat_from:
            continue
        if town.rivalry[i, j] >= rules.law.avoid or apart > manners.chat_distance:
            continue
        if apart < least or regard(town, i, j) > regard(town, i, nearest):
            nearest, least = j, apart
    return nearest


@compiled
def rejoice(town: Town, rules: Rules, i: int, j: int, worth: float) -> None:
    """Note what good company is worth to an agent: (base + trust + familiarity, weighted)·worth."""
    law = rules.law
    warmth = law.chat + law.chat_trust * town.ties[i, j].trust + law.chat_familiarity * town.ties[i, j].familiarity
    town.agents[i].joy += warmth * worth


@compiled
def chat(town: Town, rules: Rules, i: int, j: int) -> None:
    """Let i chat with j; the better their mood, the likelier it goes well."""
    manners, good = rules.manners, quality(town, i, j)
    ready = town.clock.tick + manners.chat_cooldown
    town.agents[i].chat_from, town.agents[j].chat_from = ready, ready
    if uniform(draw(town.clock.key, CHAT_STREAM, town.clock.tick, i)) < _HALF + _HALF * good:
        rejoice(town, rules, i, j, good)
        rejoice(town, rules, j, i, good)
        befriend(town, i, j, manners.chat_trust * good, manners.chat_familiarity * good)
        town.ledger.chats += 1
    else:
        befriend(town, i, j, _ZERO, -manners.chat_coolness)
        resent(town, i, j, manners.chat_coolness)
        town.ledger.coolings += 1


@compiled
def share_meal(town: Town, rules: Rules, i: int, duration: int) -> None:
    """Note that i ended a meal; whoever near it ended one since this one began, or just then, ate with it."""
    agent, manners, now = town.agents[i], rules.manners, town.clock.tick
    for j in range(len(town.agents)):
        other = town.agents[j]
        if j == i or other.respawn > 0 or now - other.ate > duration:
            continue
        if distance(agent.x, agent.y, other.x, other.y) <= manners.meal_distance:
            befriend(town, i, j, manners.meal_trust, manners.meal_familiarity)
            town.ledger.meals_shared += 1
    agent.ate = now


@compiled
def faded(value: float, lost: float) -> float:
    """Return a value that much nearer to 0."""
    return max(value - lost, _ZERO) if value > _ZERO else min(value + lost, _ZERO)


@compiled
def grow_apart(town: Town, lost: float) -> None:
    """Let everybody's trust and familiarity fade."""
    for i in range(len(town.agents)):
        for j in range(len(town.agents)):
            tie = town.ties[i, j]
            tie.trust, tie.familiarity = faded(tie.trust, lost), faded(tie.familiarity, lost)


@compiled
def relate(town: Town, rules: Rules) -> None:
    """Play one tick of company: whoever chose to chat and has somebody to chat with does; hourly, ties loosen."""
    for i in range(len(town.agents)):
        town.agents[i].joy = _ZERO
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.intent == CHAT and agent.respawn == 0 and agent.running == 0:
            other = companion(town, rules, i)
            if other != NOBODY:
                chat(town, rules, i, other)
    if (town.clock.start + town.clock.tick) % DAY % _HOUR == 0:
        grow_apart(town, rules.manners.fade)
