"""Jobs: shifts, arrival, lateness, absence, wages, and what colleagues make of it."""

from townlet.compiled import compiled, f32
from townlet.dto.town_rules import DAY
from townlet.world.affordances import pay
from townlet.world.features import WORK
from townlet.world.movement import distance
from townlet.world.relations import befriend, warm
from townlet.world.rivalry import resent
from townlet.world.rows import NOBODY, Agent
from townlet.world.rules import Job, Rules
from townlet.world.state import Town

__all__ = ["employ", "hire", "missed", "on_shift", "turn_day"]

_ZERO = f32(0)
_WEEK = (1 << 7) - 1


@compiled
def on_shift(town: Town, job: Job) -> bool:
    """Tell whether a job's shift is running now."""
    now = (town.clock.start + town.clock.tick) % DAY
    return job.start <= now < job.end


@compiled
def hire(town: Town, rules: Rules, i: int) -> None:
    """Begin a working life; a shift that is already running is excused."""
    agent = town.agents[i]
    agent.duty, agent.arrived, agent.late, agent.absent, agent.worked, agent.ring = 0, 0, 0, 0, 0, 0
    agent.wage, agent.turned_late, agent.turned_absent = _ZERO, 0, 0
    agent.share_1, agent.share_2, agent.share_3 = f32(1), f32(1), f32(1)
    agent.excused = 0
    if agent.job != NOBODY and on_shift(town, rules.jobs[agent.job]):
        agent.excused = 1


@compiled
def close_shift(agent: Agent) -> None:
    """Book the share of the shift that was worked and begin with a clean sheet."""
    if agent.duty > 0:
        agent.share_3, agent.share_2 = agent.share_2, agent.share_1
        agent.share_1 = f32(agent.worked) / f32(agent.duty)
    agent.duty, agent.arrived, agent.late, agent.absent, agent.excused, agent.worked = 0, 0, 0, 0, 0, 0


@compiled
def missed(agent: Agent) -> int:
    """Return how many ticks of its duty in this shift an agent was not at work."""
    return agent.duty - agent.worked


@compiled
def works(town: Town, rules: Rules, i: int) -> bool:
    """Tell whether an agent that has a job is at work this tick."""
    agent, job = town.agents[i], rules.jobs[town.agents[i].job]
    return (
        agent.intent == WORK
        and agent.running == 0
        and agent.respawn == 0
        and distance(agent.x, agent.y, job.x, job.y) <= 1
    )


@compiled
def be_missed(town: Town, rules: Rules, i: int) -> None:
    """Let colleagues at work stand in for one who became late, or do the shift of one recorded absent."""
    agent, manners = town.agents[i], rules.manners
    for j in range(len(town.agents)):
        if j == i or town.agents[j].job != agent.job or not works(town, rules, j):
            continue
        if agent.turned_late == 1:
            befriend(town, i, j, manners.helped_trust, manners.helped_familiarity)
            town.ledger.helped += 1
        if agent.turned_absent == 1:
            warm(town.ties[i, j], -manners.shift_trust, _ZERO)
            resent(town, i, j, manners.shift_rivalry)
            town.ledger.taken += 1


@compiled
def judge(town: Town, rules: Rules, i: int) -> None:
    """Record lateness after the grace and absence after the patience, once each, with their fines."""
    agent, law = town.agents[i], rules.law
    if agent.late == 0 and agent.duty > law.grace:
        agent.late, agent.turned_late = 1, 1
        town.ledger.late += 1
        town.ledger.fined += pay(town, i, law.late_fine)
    if agent.absent == 0 and agent.duty > law.absent_after:
        agent.absent, agent.turned_absent = 1, 1
        agent.ring = agent.ring | 1
        town.ledger.absent += 1
        town.ledger.fined += pay(town, i, law.absent_fine)
    if agent.turned_late == 1 or agent.turned_absent == 1:
        be_missed(town, rules, i)


@compiled
def turn_day(town: Town) -> None:
    """At midnight, let absences age by a day; those of a week ago are forgotten."""
    if (town.clock.start + town.clock.tick) % DAY == 0:
        town.clock.evictions = 0
        for i in range(len(town.agents)):
            town.agents[i].ring = (town.agents[i].ring << 1) & _WEEK


@compiled
def employ(town: Town, rules: Rules) -> None:
    """Play one tick of everybody's duty: who works on site is paid, who does not come is judged."""
    turn_day(town)
    for i in range(len(town.agents)):
        agent = town.agents[i]
        agent.wage, agent.turned_late, agent.turned_absent = _ZERO, 0, 0
        if agent.respawn > 0 or agent.job == NOBODY:
            continue
        job = rules.jobs[agent.job]
        if not on_shift(town, job):
            if agent.duty > 0 or agent.excused == 1:
                close_shift(agent)
            continue
        if agent.excused == 0:
            town.ledger.starts += 1 if agent.duty == 0 else 0
            town.ledger.scheduled += 1
            agent.duty += 1
        if works(town, rules, i):
            agent.wage = job.wage
            agent.wallet = agent.wallet + job.wage
            agent.arrived = 1
            town.ledger.wages += job.wage
            if agent.excused == 0:
                agent.worked += 1
                town.ledger.paid += 1
        elif agent.arrived == 0 and agent.excused == 0:
            judge(town, rules, i)
