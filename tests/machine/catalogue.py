"""A catalogue of the seven strategies and an environment's description, as the checker would be handed them."""

from typing import Any

from attrs import evolve

from townlet.dto.actions import ActionSpec
from townlet.dto.codec import did_you_mean
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.policy.training.strategies import base
from townlet.ports import EnvironmentDescription

SCENARIOS = ("small_town", "crowded")
KPIS = {
    "return_per_agent_day": ("1/agent-day", Direction.HIGHER, "agent-days"),
    "queue_intensity": ("1/agent-day", Direction.LOWER, "agent-days"),
    "deaths": ("1/agent-day", Direction.LOWER, "agent-days"),
    "attendance": ("fraction", Direction.HIGHER, "shifts"),
    "late_starts": ("1/agent-day", Direction.LOWER, "agent-days"),
    "worst_agent_return": ("1/agent-day", Direction.HIGHER, "agent-days"),
    "chats": ("1/agent-day", Direction.NONE, "agent-days"),
}

RANGES: dict[str, dict[str, Any]] = {"deaths": {"low": 0.0, "is_count": True}, "attendance": {"low": 0.0, "high": 1.0}}


def catalogue(*, torch: bool = True) -> StrategyCatalogue:
    """Return the built-in strategies, with or without torch."""
    return evolve(base.catalogue(), torch_available=torch)


def describe(spec: EnvironmentSpec) -> EnvironmentDescription:
    """Return the description of a town of eight, as its provider would."""
    if spec.id != "town":
        raise BadInputError(f"unknown environment {spec.id!r}{did_you_mean(spec.id, ['town'])}")
    if spec.scenario not in SCENARIOS:
        raise BadInputError(f"unknown scenario {spec.scenario!r}{did_you_mean(spec.scenario, SCENARIOS)}")
    return EnvironmentDescription(
        id="town",
        scenario=spec.scenario,
        agents=8,
        features=tuple(f"feature_{i}" for i in range(20)),
        actions=ActionSpec.one_of("idle", "eat", "sleep", "work"),
        decisions_per_day=48,
        discount=0.97,
        objective="return_per_agent_day",
        metrics=tuple(
            MetricSpec(name=name, unit=unit, direction=better, exposure=exposure, **RANGES.get(name, {}))
            for name, (unit, better, exposure) in KPIS.items()
        ),
        teachers=("planner", "random", "scripted"),
        lives_end=False,
        signature="0" * 64,
    )
