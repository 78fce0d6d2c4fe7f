"""Compare two policies outside any run: both play the same episodes, each KPI gets a paired difference with bounds."""

from collections.abc import Callable
from itertools import count
from math import ceil
from typing import Literal

from attrs import evolve, frozen

from townlet.dto.comparison import ComparisonResult, MetricComparison
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy_ref import teacher_ref
from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError
from townlet.estimate import (
    iqm,
    missing_episodes,
    paired_bounds,
    probability_of_improvement,
    worst_case_pairs,
)
from townlet.policy.evaluation.episodes import Episodes, batch_worlds, play
from townlet.policy.model.weights import read_weights
from townlet.ports import EnvironmentProvider, Teacher
from townlet.rng import derive

_MOST = 1_000_000
"""Episodes and days that a comparison takes at most; more is a slip of the finger."""

__all__ = ["NamedPolicy", "PolicyReference", "compare", "fit_policy"]


def _ignore(decision: int, decisions: int) -> None:
    """Do nothing after a decision."""


@frozen(kw_only=True)
class NamedPolicy:
    """A policy and its name in a result."""

    name: str
    """Weights digest, or ``teacher:NAME``."""
    policy: Teacher
    """Chooses the actions."""


@frozen(kw_only=True)
class PolicyReference:
    """A policy that was named, and where it comes from."""

    source: str
    """How messages name it."""
    teacher: str | None = None
    """Name of a scripted policy; none for a learned one."""
    weights: bytes = b""
    """A learned policy's file."""
    digest: str = ""
    """SHA-256 of `weights`."""
    environment: EnvironmentSpec | None = None
    """Environment it was trained in; none where that is not recorded."""
    days: int | None = None
    """Length of the episodes it was compared over."""


def fit_policy(
    reference: PolicyReference,
    environments: EnvironmentProvider,
    scenario: str,
    actions: Literal["greedy", "stochastic"],
) -> NamedPolicy:
    """Return a policy that can play in a scenario; BadInputError where it was made for another environment."""
    if reference.teacher is not None:
        name = teacher_ref(reference.teacher)
        return NamedPolicy(name=name, policy=environments.teacher(scenario, reference.teacher))
    weights = read_weights(reference.weights, reference.source)
    try:
        weights.check_fits(environments.describe(scenario), reference.source)
    except BadInputError as error:
        if reference.environment is None:
            raise
        home = reference.environment
        raise BadInputError(
            f"{error}, or evaluate it where it was trained: --environment {home.id} --scenario {home.scenario} "
            f"({home.id}/{home.scenario})"
        ) from error
    return NamedPolicy(name=reference.digest, policy=weights.policy(actions))


def compare(
    environments: EnvironmentProvider,
    scenario: str,
    candidate: NamedPolicy,
    baseline: NamedPolicy,
    *,
    episodes: int,
    days: int,
    seed: int,
    confidence: float,
    actions: str,
    missing: Literal["worst", "drop"] | None = None,
    watch: Callable[[int, int], None] = _ignore,
) -> ComparisonResult:
    """Play the same `episodes` with both policies and return the paired difference of every KPI.

    Bounds are one-sided t bounds at `confidence`. An episode in which only one side has exposure is evidence: the KPI
    is not known then, as in a guard, unless `missing` says what such episodes count as. `watch` is
    called after each decision of a batch with its number and that of all. BadInputError for counts, a
    seed or a confidence out of range.
    """
    if not (2 <= episodes <= _MOST and 1 <= days <= _MOST and 0.5 <= confidence < 1):
        raise BadInputError(
            f"cannot compare over {_short(episodes)} episodes of {_short(days)} days at confidence {confidence:g}; "
            f"expected 2 to {_MOST:,} episodes, 1 to {_MOST:,} days, and a confidence of 0.5 or more and below 1"
        )
    if not 0 <= seed < 2**63:
        raise BadInputError(f"seed {_short(seed)} cannot be used; expected a whole number from 0 to 2**63 - 1")
    episodes_seed = derive(seed, "compare")
    decisions, description = count(1), environments.describe(scenario)
    max_steps = description.episode_length(days)
    if problem := description.limit_problem(steps=max_steps):
        raise BadInputError(problem)
    most = 2 * ceil(episodes / batch_worlds(description)) * max_steps

    def on_decision() -> None:
        watch(next(decisions), most)

    candidate_episodes, baseline_episodes = (
        play(
            environments,
            scenario,
            named.policy,
            seed=episodes_seed,
            max_steps=max_steps,
            first=0,
            count=episodes,
            on_decision=on_decision,
        )
        for named in (candidate, baseline)
    )
    return ComparisonResult(
        scenario=scenario,
        candidate=candidate.name,
        baseline=baseline.name,
        actions=actions,
        episodes=episodes,
        days=days if description.decisions_per_day else None,
        seed=seed,
        confidence=confidence,
        missing=missing,
        metrics=tuple(
            _compare_metric(spec, i, candidate_episodes, baseline_episodes, 1 - confidence, missing)
            for i, spec in enumerate(description.metrics)
        ),
    )


