"""Collect paired evidence: every policy plays the same episodes, each distinct policy only once."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from townlet.dto.evidence import CANDIDATE, PairedMetric
from townlet.dto.metrics import InvalidValues, Measurement
from townlet.dto.schedule import EvidenceSpec
from townlet.policy.evaluation.episodes import Episodes, play
from townlet.policy.evaluation.first_observations import first_observed
from townlet.policy.training.contexts import TrainingContext
from townlet.rng import derive

__all__ = ["EvidenceCollector"]

_CONTROL = "control."


@define(kw_only=True)
class EvidenceCollector:
    """Episodes played so far by some policies, look by look."""

    context: TrainingContext
    """Whose environments and weights are used."""
    evidence: EvidenceSpec
    """How many episodes, how long, how played."""
    seed: int
    """Keys the episodes."""
    policies: Mapping[str, str]
    """Policy (weights digest or ``teacher:NAME``) by name; several names may share one."""
    counted: frozenset[str] = frozenset()
    """Rows whose sums and exposures are evidence too, because a guard counts their events."""
    recorded: Mapping[str, Mapping[str, tuple[float, ...]]] = field(factory=dict)
    """Baselines that are data sets: what each tells of a metric, episode by episode."""
    played: dict[tuple[str, str], Episodes] = field(factory=dict)
    """By (policy, scenario)."""
    controls: dict[tuple[str, str], Episodes] = field(factory=dict)
    """Episodes that baselines played alone for a control variate, by (policy, scenario)."""

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The suite, or the schedule's own scenario."""
        return self.evidence.scenarios or (self.context.schedule.environment.scenario,)

    @property
    def agent_steps(self) -> int:
        """Agent-steps played so far."""
        return sum(episodes.agent_steps for episodes in (*self.played.values(), *self.controls.values()))

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return what was played, by ``KIND.POLICY@SCENARIO``."""
        arrays: dict[str, NDArray[np.float64]] = {}
        for prefix, kept in (("", self.played), (_CONTROL, self.controls)):
            for (policy, scenario), episodes in kept.items():
                key = f"{policy}@{scenario}"
                arrays |= {f"{prefix}sums.{key}": episodes.sums, f"{prefix}exposures.{key}": episodes.exposures}
                arrays |= {f"{prefix}terms.{key}": episodes.terms} if len(episodes.terms) else {}
                arrays[f"{prefix}agent_steps.{key}"] = np.array(episodes.agent_steps, np.float64)
        return arrays

    def resume(self, arrays: Mapping[str, NDArray[np.float64]]) -> None:
        """Go on from what `arrays` returned, whatever order a file gave it."""
        for scenario in self.scenarios:
            terms = len(self.context.environments.describe(scenario).reward_terms)
            for policy in dict.fromkeys(self.policies.values()):
                self.played[policy, scenario] = _episodes(arrays, "", f"{policy}@{scenario}", terms)
            for policy in self._controlled():
                self.controls[policy, scenario] = _episodes(arrays, _CONTROL, f"{policy}@{scenario}", terms)

    def extend(self, episodes: int) -> None:
        """Let every policy play on until it has played `episodes` episodes of each scenario.

        The episodes of a control variate are played before the first.
        """
        self._play_controls()
        for scenario in self.scenarios:
            for policy in dict.fromkeys(self.policies.values()):
                earlier = self.played.get((policy, scenario))
                first = earlier.count if earlier is not None else 0
                if first >= episodes:
                    continue
                more = self.play(policy, scenario, self.evidence.actions, first, episodes - first)
                self.played[policy, scenario] = more if earlier is None else earlier + more

    def _play_controls(self) -> None:
        for scenario in self.scenarios:
            for policy in self._controlled():
                if self.evidence.control is not None and (policy, scenario) not in self.controls:
                    self.controls[policy, scenario] = self.play(
                        policy, scenario, self.evidence.actions, 0, self.evidence.control.episodes,
                        seed=derive(self.seed, "control", policy),
                    )  # fmt: skip

    def covariates(self, episodes: int) -> dict[str, tuple[float, ...]]:
        """Return the covariate of a control variate in the first episodes, by scenario; nothing without one."""
        return self._observed(self.seed, episodes)

    def further_covariates(self) -> dict[str, tuple[float, ...]]:
        """Return the same of the further episodes, which are only begun."""
        control = self.evidence.control
        return {} if control is None else self._observed(derive(self.seed, "covariates"), control.episodes)

    def _observed(self, seed: int, count: int) -> dict[str, tuple[float, ...]]:
        control = self.evidence.control
        if control is None or control.covariate is None:
            return {}
        observed = partial(first_observed, self.context.environments, feature=control.covariate, first=0)
        return {
            scenario: observed(scenario, seed=seed, max_steps=self._length(scenario), count=count)
            for scenario in self.scenarios
        }

    def _length(self, scenario: str) -> int:
        """Return the most decisions of an episode."""
        description = self.context.environments.describe(scenario)
        return description.episode_length(self.evidence.days, self.evidence.max_steps)

    def _controlled(self) -> tuple[str, ...]:
        """Return the policies that play the episodes of a control variate: every baseline, once."""
        if self.evidence.control is None or self.evidence.control.covariate is not None:
            return ()
        return tuple(dict.fromkeys(ref for name, ref in self.policies.items() if name != CANDIDATE))

    def play(
        self, policy: str, scenario: str, mode: str, first: int, count: int, *, seed: int | None = None
    ) -> Episodes:
        """Return `count` episodes from the `first`, played by one policy; the seed is the evidence's by default."""
        return play(
            self.context.environments,
            scenario,
            self.context.policy(policy, scenario, mode),
            seed=self.seed if seed is None else seed,
            max_steps=self._length(scenario),
            first=first,
            count=count,
            on_decision=self.context.visit.check_time,
        )

    def rows(self) -> tuple[PairedMetric, ...]:
        """Return each metric's values per policy name, episode by episode."""
        return tuple(
            self._row(self._row_name(scenario, spec.name), scenario, index)
            for scenario in self.scenarios
            for index, spec in enumerate(self.context.environments.describe(scenario).metrics)
        )

    def term_rows(self) -> tuple[PairedMetric, ...]:
        """Return each term of the rewards per policy name, episode by episode; none where none are declared."""
        return tuple(
            PairedMetric(
                metric=self._row_name(scenario, term),
                values={name: self.played[policy, scenario].term(index) for name, policy in self.policies.items()},
            )
            for scenario in self.scenarios
            for index, term in enumerate(self.context.environments.describe(scenario).reward_terms)
        )

    def _row_name(self, scenario: str, name: str) -> str:
        return f"[{scenario}].{name}" if self.evidence.scenarios else name

    def _row(self, name: str, scenario: str, index: int) -> PairedMetric:
        played = {policy_name: self.played[policy, scenario] for policy_name, policy in self.policies.items()}
        counted = played if name in self.counted else {}
        return PairedMetric(
            metric=name,
            values={policy: episodes.ratios(index) for policy, episodes in played.items()}
            | {baseline: metrics[name] for baseline, metrics in self.recorded.items() if name in metrics},
            invalid={policy: found for policy, episodes in played.items() if (found := episodes.invalid(index))},
            sums={policy: tuple(episodes.sums[index].tolist()) for policy, episodes in counted.items()},
            exposures={policy: tuple(episodes.exposures[index].tolist()) for policy, episodes in counted.items()},
            control={
                policy_name: () if (alone := self.controls[policy, scenario]).invalid(index) else alone.ratios(index)
                for policy_name, policy in self.policies.items()
                if policy_name != CANDIDATE and (policy, scenario) in self.controls
            },
        )

    def measurements(self) -> tuple[Measurement, ...]:
        """Return every KPI of every distinct policy."""
        return tuple(
            measurement
            for (policy, scenario), episodes in self.played.items()
            for measurement in self.measured(policy, scenario, self.evidence.actions, episodes)
        )

    def invalid_values(self) -> tuple[InvalidValues, ...]:
        """Return where a KPI of any policy is no valid number."""
        return tuple(
            invalid
            for (policy, scenario), episodes in self.played.items()
            for invalid in self.invalid(policy, scenario, self.evidence.actions, episodes)
        )

    def invalid(self, policy: str, scenario: str, actions: str, episodes: Episodes) -> tuple[InvalidValues, ...]:
        """Return where a KPI of one policy's episodes is no valid number."""
        return tuple(
            InvalidValues(
                metric=spec.name,
                policy=policy,
                scenario=scenario,
                actions=actions,
                seed=self.seed,
                episodes=invalid,
                played=episodes.count,
            )
            for index, spec in enumerate(self.context.environments.describe(scenario).metrics)
            if (invalid := episodes.invalid(index))
        )

    def measured(self, policy: str, scenario: str, actions: str, episodes: Episodes) -> tuple[Measurement, ...]:
        """Return the KPIs of one policy's episodes; a value is the mean of the episodes' ratios.

        An invalid number leaves no value: a mean of the others would hide it.
        """
        measurements = []
        for index, spec in enumerate(self.context.environments.describe(scenario).metrics):
            every, invalid = episodes.ratios(index), episodes.invalid(index)
            ratios = [ratio for ratio in every if ratio is not None]
            exposures = np.delete(episodes.exposures[index], invalid) if invalid else episodes.exposures[index]
            measurements.append(
                Measurement(
                    metric=spec.name,
                    value=sum(ratios) / len(ratios) if ratios and not invalid else None,
                    unit=spec.unit,
                    policy=policy,
                    scenario=scenario,
                    actions=actions,
                    seed=self.seed,
                    episodes=len(ratios),
                    exposure=float(exposures.sum()),
                )
            )
        return tuple(measurements)


def _episodes(arrays: Mapping[str, NDArray[np.float64]], prefix: str, key: str, terms: int) -> Episodes:
    """Return the episodes that were kept under a key; earlier versions kept no terms of the rewards."""
    sums = arrays[f"{prefix}sums.{key}"]
    return Episodes(
        sums=sums,
        terms=arrays.get(f"{prefix}terms.{key}", np.full((terms, sums.shape[1]), np.nan)),
        exposures=arrays[f"{prefix}exposures.{key}"],
        agent_steps=int(arrays[f"{prefix}agent_steps.{key}"]),
    )
