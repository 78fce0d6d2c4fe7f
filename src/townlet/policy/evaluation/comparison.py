"""Compare two policies outside any run: both play the same episodes, each KPI gets a paired difference with bounds."""

from hashlib import sha256
from pathlib import Path
from typing import Literal

from attrs import frozen

from townlet.dto.comparison import ComparisonResult, MetricComparison
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy_ref import parse_teacher
from townlet.errors import BadInputError
from townlet.estimate import iqm, paired_bounds, probability_of_improvement
from townlet.policy.evaluation.episodes import Episodes, play
from townlet.policy.model.weights import read_weights
from townlet.ports import EnvironmentProvider, Teacher
from townlet.rng import derive
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry

__all__ = ["NamedPolicy", "compare", "find_policy"]


@frozen(kw_only=True)
class NamedPolicy:
    """A policy and its name in a result."""

    name: str
    """Weights digest, or ``teacher:NAME``."""
    policy: Teacher
    """Chooses the actions."""


def find_policy(
    reference: str,
    environments: EnvironmentProvider,
    scenario: str,
    home: Path,
    actions: Literal["greedy", "stochastic"],
) -> NamedPolicy:
    """Return the policy that `reference` names: ``teacher:NAME``, ``NAME@ALIAS`` in the registry, or a weights file.

    BadInputError says what was tried and what is available.
    """
    teacher = parse_teacher(reference)
    if teacher is not None:
        return NamedPolicy(name=reference, policy=environments.teacher(scenario, teacher))
    blobs, path = BlobStore(home / "blobs"), Path(reference)
    if path.is_file():
        data = path.read_bytes()
        digest = sha256(data).hexdigest()
    elif "@" in reference:
        name, _, alias = reference.partition("@")
        version = Registry(home / "registry.sqlite").champion(name, alias)
        if version is None:
            raise BadInputError(
                f"{home / 'registry.sqlite'}: {name!r} has no alias {alias!r}; see: townlet registry list"
            )
        digest, data = version.weights, blobs.get(version.weights)
    else:
        teachers = ", ".join(environments.describe(scenario).teachers)
        raise BadInputError(
            f"{reference!r} is no policy; expected teacher:NAME ({teachers}), "
            "NAME@ALIAS of the registry, or the path of a weights file"
        )
    weights = read_weights(data, reference)
    weights.check_fits(environments.describe(scenario), reference)
    return NamedPolicy(name=digest, policy=weights.policy(actions))


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
) -> ComparisonResult:
    """Play the same `episodes` with both policies and return the paired difference of every KPI.

    Bounds are one-sided t bounds at `confidence`. BadInputError for counts or a confidence out of range.
    """
    if episodes < 2 or days < 1 or not 0.5 <= confidence < 1:
        raise BadInputError(
            f"cannot compare over {episodes} episodes of {days} days at confidence {confidence:g}; expected at least 2 "
            "episodes, at least 1 day, and a confidence of 0.5 or more and below 1"
        )
    episodes_seed = derive(seed, "compare")
    candidate_episodes, baseline_episodes = (
        play(environments, scenario, named.policy, seed=episodes_seed, days=days, first=0, count=episodes)
        for named in (candidate, baseline)
    )
    metrics = environments.describe(scenario).metrics
    return ComparisonResult(
        scenario=scenario,
        candidate=candidate.name,
        baseline=baseline.name,
        actions=actions,
        episodes=episodes,
        days=days,
        seed=seed,
        confidence=confidence,
        metrics=tuple(
            _compare_metric(spec, i, candidate_episodes, baseline_episodes, 1 - confidence)
            for i, spec in enumerate(metrics)
        ),
    )


def _compare_metric(
    spec: MetricSpec, index: int, candidate: Episodes, baseline: Episodes, alpha: float
) -> MetricComparison:
    pairs = [
        (a, b)
        for a, b in zip(candidate.ratios(index), baseline.ratios(index), strict=True)
        if a is not None and b is not None
    ]
    candidate_values, baseline_values = [a for a, _ in pairs], [b for _, b in pairs]
    differences = [a - b for a, b in pairs]
    low, high = paired_bounds(candidate_values, baseline_values, alpha) if len(pairs) >= 2 else (None, None)
    better, worse = (
        (baseline_values, candidate_values)
        if spec.direction is Direction.LOWER
        else (candidate_values, baseline_values)
    )
    return MetricComparison(
        metric=spec.name,
        unit=spec.unit,
        direction=spec.direction.value,
        candidate=_mean(candidate_values),
        baseline=_mean(baseline_values),
        difference=_mean(differences),
        low=low,
        high=high,
        candidate_iqm=iqm(candidate_values) if candidate_values else None,
        baseline_iqm=iqm(baseline_values) if baseline_values else None,
        probability_of_improvement=probability_of_improvement(better, worse) if pairs else None,
        pairs=len(pairs),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
