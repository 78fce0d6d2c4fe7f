"""Space: tiles, Manhattan steps, where an action leads."""

from townlet.compiled import kernel
from townlet.dto.town_rules import PERTURBATIONS
from townlet.world.features import AWAY, CHAT, HOME, USE, WORK
from townlet.world.rows import NOBODY, Agent
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["distance", "move"]

_MEET = PERTURBATIONS.index("arranged_meet")


@kernel
def distance(ax: int, ay: int, bx: int, by: int) -> int:
    """Return the Manhattan distance of two tiles."""
    return abs(ax - bx) + abs(ay - by)


@kernel
def step_towards(agent: Agent, x: int, y: int) -> None:
    """Walk one tile along the longer axis."""
    dx, dy = x - agent.x, y - agent.y
    if abs(dx) >= abs(dy):
        agent.x += 1 if dx > 0 else -1
    else:
        agent.y += 1 if dy > 0 else -1


@kernel
def step_away(town: Town, rules: Rules, i: int) -> None:
    """Walk one tile away from the nearest other agent, the lower slot among equals, along the shorter axis."""
    agent, constants = town.agents[i], rules.constants
    nearest, least = NOBODY, 1 << 30
    for j in range(len(town.agents)):
        other = town.agents[j]
        if j != i and other.respawn == 0:
            apart = distance(agent.x, agent.y, other.x, other.y)
            if apart < least:
                nearest, least = j, apart
    if nearest == NOBODY:
        return
    other = town.agents[nearest]
    dx, dy = agent.x - other.x, agent.y - other.y
    if abs(dx) <= abs(dy):
        agent.x = min(max(agent.x + (1 if dx >= 0 else -1), 0), constants.width - 1)
    else:
        agent.y = min(max(agent.y + (1 if dy >= 0 else -1), 0), constants.height - 1)


@kernel
def approach(agent: Agent, x: int, y: int, near: int) -> None:
    """Walk one tile towards another, unless it is near enough."""
    if distance(agent.x, agent.y, x, y) > near:
        step_towards(agent, x, y)


@kernel
def move(town: Town, rules: Rules) -> None:
    """Let everybody who is alive and not using an object walk one tile where its action leads."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn > 0 or agent.running == 1:
            continue
        if agent.intent >= USE:
            item = town.objects[agent.intent - USE]
            approach(agent, item.x, item.y, 1)
        elif agent.intent == WORK and agent.job != NOBODY:
            job = rules.jobs[agent.job]
            approach(agent, job.x, job.y, 1)
        elif agent.intent == HOME:
            approach(agent, agent.home_x, agent.home_y, 0)
        elif agent.intent == CHAT and agent.called == 1:
            meeting = town.perturbations[_MEET]
            approach(agent, meeting.x, meeting.y, 1)
        elif agent.intent == AWAY:
            step_away(town, rules, i)
