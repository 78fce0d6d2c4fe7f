"""Any Gymnasium environment as a `townlet.ports.Environment`: W copies with one agent each, in this process."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.env.info_tallies import InfoTallies
from townlet.env.libraries import needed
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.ports import EnvironmentDescription, Tallies
from townlet.rng import mix

if TYPE_CHECKING:
    import gymnasium

with needed("gymnasium", extra="env"):
    from townlet.env.spaces import MASK, ActionLayout, ObservationLayout

__all__ = ["GymnasiumWorlds"]

_SEED_BITS = np.uint64(32)
"""Bits of a seed that every environment takes, those of numpy's old generator too."""


class GymnasiumWorlds:
    """W environments with one agent each, stepped one after the other."""

    def __init__(
        self,
        description: EnvironmentDescription,
        environments: "list[gymnasium.Env[Any, Any]]",
        infos: InfoTallies,
        *,
        seed: int,
        max_steps: int,
        first_world: int,
    ) -> None:
        self.description, self.worlds, self.max_steps = description, len(environments), max_steps
        self._environments, self._infos = environments, infos
        self._observations = ObservationLayout.of(environments[0].observation_space, description.id)
        self._actions = ActionLayout.of(environments[0].action_space, description.id)
        self._world_ids = first_world + np.arange(self.worlds)
        self._world_keys = mix(seed, self._world_ids.astype(np.uint64))
        self._episodes, self._steps = np.zeros(self.worlds, np.uint64), np.zeros(self.worlds, np.int64)
        self._features = np.zeros((self.worlds, len(description.features)), np.float32)
        self._mask = np.ones((self.worlds, description.actions.logits), np.bool_)
        self._over = np.ones(self.worlds, np.bool_)
        self._returns = np.zeros(self.worlds)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; each has a seed of its own."""
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        self._episodes[chosen] += np.uint64(1)
        self._steps[chosen], self._returns[chosen], self._over[chosen] = 0, 0.0, False
        for w in np.flatnonzero(chosen).tolist():
            self._infos.begin(w)
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
        sums = np.concatenate(([self._returns, self._steps.astype(np.float64)], self._infos.sums))
        begun = (self._steps > 0).astype(np.float64)
        return Tallies(sums=sums, exposures=np.concatenate(([begun, begun], begun * self._infos.exposures)))

    def snapshot(self) -> bytes:
        """Return nothing: the state of a foreign environment cannot be stored."""
        return b""

    def restore(self, state: bytes) -> None:
        """Refuse: no snapshot was ever given."""
        raise BadInputError(f"{self.description.id} offers no snapshot")

    def _see(self, w: int, observation: Any, info: Mapping[str, Any]) -> None:
        """Keep what world w shows: features, mask, and the KPIs of its info."""
        self._features[w] = self._observations.flatten(observation)
        if not np.isfinite(self._features[w]).all():
            feature = self.description.features[int(np.argmin(np.isfinite(self._features[w])))]
            self._number(w, float("nan"), f"observation {feature}")
        mask = _mask_of(self._environments[w], observation, info)
        if mask is not None and self._mask.shape[1]:
            self._mask[w] = np.ravel(mask).astype(np.bool_)
        try:
            self._infos.add(w, info)
        except ValueError as error:
            raise EnvironmentFaultError(
                f"environment {self.description.id}: {error} in {self._place(w)}; expected a number"
            ) from error

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
