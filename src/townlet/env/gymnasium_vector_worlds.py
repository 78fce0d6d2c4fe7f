"""A vector environment of Gymnasium as a `townlet.ports.Environment`: a world is one of its sub-environments."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.env.info_tallies import row_of, world_info
from townlet.env.libraries import needed
from townlet.errors import EnvironmentFaultError
from townlet.ports import EnvironmentDescription

if TYPE_CHECKING:
    import gymnasium

with needed("gymnasium", extra="env"):
    from gymnasium.vector import AutoresetMode

    from townlet.env.foreign_worlds import ForeignWorlds
    from townlet.env.spaces import MASK

__all__ = ["GymnasiumVectorWorlds"]

_FINAL_OBSERVATION, _FINAL_INFO = "final_obs", "final_info"


@frozen(kw_only=True)
class _Played:
    """The answer to one decision: arrays [W], a batch of observations, and the infos of all worlds."""

    observations: Any
    rewards: NDArray[np.float64]
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    infos: Mapping[str, Any]


class GymnasiumVectorWorlds(ForeignWorlds):
    """W sub-environments with one agent each, reset where they are asked to and with the seeds of their episodes.

    A vector environment steps all of them, so those of worlds that are over are stepped too: in an episode that nobody
    sees, with legal actions, until `reset` is called for their world.
    """

    def __init__(self, description: EnvironmentDescription, environments: list[Any], *more: Any, **named: Any) -> None:
        environment = environments[0]
        super().__init__(description, environments, *more, worlds=environment.num_envs, **named)
        self._resets_itself = environment.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
        self._mask_method = _mask_method(environment)
        self._latest: NDArray[np.float32] | None = None
        """[W, F], what the sub-environments show, in episodes that nobody sees too; None before the first reset."""
        self._possible = np.ones((self.worlds, description.actions.logits), np.bool_)
        """[W, A], which options the sub-environments allow now."""
        self._ended = np.zeros(self.worlds, np.bool_)
        """[W], sub-environments that must be reset before they are stepped."""

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; each has a seed of its own."""
        begun = np.zeros(self.worlds, np.bool_)
        begun[self._begin(worlds)] = True
        if begun.any():
            features, infos = self._reset(begun)
            self._show(begun, features, infos)
        return self._batch(~self._over[:, None])

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [W, 1, C]; a bad one raises BadInputError and changes nothing."""
        self._check(actions)
        running = ~self._over
        rewards, terminations = np.zeros((self.worlds, 1), np.float32), np.zeros((self.worlds, 1), np.bool_)
        truncations = np.zeros((self.worlds, 1), np.bool_)
        if running.any():
            if self._ended.any():
                self._reset(self._ended.copy())
            played = self._play(running, self._with_idle_actions(actions[:, 0]))
            self._keep(running, played)
            rewards[running, 0] = played.rewards[running]
            terminations[running, 0] = played.terminations[running]
            cut = played.truncations | (self._steps >= self.max_steps)
            truncations[running, 0] = (cut & ~played.terminations)[running]
            self._over |= terminations[:, 0] | truncations[:, 0]
            self._returns[running, 0] += played.rewards[running]
        return StepResult(
            observations=self._batch(~self._over[:, None]),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            over=self._over.copy(),
        )

    def _reset(self, worlds: NDArray[np.bool_]) -> tuple[NDArray[np.float32], Mapping[str, Any]]:
        """Reset the marked sub-environments, at the first time all; return what all show, [W, F], and the infos."""
        marked = worlds if self._latest is not None else np.ones_like(worlds)
        seeds = [self._seed(w) if chosen else None for w, chosen in enumerate(marked.tolist())]
        options = None if marked.all() else {"reset_mask": marked.copy()}
        try:
            observations, infos = self._environments[0].reset(seed=seeds, options=options)
        except Exception as error:  # the environment is foreign code
            raise self._fault_among(marked, "reset raised", error) from error
        self._check_infos(marked, infos)
        features = self._rows(marked, observations)
        if self._latest is not None and not np.array_equal(features[~marked], self._latest[~marked], equal_nan=True):
            raise EnvironmentFaultError(
                f"environment {self.description.id}: the reset of {self._places(marked)} changed what other worlds "
                'show; expected that options={"reset_mask": mask} resets the marked sub-environments only, and that no '
                "wrapper mixes what they show"
            )
        self._latest, self._ended = features, self._ended & ~marked
        self._look_at_masks(marked, observations, infos)
        return features, infos

    def _play(self, running: NDArray[np.bool_], actions: NDArray[Any]) -> _Played:
        """Have all sub-environments play one decision; EnvironmentFaultError for an answer of another shape."""
        self._steps[running] += 1
        try:
            answer = self._environments[0].step(self._actions.to_native_rows(actions))
        except Exception as error:  # the environment is foreign code
            self._steps[running] -= 1  # this decision was not played
            raise self._fault_among(running, "step raised", error) from error
        observations, rewards, terminated, truncated, infos = answer
        self._check_infos(running, infos)
        played = _Played(
            observations=observations,
            rewards=self._numbers(running, "rewards", rewards, np.float64),
            terminations=self._numbers(running, "terminations", terminated, np.bool_),
            truncations=self._numbers(running, "truncations", truncated, np.bool_),
            infos=infos,
        )
        for w in np.flatnonzero(running & ~np.isfinite(played.rewards)).tolist():
            self._finite(w, float(played.rewards[w]), "reward")
        return played

    def _keep(self, running: NDArray[np.bool_], played: _Played) -> None:
        """Keep what all sub-environments show, and show what the running worlds came to."""
        ended = played.terminations | played.truncations
        self._latest = self._rows(running, played.observations)
        self._look_at_masks(np.ones_like(running), played.observations, played.infos)
        if self._resets_itself:
            for w in np.flatnonzero(running & ended).tolist():
                self._show_final(w, played.infos)
            running = running & ~ended
        else:
            self._ended = ended
        self._show(running, self._latest, played.infos)

    def _show(self, worlds: NDArray[np.bool_], features: NDArray[np.float32], infos: Mapping[str, Any]) -> None:
        """Show the features [W, F], masks and KPIs of the marked worlds."""
        self._features[worlds, 0], self._mask[worlds, 0] = features[worlds], self._possible[worlds]
        if infos:
            for w in np.flatnonzero(worlds).tolist():
                self._tell(w, self._info(w, infos))

    def _show_final(self, w: int, infos: Mapping[str, Any]) -> None:
        """Show the end of an episode whose sub-environment has begun another one in the same step."""
        if infos.get(_FINAL_OBSERVATION) is None:
            raise EnvironmentFaultError(
                f"environment {self.description.id}: no {_FINAL_OBSERVATION!r} in the infos of {self._place(w)}, which "
                "is over; expected the last observation of the episode there (autoreset_mode SAME_STEP)"
            )
        observation = row_of(infos[_FINAL_OBSERVATION], w)
        final = infos.get(_FINAL_INFO, {})
        info = self._info(w, final) if isinstance(final, Mapping) else final[w] or {}
        self._see(w, 0, observation, info, info.get(MASK))

    def _info(self, w: int, infos: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the infos say about world w."""
        try:
            return world_info(infos, w)
        except IndexError as error:
            raise self._fault(w, f"the infos hold no entry for each of {self.worlds} worlds:", error) from error

    def _look_at_masks(self, worlds: NDArray[np.bool_], observations: Any, infos: Mapping[str, Any]) -> None:
        """Keep which options the sub-environments of the marked worlds allow, as their infos or observations say."""
        in_observations = observations.get(MASK) if isinstance(observations, Mapping) else None
        said = self._mask_method() if in_observations is None and self._mask_method is not None else in_observations
        if MASK not in infos and said is None:
            self._possible[worlds] = True
            return
        for w in np.flatnonzero(worlds).tolist():
            own = self._info(w, infos).get(MASK)
            self._possible[w] = self._legal(w, own if own is not None or said is None else said[w])

    def _with_idle_actions(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return the actions [W, C]; where a world is over, the first legal option of each head and a number of 0."""
        chosen = np.where(self._over[:, None], np.zeros_like(actions), actions)
        for column, possible in enumerate(self.description.actions.segments(self._possible[self._over])):
            chosen[self._over, column] = possible.argmax(-1)
        return chosen

    def _rows(self, worlds: NDArray[np.bool_], observations: Any) -> NDArray[np.float32]:
        """Return the features [W, F] of a batch of observations."""
        try:
            return self._observations.flatten_rows(observations, self.worlds)
        except Exception as error:  # another shape, another key: the environment's own
            raise self._fault_among(worlds, "the observations are no batch of their space:", error) from error

    def _numbers(self, worlds: NDArray[np.bool_], name: str, values: Any, dtype: type) -> NDArray[Any]:
        """Return an array [W] of an answer; EnvironmentFaultError for another shape or kind."""
        try:
            numbers: NDArray[Any] = np.array(values, dtype)
        except (TypeError, ValueError) as error:
            raise self._fault_among(worlds, f"the {name} are no numbers:", error) from error
        if numbers.shape != (self.worlds,):
            raise EnvironmentFaultError(
                f"environment {self.description.id}: {name} of shape {numbers.shape} in {self._places(worlds)}; "
                f"expected ({self.worlds},), one for each world"
            )
        return numbers

    def _check_infos(self, worlds: NDArray[np.bool_], infos: Any) -> None:
        """Raise EnvironmentFaultError where infos are no mapping."""
        self._end_fork(int(np.argmax(worlds)))
        if not isinstance(infos, Mapping):
            raise EnvironmentFaultError(
                f"environment {self.description.id}: infos of type {type(infos).__name__} in {self._places(worlds)}; "
                "expected a dictionary of arrays with an entry for each world; leave the wrapper DictInfoToList out"
            )

    def _places(self, worlds: NDArray[np.bool_]) -> str:
        """Return where an answer to the marked worlds [W] belongs; it does not say which of them it is about."""
        first, *others = np.flatnonzero(worlds).tolist()
        more = f" or one of {len(others)} other worlds of the same decision" if others else ""
        return self._place(first) + more

    def _fault_among(self, worlds: NDArray[np.bool_], what: str, error: Exception) -> EnvironmentFaultError:
        """Return what the environment raised for the marked worlds, or brought about, with their place."""
        self._end_fork(int(np.argmax(worlds)))
        return EnvironmentFaultError(
            f"environment {self.description.id}: {what} {type(error).__name__}: {error} in {self._places(worlds)}"
        )


def _mask_method(environment: "gymnasium.vector.VectorEnv[Any, Any, Any]") -> Callable[[], Any] | None:
    """Return the method that says which options are legal [W, A], where it or its sub-environments here have one."""
    own: Callable[[], Any] | None = getattr(environment.unwrapped, "action_masks", None)
    if own is not None:
        return own
    found = [getattr(each.unwrapped, "action_masks", None) for each in getattr(environment.unwrapped, "envs", ())]
    methods = [method for method in found if method is not None]
    return (lambda: [method() for method in methods]) if found and len(methods) == len(found) else None
