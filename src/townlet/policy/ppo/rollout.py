"""Rollouts for training: a fixed number of decisions of every world, recorded into preallocated buffers."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.episode_checks import check_over
from townlet.policy.model.forward import normalise
from townlet.policy.model.weights import Weights
from townlet.policy.reward_terms import TermSums, term_exposures
from townlet.ports import Environment, Tallies, Teacher, begin_episodes, close, teacher_actions

if TYPE_CHECKING:
    from townlet.policy.ppo.acting_kernel import Outputs
    from townlet.policy.ppo.rollout_policy import RolloutPolicy

__all__ = ["Rollout"]


class Rollout:
    """Records T decisions of W worlds and N agents; the next rollout continues the same episodes.

    Where lives last as long as the episode, the first episode of world w is cut after (w + 1) ÷ W of its length. So the
    worlds reset at different times, and the beginnings and ends of episodes are spread evenly over training: in a short
    visit the only beginning would otherwise fall into the time before the critic is accurate.
    """

    def __init__(self, environment: Environment, num_steps: int, max_steps: int) -> None:
        """Reset all worlds; `num_steps` is T, `max_steps` the most decisions of an episode of the environment."""
        description = environment.description
        self.environment = environment
        shape = (num_steps, environment.worlds, description.agents)
        features, spec = len(description.features), description.actions
        self.features = np.empty((num_steps + 1, *shape[1:], features), np.float32)
        """[T + 1, W, N, F], normalised; the last are the observations after the rollout."""
        self._values = np.empty(self.features.shape[:-1], np.float32)
        """[T + 1, W, N], V of these observations by the weights that played, but for the last."""
        self._policy: RolloutPolicy | None = None
        self.action_mask = np.empty((*shape, spec.logits), np.bool_)
        self.alive = np.empty(shape, np.bool_)
        self.actions = np.empty((*shape, spec.columns), spec.dtype)
        """[T, W, N, C]."""
        self.log_probs = np.empty(shape, np.float32)
        self.rewards = np.empty(shape, np.float32)
        self.terminations = np.empty(shape, np.bool_)
        self.truncations = np.empty(shape, np.bool_)
        self.teacher_controlled = np.zeros(environment.worlds, np.bool_)
        """[W], worlds in which the teacher decided."""
        self.sums = np.zeros(len(description.metrics))
        """[M], KPI sums of the training episodes that ended."""
        self.exposures = np.zeros(len(description.metrics))
        """[M], KPI exposures of the same episodes."""
        self.returns: list[float] = []
        """The objective of each whole episode that ended in the last rollout and that the teacher did not touch."""
        self.lengths: list[float] = []
        """Decisions of the same episodes."""
        self.ended_sums = np.zeros(len(description.metrics))
        """[M], KPI sums of the same episodes."""
        self.ended_exposures = np.zeros(len(description.metrics))
        """[M], their KPI exposures."""
        self._terms = TermSums(environment)
        self._is_whole = np.ones(environment.worlds, np.bool_)
        """[W], whether the policy alone played the running episode from its beginning."""
        self._max_steps = max_steps
        self._final_observations: list[tuple[int, NDArray[np.intp], NDArray[np.float32]]] = []
        self._teacher: Teacher | None = None
        self._begin()

    def begin(self, make: Callable[[], Environment]) -> None:
        """End all running episodes and begin new ones in other worlds, as many as before."""
        self._add_tallies(self.environment.tallies(), np.arange(self.environment.worlds))
        close(self.environment)
        self.environment = make()
        self._terms = TermSums(self.environment)
        self._begin()

    def _begin(self) -> None:
        self._observations, worlds = self.environment.reset(), self.environment.worlds
        spread = np.arange(1, worlds + 1) * self._max_steps // worlds
        self._first_cut = spread if self.environment.description.lives_end is False else np.zeros_like(spread)
        self._decisions, self._lengths = 0, np.zeros(worlds, np.int64)
        self._is_whole[:] = True
        begin_episodes(self._teacher, np.ones(worlds, np.bool_))

    def collect(self, weights: Weights, teacher: Teacher | None = None, share: float = 0.0) -> None:
        """Fill the buffers; `weights` act stochastically, `teacher` decides in the first worlds, a `share` of them."""
        if teacher is not self._teacher:
            self._teacher = teacher
            begin_episodes(teacher, np.ones(len(self.teacher_controlled), np.bool_))
        teacher_worlds = round(share * len(self.teacher_controlled)) if teacher is not None else 0
        self.teacher_controlled[:] = np.arange(len(self.teacher_controlled)) < teacher_worlds
        self._is_whole &= ~self.teacher_controlled
        self.returns, self.lengths = [], []
        self.ended_sums[:], self.ended_exposures[:] = 0, 0
        self._terms.clear()
        from townlet.policy.ppo.rollout_policy import RolloutPolicy  # only who plays needs numba

        policy, environment = RolloutPolicy(weights), self.environment
        self._policy = policy
        spec = environment.description.actions
        self._final_observations.clear()
        for t in range(len(self.actions)):
            observed = self._observations
            self.action_mask[t], self.alive[t] = observed.action_mask, observed.alive
            policy.play(observed, self._outputs(t))
            if teacher is not None and teacher_worlds:
                their_view = _first_worlds(observed, teacher_worlds)
                self.actions[t, :teacher_worlds] = teacher_actions(teacher, their_view, spec)
            step = environment.step(self.actions[t])
            self._terms.add()
            self.rewards[t], self.terminations[t] = step.rewards, step.terminations
            self._decisions, self._lengths = self._decisions + 1, self._lengths + 1
            check_over(environment.description, step.over, self._lengths, self._max_steps)
            ended = step.over | (self._first_cut == self._decisions)
            left = observed.alive & ~step.observations.alive & ~step.terminations
            self.truncations[t] = ended[:, None] | step.truncations | left
            self._observations = step.observations
            if ended.any():
                tallies = environment.tallies()
                self._note_returns(tallies, step.over)
                self._add_tallies(tallies, np.flatnonzero(ended))
                self._reset_ended(t, ended, weights)
        last = self.features[-1].reshape(-1, self.features.shape[-1])
        normalise(self._observations.observations.reshape(last.shape), weights.mean, weights.scale, last)

    def _outputs(self, t: int) -> "Outputs":
        """Return the records of a decision, by row."""
        from townlet.policy.ppo.acting_kernel import Outputs

        spec, features = self.environment.description.actions, self.features.shape[-1]
        return Outputs(
            self.features[t].reshape(-1, features),
            self.actions[t].reshape(-1, spec.columns),
            self.log_probs[t].reshape(-1),
            self._values[t].reshape(-1),
        )

    def state(self, *, ended: bool = False) -> dict[str, NDArray[Any]]:
        """Return what the next `collect` needs besides weights.

        `environment` is empty if it has no snapshot, and where the running episodes have `ended` with the checkpoint.
        """
        fields = attrs.asdict(self._observations, recurse=False)
        observations = {name: np.array(values) for name, values in fields.items()}
        snapshot, running = b"" if ended else self.environment.snapshot(), self.environment.tallies()
        share = 0.0 if snapshot else 1.0  # without a snapshot the checkpoint is the end of the running episodes
        return observations | {
            "environment": np.frombuffer(snapshot, np.uint8),
            "played": np.array(self._decisions),
            "lengths": self._lengths,
            "is_whole": self._is_whole,
            "sums": self.sums + share * running.sums.sum(1),
            "exposures": self.exposures + share * running.exposures.sum(1),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` returned; without a snapshot of the environment, its new episodes have begun."""
        self.sums[:], self.exposures[:] = state["sums"], state["exposures"]
        if not state["environment"].size:
            return
        self.environment.restore(state["environment"].tobytes())
        self._decisions = int(state["played"])
        self._lengths = state["lengths"] if "lengths" in state else self._regular_lengths()
        self._is_whole[:] = state.get("is_whole", False)
        names = [field.name for field in attrs.fields(ObservationBatchDTO)]
        self._observations = ObservationBatchDTO(**{name: state[name] for name in names})

    def _regular_lengths(self) -> NDArray[np.int64]:
        """Return the lengths so far [W] of running episodes that all have the whole length, but for the first cut."""
        since_cut = self._decisions - self._first_cut
        return np.where(since_cut < 0, self._decisions, since_cut % self._max_steps)

    def _note_returns(self, tallies: Tallies, over: NDArray[np.bool_]) -> None:
        """Note KPIs and length of the whole episodes among those that are over, a mask [W]; not of those cut."""
        objective = self.environment.description.objective_index
        exposures = tallies.exposures[objective]
        worlds = np.flatnonzero(over & self._is_whole & (exposures > 0))
        self.returns += (tallies.sums[objective, worlds] / exposures[worlds]).tolist()
        self.lengths += self._lengths[worlds].astype(float).tolist()
        self.ended_sums += tallies.sums[:, worlds].sum(1)
        self.ended_exposures += tallies.exposures[:, worlds].sum(1)

    def _reset_ended(self, t: int, ended: NDArray[np.bool_], weights: Weights) -> None:
        worlds = np.flatnonzero(ended)
        final = self._observations.observations[worlds].reshape(-1, self.features.shape[-1])
        self._final_observations.append((t, worlds, normalise(final, weights.mean, weights.scale)))
        self._observations = self.environment.reset(ended)
        begin_episodes(self._teacher, ended)
        self._lengths[ended] = 0
        self._is_whole[ended] = ~self.teacher_controlled[ended]

    def _add_tallies(self, tallies: Tallies, worlds: NDArray[np.intp]) -> None:
        self.sums += tallies.sums[:, worlds].sum(1)
        self.exposures += tallies.exposures[:, worlds].sum(1)

    def values(self, weights: Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return V(sₜ) and V(sₜ₊₁) [T, W, N]; at a truncation the latter is that of the final observation."""
        first = len(self.features) - 1 if self._policy is not None and self._policy.weights is weights else 0
        flat = self.features[first:].reshape(-1, self.features.shape[-1])
        self._values[first:] = weights.values(flat).reshape(self._values[first:].shape)
        values = self._values
        v_t, v_tp1 = values[:-1], values[1:].copy()
        for t, worlds, features in self._final_observations:
            v_tp1[t, worlds] = weights.values(features).reshape(len(worlds), -1)
        return v_t, v_tp1

    def normalised_features(self, weights: Weights) -> NDArray[np.float32]:
        """Return the features [T, W, N, F], normalised during the rollout by the weights that played it."""
        return self.features[:-1]

    def term_means(self) -> dict[str, float]:
        """Return the mean of each term of the rewards in the worlds in which the policy decided in the last rollout.

        In the description's `term_unit`; nothing where the environment declares no terms, or the teacher decided alone.
        """
        own, description = ~self.teacher_controlled, self.environment.description
        if not own.any():
            return {}
        exposure = term_exposures(description, np.array([len(self.rewards) * own.sum()]))
        means = self._terms.sums[:, own].sum(1) / exposure
        return dict(zip(description.reward_terms, means.tolist(), strict=True))

    def total(self, metric: str) -> float:
        """Return a KPI's sum over all training episodes, the current ones included; 0 for an unknown KPI."""
        return self.totals().get(metric, 0.0)

    def totals(self) -> dict[str, float]:
        """Return the sum of each KPI over all training episodes, the current ones included."""
        names, running = [spec.name for spec in self.environment.description.metrics], self.environment.tallies().sums
        return {name: float(self.sums[i] + running[i].sum()) for i, name in enumerate(names)}

    def rate(self, metric: str) -> float:
        """Return a KPI's rate over all training episodes, the current ones included.

        0 for an unknown KPI and without exposure, NaN for an exposure that is no valid number.
        """
        names = [spec.name for spec in self.environment.description.metrics]
        if metric not in names:
            return 0.0
        index, tallies = names.index(metric), self.environment.tallies()
        exposure = self.exposures[index] + tallies.exposures[index].sum()
        if exposure == 0:
            return 0.0
        return float((self.sums[index] + tallies.sums[index].sum()) / exposure) if 0 < exposure < np.inf else np.nan


def _first_worlds(observations: ObservationBatchDTO, worlds: int) -> ObservationBatchDTO:
    """Return the observations of the first worlds."""
    arrays: dict[str, Any] = attrs.asdict(observations, recurse=False)
    return ObservationBatchDTO(**{name: values[:worlds] for name, values in arrays.items()})
