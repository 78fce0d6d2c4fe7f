"""Comparing two policies outside any run: the same episodes, paired differences with bounds."""

from hashlib import sha256
from pathlib import Path
from typing import Literal

from attrs import frozen

from townlet.dto.comparison import ComparisonResult, MetricComparison
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy_ref import parse_teacher
from townlet.errors import BadInputError
from townlet.estimate import bounds, iqm, probability_of_improvement
from townlet.policy.evaluation.episodes import Episodes, play
from townlet.policy.model.weights import read_weights
from townlet.ports import EnvironmentProvider, Teacher
from townlet.rng import derive
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry

__all__ = ["NamedPolicy", "compare", "find_policy"]


@frozen(kw_only=True)
class NamedPolicy:
    """A policy that was found, and what it is called in a result."""

    policy: str
    """Weights digest, or ``teacher:NAME``."""
    teacher: Teacher
    """Who plays."""


def find_policy(
    word: str, environments: EnvironmentProvider, scenario: str, home: Path, actions: Literal["greedy", "stochastic"]
) -> NamedPolicy:
    """Return the policy `word` names: ``teacher:NAME``, ``NAME@ALIAS`` in the registry, or a weights file.

    BadInputError says which of them was tried and what there is.
    """
    teacher = parse_teacher(word)
    if teacher is not None:
        return NamedPolicy(policy=word, teacher=environments.teacher(scenario, teacher))
    blobs, path = BlobStore(home / "blobs"), Path(word)
    if path.is_file():
        data = path.read_bytes()
        digest = sha256(data).hexdigest()
    elif "@" in word:
        name, _, alias = word.partition("@")
        version = Registry(home / "registry.sqlite").champion(name, alias)
        if version is None:
            raise BadInputError(
                f"{home / 'registry.sqlite'}: {name!r} has no alias {alias!r}; see: townlet registry list"
            )
        digest, data = version.weights, blobs.get(version.weights)
    else:
        raise BadInputError(
            f"{word!r} is no policy; expected teacher:NAME ({', '.join(environments.describe(scenario).teachers)}), "
            "NAME@ALIAS of the registry, or the path of a weights file"
        )
    weights = read_weights(data, word)
    weights.check_fits(environments.describe(scenario), word)
    return NamedPolicy(policy=digest, teacher=weights.policy(actions))


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
    """Play the same `episodes` with both policies and compare every KPI; bounds are one-sided t at `confidence`."""
    if episodes < 2 or days < 1 or not 0.5 <= confidence < 1:
        raise BadInputError(
            f"cannot compare over {episodes} episodes of {days} days at confidence {confidence:g}; expected at least 2 "
            "episodes, at least 1 day, and a confidence of 0.5 or more and below 1"
        )
    keyed = derive(seed, "compare")
    mine, theirs = (
        play(environments, scenario, player.teacher, seed=keyed, days=days, first=0, count=episodes)
        for player in (candidate, baseline)
    )
    metrics = environments.describe(scenario).metrics
    return ComparisonResult(
        scenario=scenario,
        candidate=candidate.policy,
        baseline=baseline.policy,
        actions=actions,
        episodes=episodes,
        days=days,
        seed=seed,
        confidence=confidence,
        metrics=tuple(_row(spec, i, mine, theirs, 1 - confidence) for i, spec in enumerate(metrics)),
    )


def _row(spec: MetricSpec, index: int, mine: Episodes, theirs: Episodes, alpha: float) -> MetricComparison:
    pairs = [
        (a, b) for a, b in zip(mine.ratios(index), theirs.ratios(index), strict=True) if a is not None and b is not None
    ]
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    differences = [a - b for a, b in pairs]
    low, high = bounds(differences, alpha) if len(pairs) >= 2 else (None, None)
    better, worse = (right, left) if spec.direction is Direction.LOWER else (left, right)
    return MetricComparison(
        metric=spec.name,
        unit=spec.unit,
        direction=spec.direction.value,
        candidate=_mean(left),
        baseline=_mean(right),
        difference=_mean(differences),
        low=low,
        high=high,
        candidate_iqm=iqm(left) if left else None,
        baseline_iqm=iqm(right) if right else None,
        probability_of_improvement=probability_of_improvement(better, worse) if pairs else None,
        pairs=len(pairs),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