def _compare_metric(
    spec: MetricSpec,
    index: int,
    candidate: Episodes,
    baseline: Episodes,
    alpha: float,
    missing: Literal["worst", "drop"] | None,
) -> MetricComparison:
    values, baselines = candidate.ratios(index), baseline.ratios(index)
    pairs = [(a, b) for a, b in zip(values, baselines, strict=True) if a is not None and b is not None]
    unknown = MetricComparison(
        metric=spec.name,
        unit=spec.unit,
        direction=spec.direction.value,
        candidate=None,
        baseline=None,
        difference=None,
        low=None,
        high=None,
        candidate_iqm=None,
        baseline_iqm=None,
        probability_of_improvement=None,
        pairs=len(pairs),
        candidate_invalid=candidate.invalid(index),
        baseline_invalid=baseline.invalid(index),
    )
    if unknown.candidate_invalid or unknown.baseline_invalid:
        return evolve(unknown, problem=unknown.reason())
    unknown = evolve(
        unknown,
        candidate_missing=missing_episodes(values, baselines),
        baseline_missing=missing_episodes(baselines, values),
    )
    if unknown.candidate_missing or unknown.baseline_missing:
        if missing is None:
            return evolve(unknown, problem=unknown.reason())
        if missing == "worst" and spec.direction == Direction.NONE:
            return evolve(unknown, problem=f"{unknown.reason()}, and without a better direction nothing is worst")
        if missing == "worst":
            pairs = worst_case_pairs(values, baselines, -1.0 if spec.direction == Direction.LOWER else 1.0)
    return _compared(unknown, spec, pairs, alpha)


def _compared(
    unknown: MetricComparison, spec: MetricSpec, pairs: list[tuple[float, float]], alpha: float
) -> MetricComparison:
    """Return a comparison with its numbers."""
    candidate_values, baseline_values = [a for a, _ in pairs], [b for _, b in pairs]
    differences = [a - b for a, b in pairs]
    low, high = paired_bounds(candidate_values, baseline_values, alpha) if len(pairs) >= 2 else (None, None)
    better, worse = (
        (baseline_values, candidate_values)
        if spec.direction == Direction.LOWER
        else (candidate_values, baseline_values)
    )
    return evolve(
        unknown,
        candidate=_mean(candidate_values),
        baseline=_mean(baseline_values),
        difference=_mean(differences),
        low=low,
        high=high,
        candidate_iqm=iqm(candidate_values) if candidate_values else None,
        baseline_iqm=iqm(baseline_values) if baseline_values else None,
        probability_of_improvement=probability_of_improvement(better, worse) if pairs else None,
        worst=_worst(differences, spec.direction),
        pairs=len(pairs),
    )


def _worst(differences: list[float], direction: Direction) -> float | None:
    if not differences or direction == Direction.NONE:
        return None
    return max(differences) if direction == Direction.LOWER else min(differences)


def _short(value: int) -> str:
    """Return a whole number for a message; of a huge one only its size."""
    return str(value) if -(2**64) <= value <= 2**64 else f"a number of {value.bit_length()} bits"


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
