"""Jobs: shifts, arrival, lateness, absence, wages, and what colleagues make of it."""

from townlet.compiled import f32, kernel
from townlet.dto.town_rules import DAY
from townlet.world.affordances import pay
from townlet.world.features import WORK
from townlet.world.movement import distance
from townlet.world.relations import change_both_relations, change_relation
from townlet.world.rivalry import add_rivalry
from townlet.world.rows import NOBODY, Agent
from townlet.world.rules import Job, Rules
from townlet.world.state import Town

__all__ = ["age_absences", "missed_ticks", "on_shift", "start_employment", "update_jobs"]

_ZERO = f32(0)
_WEEK = (1 << 7) - 1


@kernel
def on_shift(town: Town, job: Job) -> bool:
    """Tell whether a job's shift is running now."""
    now = (town.clock.start + town.clock.tick) % DAY
    return job.start <= now < job.end


@kernel
def start_employment(town: Town, rules: Rules, i: int) -> None:
    """Begin a working life; a shift that is already running is excused."""
    agent = town.agents[i]
    agent.duty, agent.arrived, agent.late, agent.absent, agent.worked, agent.absence_bits = 0, 0, 0, 0, 0, 0
    agent.wage, agent.turned_late, agent.turned_absent = _ZERO, 0, 0
    agent.share_1, agent.share_2, agent.share_3 = f32(1), f32(1), f32(1)
    agent.excused = 0
    if agent.job != NOBODY and on_shift(town, rules.jobs[agent.job]):
        agent.excused = 1


@kernel
def close_shift(agent: Agent) -> None:
    """Book the share of the shift that was worked and begin with a clean sheet."""
    if agent.duty > 0:
        agent.share_3, agent.share_2 = agent.share_2, agent.share_1
        agent.share_1 = f32(agent.worked) / f32(agent.duty)
    agent.duty, agent.arrived, agent.late, agent.absent, agent.excused, agent.worked = 0, 0, 0, 0, 0, 0


@kernel
def missed_ticks(agent: Agent) -> int:
    """Return how many ticks of its duty in this shift an agent was not at work."""
    return agent.duty - agent.worked


@kernel
def is_at_work(town: Town, rules: Rules, i: int) -> bool:
    """Tell whether an agent that has a job is at work this tick."""
    agent, job = town.agents[i], rules.jobs[town.agents[i].job]
    return (
        agent.intent == WORK
        and agent.running == 0
        and agent.respawn == 0
        and distance(agent.x, agent.y, job.x, job.y) <= 1
    )


@kernel
def credit_colleagues(town: Town, rules: Rules, i: int) -> None:
    """Let colleagues at work stand in for one who became late, or do the shift of one recorded absent."""
    agent, relation_constants = town.agents[i], rules.relation_constants
    for j in range(len(town.agents)):
        if j == i or town.agents[j].job != agent.job or not is_at_work(town, rules, j):
            continue
        if agent.turned_late == 1:
            change_both_relations(town, i, j, relation_constants.helped_trust, relation_constants.helped_familiarity)
            town.ledger.late_helps += 1
        if agent.turned_absent == 1:
            change_relation(town.relations[i, j], -relation_constants.shift_trust, _ZERO)
            add_rivalry(town, i, j, relation_constants.shift_rivalry)
            town.ledger.shift_takeovers += 1


@kernel
def record_lateness(town: Town, rules: Rules, i: int) -> None:
    """Record lateness after the grace and absence after the patience, once each, with their fines."""
    agent, constants = town.agents[i], rules.constants
    if agent.late == 0 and agent.duty > constants.grace:
        agent.late, agent.turned_late = 1, 1
        town.ledger.late_starts += 1
        town.ledger.fines += pay(town, i, constants.late_fine)
    if agent.absent == 0 and agent.duty > constants.absent_after:
        agent.absent, agent.turned_absent = 1, 1
        agent.absence_bits = agent.absence_bits | 1
        town.ledger.recorded_absences += 1
        town.ledger.fines += pay(town, i, constants.absent_fine)
    if agent.turned_late == 1 or agent.turned_absent == 1:
        credit_colleagues(town, rules, i)


@kernel
def age_absences(town: Town) -> None:
    """At midnight, let absences age by a day; those of a week ago are forgotten."""
    if (town.clock.start + town.clock.tick) % DAY == 0:
        town.clock.evictions = 0
        for i in range(len(town.agents)):
            town.agents[i].absence_bits = (town.agents[i].absence_bits << 1) & _WEEK


@kernel
def update_jobs(town: Town, rules: Rules) -> None:
    """Play one tick of everybody's duty: who works on site is paid, who does not come is judged."""
    age_absences(town)
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
            town.ledger.shift_starts += 1 if agent.duty == 0 else 0
            town.ledger.duty_ticks += 1
            agent.duty += 1
        if is_at_work(town, rules, i):
            agent.wage = job.wage
            agent.wallet = agent.wallet + job.wage
            agent.arrived = 1
            town.ledger.wages += job.wage
            if agent.excused == 0:
                agent.worked += 1
                town.ledger.worked_ticks += 1
        elif agent.arrived == 0 and agent.excused == 0:
            record_lateness(town, rules, i)
