"""KPIs: how a world's counts become sums and exposures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.town import DAY, KINDS, TownSpec

__all__ = ["metrics", "tally"]

_METRICS = (
    ("return_per_agent_day", "1/agent-day", Direction.HIGHER, "agent-days"),
    ("worst_agent_return", "1/agent-day", Direction.HIGHER, "worlds"),
    ("conflicts", "1/agent-day", Direction.LOWER, "agent-days"),
    ("queue_intensity", "1/agent-day", Direction.LOWER, "agent-days"),
    ("wait_ticks", "ticks/agent-day", Direction.LOWER, "agent-days"),
    ("deaths", "1/agent-day", Direction.LOWER, "agent-days"),
    ("attendance", "share", Direction.HIGHER, "scheduled ticks"),
    ("late_starts", "share", Direction.LOWER, "scheduled starts"),
    ("self_sufficiency", "share", Direction.HIGHER, "whole agent-days"),
    ("wait_gini", "1", Direction.LOWER, "worlds with waiting"),
    ("escalation", "share", Direction.LOWER, "conflicts"),
    ("evictions", "1/agent-day", Direction.LOWER, "agent-days"),
    ("chats", "1/agent-day", Direction.NONE, "agent-days"),
    ("chats_failed", "1/agent-day", Direction.NONE, "agent-days"),
    ("shared_meals", "1/agent-day", Direction.NONE, "agent-days"),
    ("late_helps", "1/agent-day", Direction.NONE, "agent-days"),
    ("shift_takeovers", "1/agent-day", Direction.NONE, "agent-days"),
)


def metrics(spec: TownSpec) -> tuple[MetricSpec, ...]:
    """Return the KPIs of a town; agent-days are slot-days, dead time included, so that dying is never cheap."""
    fixed = tuple(MetricSpec(name=n, unit=u, direction=d, exposure=e) for n, u, d, e in _METRICS)
    uses = tuple(
        MetricSpec(name=f"uses_{kind}", unit="1/agent-day", direction=Direction.NONE, exposure="agent-days")
        for kind in KINDS
        if kind in spec.objects
    )
    return fixed + uses


def _gini(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Gini's coefficient of values [W, N] per world, and 1 where there is anything to share."""
    ordered, size = np.sort(values, axis=1), values.shape[1]
    weights = 2 * np.arange(1, size + 1) - size - 1
    total = ordered.sum(axis=1)
    return (ordered @ weights) / np.maximum(size * total, 1), (total > 0).astype(np.float64)


def tally(
    spec: TownSpec, clocks: NDArray[Any], ledgers: NDArray[Any], agents: NDArray[Any], objects: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums and exposures [M, W] of the running episode, in the order of `metrics`."""
    days = clocks["tick"] / DAY
    agent_days = days * spec.agents
    elapsed = (days > 0).astype(np.float64)
    worst = agents["episode_return"].min(axis=1) / np.maximum(days, 1 / DAY)
    gini, waited = _gini(agents["waits"].astype(np.float64))
    pairs = [
        (agents["episode_return"].sum(axis=1), agent_days),
        (worst, elapsed),
        (ledgers["conflicts"], agent_days),
        (ledgers["intensity"], agent_days),
        (agents["waits"].sum(axis=1), agent_days),
        (ledgers["deaths"], agent_days),
        (ledgers["worked_ticks"], ledgers["duty_ticks"]),
        (ledgers["late_starts"], ledgers["shift_starts"]),
        (ledgers["sufficient_days"], ledgers["agent_days"]),
        (gini, waited),
        (ledgers["escalations"], ledgers["conflicts"]),
        (ledgers["evictions"], agent_days),
        (ledgers["chats"], agent_days),
        (ledgers["failed_chats"], agent_days),
        (ledgers["meals_shared"], agent_days),
        (ledgers["late_helps"], agent_days),
        (ledgers["shift_takeovers"], agent_days),
    ]
    for kind in KINDS:
        if kind in spec.objects:
            ours = np.array([other == kind for other in spec.objects])
            pairs.append((objects["uses"][:, ours].sum(axis=1), agent_days))
    sums, exposures = zip(*pairs, strict=True)
    return np.stack(sums).astype(np.float64), np.stack(exposures).astype(np.float64)
