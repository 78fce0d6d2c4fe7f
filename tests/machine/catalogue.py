"""A catalogue of the seven strategies and an environment's description, as the checker would be handed them."""

from townlet.dto.catalogue import StrategyCatalogue, StrategyEntry
from townlet.dto.codec import did_you_mean
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import (
    BCTrainingResult,
    CaptureResult,
    EvaluationResult,
    PPOTrainingResult,
    PromotionResult,
    ReplayResult,
    RollbackResult,
)
from townlet.dto.schedule import EnvironmentSpec
from townlet.dto.strategies import BCSpec, CaptureSpec, EvaluateSpec, PPOSpec, PromoteSpec, ReplaySpec, RollbackSpec
from townlet.errors import BadInputError
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


def catalogue(*, torch: bool = True) -> StrategyCatalogue:
    """Return the seven strategies, with or without torch."""
    entries = (
        StrategyEntry(name="capture", spec=CaptureSpec, result=CaptureResult),
        StrategyEntry(name="replay", spec=ReplaySpec, result=ReplayResult),
        StrategyEntry(name="bc", spec=BCSpec, result=BCTrainingResult, requires_torch=True),
        StrategyEntry(name="ppo", spec=PPOSpec, result=PPOTrainingResult, requires_torch=True),
        StrategyEntry(name="evaluate", spec=EvaluateSpec, result=EvaluationResult, measures=True),
        StrategyEntry(name="promote", spec=PromoteSpec, result=PromotionResult, effect=True),
        StrategyEntry(name="rollback", spec=RollbackSpec, result=RollbackResult),
    )
    return StrategyCatalogue(entries={entry.name: entry for entry in entries}, torch_available=torch)


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
        actions=("idle", "eat", "sleep", "work"),
        decisions_per_day=48,
        discount=0.988,
        metrics=tuple(
            MetricSpec(name=name, unit=unit, direction=better, exposure=exposure)
            for name, (unit, better, exposure) in KPIS.items()
        ),
        teachers=("planner", "random", "scripted"),
        signature="0" * 64,
    )
