"""Relations: trust and familiarity, and the chats, meals and kindnesses they grow by."""

from townlet.compiled import f32, i64, kernel
from townlet.dto.town_rules import DAY
from townlet.world.features import CHAT
from townlet.world.kernel_rng import CHAT as CHAT_STREAM
from townlet.world.kernel_rng import draw, uniform
from townlet.world.movement import distance
from townlet.world.needs import lowest
from townlet.world.rivalry import add_rivalry
from townlet.world.rows import NOBODY, Relation
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = [
    "add_chat_reward",
    "change_both_relations",
    "change_relation",
    "chat_partner",
    "chat_quality",
    "free_to_chat",
    "regard",
    "share_meal",
    "update_relations",
]

_ZERO, _ONE, _HALF = f32(0), f32(1), f32(0.5)
_HOUR = 60


@kernel
def change_relation(relation: Relation, trust: float, familiarity: float) -> None:
    """Change what one feels for another, kept in [-1, 1]."""
    relation.trust = min(max(relation.trust + trust, -_ONE), _ONE)
    relation.familiarity = min(max(relation.familiarity + familiarity, -_ONE), _ONE)


@kernel
def change_both_relations(town: Town, i: int, j: int, trust: float, familiarity: float) -> None:
    """Let two grow closer, each towards the other."""
    change_relation(town.relations[i, j], trust, familiarity)
    change_relation(town.relations[j, i], trust, familiarity)


@kernel
def regard(town: Town, i: int, j: int) -> float:
    """Return how i thinks of j: trust + familiarity - rivalry."""
    relation = town.relations[i, j]
    return f32(relation.trust + relation.familiarity - town.rivalry[i, j])


@kernel
def chat_quality(town: Town, i: int, j: int) -> float:
    """Return the quality of a chat in [0, 1]: the mean over both of their most pressing need's level."""
    a, b = town.agents[i], town.agents[j]
    return (lowest(a) + lowest(b)) * _HALF


@kernel
def free_to_chat(town: Town) -> int:
    """Return who is free to chat, a bit for each agent: alive, not using an object, and long enough after a chat."""
    bits = i64(0)
    for i in range(len(town.agents)):
        agent = town.agents[i]
        is_free = (agent.respawn == 0) & (agent.running == 0) & (town.clock.tick >= agent.chat_from)
        bits |= i64(is_free) << i64(i)
    return bits


@kernel
def chat_partner(town: Town, rules: Rules, i: int, free: int) -> int:
    """Return whom an agent would chat with now: the nearest in reach of those who are free, no rival; NOBODY for none.

    Among equally near ones the one it thinks most of, then the lower slot. `free` is what `free_to_chat` returns.
    """
    agent, avoid = town.agents[i], rules.constants.avoid
    nearest, least = NOBODY, rules.relation_constants.chat_distance + 1
    near = i64(0)  # bits, set without branches: who is near cannot be predicted
    for j in range(len(town.agents)):
        near |= i64(distance(agent.x, agent.y, town.agents[j].x, town.agents[j].y) < least) << i64(j)
    mine = i64(1) << i64(i)
    if free & mine == 0 or near & free & ~mine == 0:
        return nearest
    for j in range(len(town.agents)):
        if j != i and (near & free) >> i64(j) & 1 == 1 and town.rivalry[i, j] < avoid:
            apart = distance(agent.x, agent.y, town.agents[j].x, town.agents[j].y)
            if apart < least or (apart == least and regard(town, i, j) > regard(town, i, nearest)):
                nearest, least = j, apart
    return nearest


@kernel
def add_chat_reward(town: Town, rules: Rules, i: int, j: int, worth: float) -> None:
    """Note what good company is worth to an agent: (base + trust + familiarity, weighted)·worth."""
    constants = rules.constants
    warmth = (
        constants.chat
        + constants.chat_trust * town.relations[i, j].trust
        + constants.chat_familiarity * town.relations[i, j].familiarity
    )
    town.agents[i].chat_reward += warmth * worth


@kernel
def chat(town: Town, rules: Rules, i: int, j: int) -> None:
    """Let i chat with j; the better their mood, the likelier it goes well."""
    relation_constants, good = rules.relation_constants, chat_quality(town, i, j)
    ready = town.clock.tick + relation_constants.chat_cooldown
    town.agents[i].chat_from, town.agents[j].chat_from = ready, ready
    if uniform(draw(town.clock.key, CHAT_STREAM, town.clock.tick, i)) < _HALF + _HALF * good:
        add_chat_reward(town, rules, i, j, good)
        add_chat_reward(town, rules, j, i, good)
        change_both_relations(
            town, i, j, relation_constants.chat_trust * good, relation_constants.chat_familiarity * good
        )
        town.ledger.chats += 1
    else:
        change_both_relations(town, i, j, _ZERO, -relation_constants.chat_coolness)
        add_rivalry(town, i, j, relation_constants.chat_coolness)
        town.ledger.failed_chats += 1


@kernel
def share_meal(town: Town, rules: Rules, i: int, duration: int) -> None:
    """Note that i ended a meal; whoever near it ended one since this one began, or just then, ate with it."""
    agent, relation_constants, now = town.agents[i], rules.relation_constants, town.clock.tick
    for j in range(len(town.agents)):
        other = town.agents[j]
        if j == i or other.respawn > 0 or now - other.last_meal > duration:
            continue
        if distance(agent.x, agent.y, other.x, other.y) <= relation_constants.meal_distance:
            change_both_relations(town, i, j, relation_constants.meal_trust, relation_constants.meal_familiarity)
            town.ledger.meals_shared += 1
    agent.last_meal = now


@kernel
def decay_towards_zero(value: float, lost: float) -> float:
    """Return a value that much nearer to 0."""
    return max(value - lost, _ZERO) if value > _ZERO else min(value + lost, _ZERO)


@kernel
def decay_relations(town: Town, lost: float) -> None:
    """Let everybody's trust and familiarity fade."""
    for i in range(len(town.agents)):
        for j in range(len(town.agents)):
            relation = town.relations[i, j]
            relation.trust, relation.familiarity = (
                decay_towards_zero(relation.trust, lost),
                decay_towards_zero(relation.familiarity, lost),
            )


@kernel
def update_relations(town: Town, rules: Rules) -> None:
    """Play one tick of company: whoever chose to chat and has somebody to chat with does; hourly, ties loosen."""
    for i in range(len(town.agents)):
        town.agents[i].chat_reward = _ZERO
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.intent == CHAT and agent.respawn == 0 and agent.running == 0:
            other = chat_partner(town, rules, i, free_to_chat(town))
            if other != NOBODY:
                chat(town, rules, i, other)
    if (town.clock.start + town.clock.tick) % DAY % _HOUR == 0:
        decay_relations(town, rules.relation_constants.fade)
