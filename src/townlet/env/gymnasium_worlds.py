"""Any Gymnasium environment as a `townlet.ports.Environment`: W copies with one agent each, in this process."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.canonical import digest_of
from townlet.dto.actions import Actions, ActionSpec
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.codec import did_you_mean
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.env.libraries import needed
from townlet.env.scripts import SCRIPTS, ScriptTeacher
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.ports import EnvironmentDescription, Script, Tallies, Teacher
from townlet.rng import mix

with needed("gymnasium", extra="env"):
    import gymnasium

    from townlet.env.spaces import MASK, ActionLayout, ObservationLayout

__all__ = ["GymnasiumProvider", "GymnasiumWorlds"]

SCENARIO = "default"
_DISCOUNT = 0.99
_METRICS = (
    MetricSpec(name="return_per_episode", unit="1/episode", direction=Direction.HIGHER, exposure="episodes"),
    MetricSpec(name="episode_length", unit="decisions", direction=Direction.HIGHER, exposure="episodes", low=0.0),
)
_SUCCESS = MetricSpec(name="success", unit="share", direction=Direction.HIGHER, exposure="episodes", low=0.0, high=1.0)
_SEED_BITS = np.uint64(32)
"""Bits of a seed that every environment takes, those of numpy's old generator too."""


@frozen
class GymnasiumProvider:
    """Makes the environment of an id that Gymnasium has registered, such as ``CartPole-v1``."""

    id: str
    """Id of the environment, without the prefix ``gymnasium:``."""
    arguments: Mapping[str, Any] = MappingProxyType({})
    """Keyword arguments of `gymnasium.make`: plain data, because the environment's signature holds them."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what a policy must know of the environment; one is made for it and closed."""
        if scenario != SCENARIO:
            raise BadInputError(f"gymnasium:{self.id}: unknown scenario {scenario!r}; expected {SCENARIO!r}")
        environment = self.make_one()
        try:
            return self._describe(environment)
        finally:
            environment.close()

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> "GymnasiumWorlds":
        """Return `worlds` copies, whose episodes are cut after `max_steps` decisions at the latest."""
        copies = [self.make_one() for _ in range(worlds)]
        return GymnasiumWorlds(self.describe(scenario), copies, seed=seed, max_steps=max_steps, first_world=first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return one of the scripts that come with the environment; BadInputError for an unknown one."""
        scripts = SCRIPTS.get(self.id, {})
        if name not in scripts:
            raise BadInputError(f"unknown teacher {name!r}{did_you_mean(name, tuple(scripts))} of gymnasium:{self.id}")
        return self.teacher_of(scripts[name])

    def teacher_of(self, script: Script) -> Teacher:
        """Return a teacher that asks a function `observation -> action`, both as the environment has them."""
        environment, name = self.make_one(), f"gymnasium:{self.id}"
        environment.close()
        return ScriptTeacher(
            script=script,
            observations=ObservationLayout.of(environment.observation_space, name),
            actions=ActionLayout.of(environment.action_space, name),
        )

    def make_one(self) -> "gymnasium.Env[Any, Any]":
        """Return one environment; BadInputError with Gymnasium's reason where it cannot be made.

        An id with a module before a colon is refused: making it would import code that a schedule names.
        """
        if ":" in self.id:
            raise BadInputError(
                f"gymnasium:{self.id} would import the module {self.id.partition(':')[0]!r}; import it in a program of "
                "your own, and name the id that it registers"
            )
        try:
            return gymnasium.make(self.id, disable_env_checker=True, **self.arguments)
        except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
            raise BadInputError(f"gymnasium:{self.id} cannot be made: {error}") from error

    def _describe(self, environment: "gymnasium.Env[Any, Any]") -> EnvironmentDescription:
        name = f"gymnasium:{self.id}"
        observations = ObservationLayout.of(environment.observation_space, name)
        actions = ActionLayout.of(environment.action_space, name).spec
        limit = None if environment.spec is None else environment.spec.max_episode_steps
        meaning = {
            "id": self.id,
            "arguments": dict(self.arguments),
            "features": list(observations.names),
            "actions": actions.model_dump(),
            "version": gymnasium.__version__,
        }
        return EnvironmentDescription(
            id=name,
            scenario=SCENARIO,
            agents=1,
            features=observations.names,
            actions=actions,
            max_steps=limit,
            objective="return_per_episode",
            discount=_DISCOUNT,
            metrics=(*_METRICS, _SUCCESS),
            teachers=tuple(SCRIPTS.get(self.id, {})),
            lives_end=True,
            signature=self._signature(meaning),
        )

    def _signature(self, meaning: Mapping[str, Any]) -> str:
        try:
            return digest_of(meaning)
        except (TypeError, ValueError) as error:
            raise BadInputError(
                f"gymnasium:{self.id}: the keyword arguments are no plain data ({error}); expected text, numbers and "
                "lists or mappings of them"
            ) from error


class GymnasiumWorlds:
    """W environments with one agent each, stepped one after the other."""

    def __init__(
        self,
        description: EnvironmentDescription,
        environments: "list[gymnasium.Env[Any, Any]]",
        *,
        seed: int,
        max_steps: int,
        first_world: int,
    ) -> None:
        self.description, self.worlds, self.max_steps = description, len(environments), max_steps
        self._environments = environments
        self._observations = ObservationLayout.of(environments[0].observation_space, description.id)
        self._actions = ActionLayout.of(environments[0].action_space, description.id)
        self._world_ids = first_world + np.arange(self.worlds)
        self._world_keys = mix(seed, self._world_ids.astype(np.uint64))
        self._episodes, self._steps = np.zeros(self.worlds, np.uint64), np.zeros(self.worlds, np.int64)
        self._features = np.zeros((self.worlds, len(description.features)), np.float32)
        self._mask = np.ones((self.worlds, description.actions.logits), np.bool_)
        self._over = np.ones(self.worlds, np.bool_)
        self._returns, self._successes = np.zeros(self.worlds), np.full(self.worlds, np.nan)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; each has a seed of its own."""
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        self._episodes[chosen] += np.uint64(1)
        self._steps[chosen], self._returns[chosen], self._over[chosen] = 0, 0.0, False
        self._successes[chosen] = np.nan
        for w in np.flatnonzero(chosen).tolist():
            seed = int(mix(self._world_keys[w], self._episodes[w]) >> (np.uint64(64) - _SEED_BITS))
            try:
                observation, info = self._environments[w].reset(seed=seed)
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "reset", error) from error
            self._see(w, observation, info)
        return self._batch()

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [W, 1, C]; a bad one raises BadInputError and changes nothing."""
        self._check(actions)
        rewards, terminations = np.zeros((self.worlds, 1), np.float32), np.zeros((self.worlds, 1), np.bool_)
        truncations = np.zeros((self.worlds, 1), np.bool_)
        running = np.flatnonzero(~self._over).tolist()
        for w, action in zip(running, self._actions.to_native(actions[running, 0]), strict=True):
            try:
                observation, reward, terminated, truncated, info = self._environments[w].step(action)
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "step", error) from error
            self._steps[w] += 1
            rewards[w, 0], terminations[w, 0] = self._number(w, float(reward), "reward"), bool(terminated)
            truncations[w, 0] = (bool(truncated) or self._steps[w] >= self.max_steps) and not terminated
            self._over[w] = terminations[w, 0] or truncations[w, 0]
            self._returns[w] += float(reward)
            self._see(w, observation, info)
        return StepResult(
            observations=self._batch(),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            over=self._over.copy(),
        )

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running or just finished episode."""
        known = ~np.isnan(self._successes)
        sums = np.stack([self._returns, self._steps.astype(np.float64), np.where(known, self._successes, 0.0)])
        begun = (self._steps > 0).astype(np.float64)
        return Tallies(sums=sums, exposures=np.stack([begun, begun, begun * known]))

    def snapshot(self) -> bytes:
        """Return nothing: the state of a foreign environment cannot be stored."""
        return b""

    def restore(self, state: bytes) -> None:
        """Refuse: no snapshot was ever given."""
        raise BadInputError(f"{self.description.id} offers no snapshot")

    def _see(self, w: int, observation: Any, info: Mapping[str, Any]) -> None:
        """Keep what world w shows: features, mask, and whether it succeeded."""
        self._features[w] = self._observations.flatten(observation)
        if not np.isfinite(self._features[w]).all():
            feature = self.description.features[int(np.argmin(np.isfinite(self._features[w])))]
            self._number(w, float("nan"), f"observation {feature}")
        mask = _mask_of(self._environments[w], observation, info)
        if mask is not None and self._mask.shape[1]:
            self._mask[w] = np.ravel(mask).astype(np.bool_)
        for name in ("is_success", "success"):
            if name in info:
                with suppress(TypeError, ValueError):
                    self._successes[w] = float(info[name])

    def _number(self, w: int, number: float, what: str) -> float:
        """Return a finite number; EnvironmentFaultError naming world, episode and decision for any other."""
        if np.isfinite(number):
            return number
        raise EnvironmentFaultError(
            f"environment {self.description.id}: {what} is not finite in {self._place(w)}; expected finite numbers"
        )

    def _place(self, w: int) -> str:
        return f"world {self._world_ids[w]}, episode {self._episodes[w]}, decision {self._steps[w]}"

    def _fault(self, w: int, call: str, error: Exception) -> EnvironmentFaultError:
        """Return what the environment raised, with world, episode and decision."""
        return EnvironmentFaultError(
            f"environment {self.description.id}: {call} raised {type(error).__name__}: {error} in {self._place(w)}"
        )

    def _batch(self) -> ObservationBatchDTO:
        return ObservationBatchDTO(
            observations=self._features[:, None].copy(),
            action_mask=self._mask[:, None].copy(),
            alive=~self._over[:, None],
            keys=mix(mix(self._world_keys, self._episodes), self._steps.astype(np.uint64)),
        )

    def _check(self, actions: Actions) -> None:
        spec, shape = self.description.actions, (self.worlds, 1, self.description.actions.columns)
        if not isinstance(actions, np.ndarray) or actions.shape != shape or actions.dtype != spec.dtype:
            raise BadInputError(f"step: expected {spec.dtype} actions of shape {shape}, found {_kind(actions)}")
        options = actions[:, 0, : len(spec.discrete)]
        if not np.isfinite(actions).all() or (options < 0).any() or (options >= _counts(spec)).any():
            raise BadInputError("step: an action that is not finite, or an option that a head does not have")


def _counts(spec: ActionSpec) -> NDArray[np.int64]:
    return np.array([len(head.options) for head in spec.discrete], np.int64)


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _mask_of(environment: "gymnasium.Env[Any, Any]", observation: Any, info: Mapping[str, Any]) -> Any:
    """Return which options are legal, as the environment says it: in its info, its observation or a method."""
    if MASK in info:
        return info[MASK]
    if isinstance(observation, Mapping) and MASK in observation:
        return observation[MASK]
    method: Callable[[], Any] | None = getattr(environment.unwrapped, "action_masks", None)
    return None if method is None else method()
