"""Check that every guard on a metric can pass and can fail, from the range that the metric's values lie in."""

import math
from collections.abc import Iterator
from itertools import product

from attrs import frozen

from townlet.dto.codec import Problem
from townlet.dto.fields import DIRECTION, HIGH, LOW, Direction
from townlet.dto.guards import (
    BetweenSpec,
    ComparisonSpec,
    MetricGuardSpec,
    ShareLimitSpec,
    TailSpec,
    ThresholdSpec,
    Verdict,
)
from townlet.dto.metric_name import MetricName
from townlet.dto.policy import statistics
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.schedule.partial import PartialSchedule, PartialState

__all__ = ["check_ranges"]

_FAR = 1e12
"""Stands for a value without a bound."""


@frozen(kw_only=True)
class MetricRange:
    """The range of one metric's values, and why it is that."""

    low: float = -math.inf
    """Least value."""
    high: float = math.inf
    """Largest value."""
    direction: Direction = Direction.NONE
    """Which way it improves."""
    reason: str = ""
    """Phrase about the options that narrow the range; empty where it is the metric's own."""

    @property
    def phrase(self) -> str:
        """The range in words."""
        if math.isinf(self.high):
            return f"is at least {self.low:g}{self.reason}"
        if math.isinf(self.low):
            return f"is at most {self.high:g}{self.reason}"
        return f"lies between {self.low:g} and {self.high:g}{self.reason}"


def check_ranges(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield the guards that no value of their metric can pass, and those that no value can fail."""
    for name, guard in partial.guards.items():
        metric = MetricName.parse(guard.metric) if isinstance(guard, MetricGuardSpec) else None
        state = partial.states.get(metric.state) if metric else None
        found = _range(partial, state, metric) if metric and state else None
        if not isinstance(guard, MetricGuardSpec) or found is None or found.low > found.high:
            continue
        yield from _problems(guard, found, ("guards", name))


def _range(partial: PartialSchedule, state: PartialState, metric: MetricName) -> MetricRange | None:
    """Return the range of a state's metric; None where the state has no such metric, or it is not known yet."""
    if state.strategy is None or state.options is None or partial.environment is None:
        return None
    statistic = statistics(state.strategy.result).get(metric.name)
    if statistic is not None:
        declared = _bounds(statistic.metadata.get(LOW), statistic.metadata.get(HIGH))
        narrowed = state.strategy.ranges(state.options, partial.environment).get(metric.name, declared)
        low, high = max(declared[0], narrowed[0]), min(declared[1], narrowed[1])
        reason = "" if (low, high) == declared else f" with the options of {metric.state!r}"
        return MetricRange(low=low, high=high, direction=statistic.metadata[DIRECTION], reason=reason)
    measured = partial.environment.metrics if state.strategy.measures else ()
    for spec in measured:
        if spec.name == metric.name:
            low, high = _bounds(spec.low, spec.high)
            return MetricRange(low=low, high=high, direction=spec.direction)
    return None


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    return (-math.inf if low is None else low, math.inf if high is None else high)


def _problems(guard: MetricGuardSpec, values: MetricRange, path: tuple[str, ...]) -> Iterator[Problem]:
    match guard:
        case ThresholdSpec(at_least=float(limit)):
            yield from _outcome(guard, values, (*path, "at_least"), limit <= values.high, limit > values.low)
        case ThresholdSpec(at_most=float(limit)):
            yield from _outcome(guard, values, (*path, "at_most"), limit >= values.low, limit < values.high)
        case BetweenSpec(between=(low, high)):
            can_pass, can_fail = low <= values.high and high >= values.low, low > values.low or high < values.high
            yield from _outcome(guard, values, (*path, "between"), can_pass, can_fail)
        case TailSpec(share_below=ShareLimitSpec(limit=limit)):
            yield from _outcome(
                guard, values, (*path, "share_below", "limit"), limit <= values.high, limit > values.low
            )
        case TailSpec(share_above=ShareLimitSpec(limit=limit)):
            yield from _outcome(
                guard, values, (*path, "share_above", "limit"), limit >= values.low, limit < values.high
            )
        case ComparisonSpec() if values.direction != Direction.NONE:
            verdicts = _verdicts(guard, values)
            yield from _outcome(
                guard, values, (*path, guard.relation), Verdict.PASS in verdicts, Verdict.FAIL in verdicts
            )


def _outcome(
    guard: MetricGuardSpec, values: MetricRange, path: tuple[str, ...], can_pass: bool, can_fail: bool
) -> Iterator[Problem]:
    if can_pass and can_fail:
        return
    verdict = "fail" if can_pass else "pass"
    yield Problem(
        path,
        f"this guard can never {verdict}: {guard.metric} {values.phrase}; choose another limit, or leave the guard out",
    )


def _verdicts(guard: ComparisonSpec, values: MetricRange) -> frozenset[Verdict]:
    """Return the verdicts that two values in the range can get.

    The limit is piecewise linear in the baseline, with kinks at 0 and at ± the floor, so that its ends and kinks are
    enough to try.
    """
    low, high = max(values.low, -_FAR), min(values.high, _FAR)
    floor = guard.margin.floor or 0.0
    baselines = [low, high, *(kink for kink in (-floor, 0.0, floor) if low < kink < high)]
    margin = BaselineMargin(name="", guard=guard, baseline_name="", direction=values.direction)
    return frozenset(
        margin.compare(candidate, baseline).verdict for candidate, baseline in product((low, high), baselines)
    )
