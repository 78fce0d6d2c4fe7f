"""The rehearsal: a run with tiny numbers that visits every state and promotes nothing."""

from collections.abc import Collection, Mapping

from attrs import evolve

from townlet.dto.schedule import Plan, ScheduleSpec, StateSpec
from townlet.estimate import MIN_PAIRS
from townlet.machine.catalogue import StrategyCatalogue

__all__ = ["next_edge", "shrink"]

_WORLDS = 8
"""Worlds that train side by side at the most."""


def shrink(plan: Plan, catalogue: StrategyCatalogue) -> Plan:
    """Return a plan whose whole run takes seconds: every strategy does all its kinds of work, but little of it."""
    schedule = plan.schedule
    evidence = {
        name: evolve(
            spec,
            episodes=tuple(MIN_PAIRS + look for look in range(len(spec.episodes))),
            days=1,
            control=None if spec.control is None else evolve(spec.control, episodes=MIN_PAIRS),
        )
        for name, spec in schedule.evidence.items()
    }
    environment = evolve(schedule.environment, worlds=min(_WORLDS, schedule.environment.worlds))
    options = {
        state: catalogue.entry(schedule.states[state].strategy).shrink(spec) for state, spec in plan.options.items()
    }
    return evolve(plan, schedule=evolve(schedule, evidence=evidence, environment=environment), options=options)


def next_edge(schedule: ScheduleSpec, state: str, seen: Collection[str]) -> int:
    """Return the edge a rehearsal takes: the first to a state not yet seen, else the first towards one.

    Once every state that can be reached was seen, the first towards ``done``, else the last.
    """
    edges = schedule.states[state].next
    unseen = frozenset(schedule.states) - frozenset(seen)
    for goal in (unseen, frozenset({"done"})):
        distance = _distances(schedule.states, goal)
        near = [(distance[edge.to], index) for index, edge in enumerate(edges) if edge.to in distance]
        if near:
            return min(near)[1]
    return len(edges) - 1


def _distances(states: Mapping[str, StateSpec], goal: frozenset[str]) -> dict[str, int]:
    """Return the number of edges from each state to the nearest goal."""
    distance = dict.fromkeys(sorted(goal), 0)
    grown = True
    while grown:
        grown = False
        for name, spec in states.items():
            ahead = [distance[edge.to] + 1 for edge in spec.next if edge.to in distance]
            if ahead and min(ahead) < distance.get(name, min(ahead) + 1):
                distance[name] = min(ahead)
                grown = True
    return distance
