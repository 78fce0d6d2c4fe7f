"""The ways from a script to a learned policy that are compared, each as a change of one schedule."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from townlet.dto.guards import GuardSpec, MetricGuardSpec, ThresholdSpec, VisitCountSpec
from townlet.dto.metric_name import MetricName
from townlet.dto.scenarios import SCENARIOS
from townlet.dto.schedule import ScheduleSpec, StateSpec

__all__ = ["ARMS", "first_rounds", "of_length", "placed", "ungated"]


def _with(
    schedule: ScheduleSpec, strategy: str, options: Mapping[str, Any], *, without: tuple[str, ...] = ()
) -> ScheduleSpec:
    """Return a schedule in which each state of a strategy has other options."""
    states = {
        name: attrs.evolve(
            state, with_={k: v for k, v in state.with_.items() if k not in without} | dict(options)
        ) if state.strategy == strategy else state
        for name, state in schedule.states.items()
    }  # fmt: skip
    return attrs.evolve(schedule, states=states)


def recipe(schedule: ScheduleSpec) -> ScheduleSpec:
    """The schedule as a user runs it."""
    return schedule


def naive(schedule: ScheduleSpec) -> ScheduleSpec:
    """Hand-off without care: a cold critic that does not go first, no anchor, no ramps, no watch."""
    cold = _with(schedule, "bc", {"value_epochs": 0})
    return _with(cold, "ppo", {}, without=("ramps", "watch"))


def aggressive(schedule: ScheduleSpec) -> ScheduleSpec:
    """The naive hand-off with learning rate 3e-3, eight passes and no KL stop."""
    return _with(naive(schedule), "ppo", {"learning_rate": 3e-3, "update_epochs": 8, "target_kl": 1e9})


def scratch(schedule: ScheduleSpec) -> ScheduleSpec:
    """PPO from fresh weights, its learning rate falling to a twentieth: nothing is captured, nobody is cloned."""
    (ppo,) = (state.with_ for state in schedule.states.values() if state.strategy == "ppo")
    fall = [[0, 1], [ppo["agent_steps"], 0.05]]
    ramps = [{"actor": fall, "critic": fall}]
    gone = {name for name, state in schedule.states.items() if state.strategy in ("capture", "bc")}
    fresh = _with(schedule, "ppo", {"start_from": "fresh", "ramps": ramps}, without=("watch",))
    (initial,) = (name for name, state in schedule.states.items() if state.strategy == "ppo")
    return attrs.evolve(
        fresh,
        initial=initial,
        states={name: state for name, state in fresh.states.items() if name not in gone},
        guards={name: guard for name, guard in schedule.guards.items() if not _asks(guard, gone)},
    )


ARMS: Mapping[str, Callable[[ScheduleSpec], ScheduleSpec]] = {
    "recipe": recipe, "naive": naive, "aggressive": aggressive, "scratch": scratch,
}  # fmt: skip


def first_rounds(schedule: ScheduleSpec, rounds: int) -> ScheduleSpec:
    """Return a schedule that visits ppo at most `rounds` times."""
    trained = {name for name, state in schedule.states.items() if state.strategy == "ppo"}
    guards = {
        name: (
            attrs.evolve(guard, below=rounds)
            if isinstance(guard, VisitCountSpec) and guard.visits_to in trained
            else guard
        )
        for name, guard in schedule.guards.items()
    }
    return attrs.evolve(schedule, guards=guards)


def of_length(schedule: ScheduleSpec, agent_steps: int) -> ScheduleSpec:
    """Return a schedule whose ppo visits have another length; ramps keep their agent-steps."""
    return _with(schedule, "ppo", {"agent_steps": agent_steps})


def placed(schedule: ScheduleSpec, scenario: str, *, days: int | None = None) -> ScheduleSpec:
    """Return a schedule for another scenario, with about as many agent slots in training and in capture as before."""
    place, share = schedule.environment, SCENARIOS[schedule.environment.scenario].agents / SCENARIOS[scenario].agents
    worlds = max(1, round(place.worlds * share))
    moved = attrs.evolve(schedule, environment=attrs.evolve(place, scenario=scenario, worlds=worlds))
    states = {
        name: attrs.evolve(
            state, with_={**state.with_, "episodes": max(12, round(int(state.with_["episodes"]) * share))}
        ) if "episodes" in state.with_ else state
        for name, state in moved.states.items()
    }  # fmt: skip
    guards = {name: _fewer(guard, states) for name, guard in schedule.guards.items()}
    moved = attrs.evolve(moved, states=states, guards=guards)
    return _with(moved, "ppo", {"days": days}) if days else moved


def ungated(schedule: ScheduleSpec) -> ScheduleSpec:
    """Return a schedule that ends after its first ppo visit and asks no guard."""
    straight = {"capture": "bc", "bc": "ppo", "ppo": "done"}
    names = {state.strategy: name for name, state in schedule.states.items()} | {"done": "done"}
    states: dict[str, StateSpec] = {}
    for name, state in schedule.states.items():
        if state.strategy in straight:
            edge = attrs.evolve(state.next[-1], to=names[straight[state.strategy]], when=(), why="")
            states[name] = attrs.evolve(state, next=(edge,))
    return attrs.evolve(
        _with(attrs.evolve(schedule, states=states), "ppo", {}, without=("watch",)),
        guards={}, evidence={}, baselines={},
    )  # fmt: skip


def _fewer(guard: GuardSpec, states: Mapping[str, StateSpec]) -> GuardSpec:
    """Return a guard that asks for no more episodes than its state captures."""
    if not isinstance(guard, ThresholdSpec) or guard.at_least is None:
        return guard
    metric = MetricName.parse(guard.metric)
    if metric is None or metric.name != "episodes":
        return guard
    return attrs.evolve(guard, at_least=min(guard.at_least, states[metric.state].with_["episodes"]))


def _asks(guard: GuardSpec, gone: set[str]) -> bool:
    if isinstance(guard, VisitCountSpec):
        return guard.visits_to in gone
    metric = MetricName.parse(guard.metric) if isinstance(guard, MetricGuardSpec) else None
    return metric is not None and metric.state in gone
