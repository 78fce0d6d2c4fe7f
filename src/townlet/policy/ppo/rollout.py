"""Playing: whole episodes for evaluation, and fixed-length rollouts into preallocated buffers for training."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.model.inference import forward, log_probabilities, sample
from townlet.policy.model.weights import Weights
from townlet.ports import Environment, Tallies, Teacher

__all__ = ["Rollout", "play_episode"]


def play_episode(environment: Environment, player: Teacher, decided: Callable[[int], None] | None = None) -> Tallies:
    """Play every world from reset to its end by time and return the tallies."""
    observations, agents = environment.reset(), environment.description.agents
    while True:
        step = environment.step(player.act(observations))
        observations = step.observations
        if decided is not None:
            decided(environment.worlds * agents)
        if step.truncations.all():
            return environment.tallies()


class Rollout:
    """Buffers of T decisions of W worlds and N agents; the worlds go on from rollout to rollout.

    World w's first episode is cut after (w + 1) ÷ W of its length, so that beginnings and ends of episodes are spread
    evenly over training: a short visit would otherwise see its only beginning while the critic still settles.
    """

    def __init__(self, environment: Environment, num_steps: int, decisions: int) -> None:
        """Begin the first episodes; `decisions` is the length of an episode."""
        about = environment.description
        self.environment = environment
        shape = (num_steps, environment.worlds, about.agents)
        features, actions = len(about.features), len(about.actions)
        self.features = np.empty((num_steps + 1, *shape[1:], features), np.float32)
        """[T + 1, W, N, F], normalised; the last is what is seen after the rollout."""
        self.action_mask = np.empty((*shape, actions), np.bool_)
        self.alive = np.empty(shape, np.bool_)
        self.actions = np.empty(shape, np.int64)
        self.log_probs = np.empty(shape, np.float32)
        self.rewards = np.empty(shape, np.float32)
        self.terminations = np.empty(shape, np.bool_)
        self.truncations = np.empty(shape, np.bool_)
        self.teacher_controlled = np.zeros(environment.worlds, np.bool_)
        """[W], worlds whose decisions were a teacher's."""
        self.sums = np.zeros(len(about.metrics))
        """[M] KPI sums of the training episodes that ended."""
        self.exposures = np.zeros(len(about.metrics))
        self._seen = environment.reset()
        self._first_cut = (np.arange(1, environment.worlds + 1) * decisions) // environment.worlds
        self._played = 0
        self._final: list[tuple[int, NDArray[np.intp], NDArray[np.float32]]] = []

    def collect(self, weights: Weights, teacher: Teacher | None = None, share: float = 0.0) -> None:
        """Fill the buffers with the play of stochastic actions; `teacher` drives a share of the worlds, the first."""
        guided = round(share * len(self.teacher_controlled)) if teacher is not None else 0
        self.teacher_controlled[:] = np.arange(len(self.teacher_controlled)) < guided
        player, environment, agents = weights.policy("stochastic"), self.environment, self.alive.shape[2]
        self._final.clear()
        for t in range(len(self.actions)):
            seen = self._seen
            x = player.normalise(seen.observations)
            self.features[t] = x.reshape(self.features[t].shape)
            self.action_mask[t], self.alive[t] = seen.action_mask, seen.alive
            logits = player.logits(x, seen.action_mask)
            chosen = sample(logits, player.draws(seen.keys, agents))
            self.log_probs[t] = log_probabilities(logits)[np.arange(len(chosen)), chosen].reshape(self.alive[t].shape)
            self.actions[t] = chosen.reshape(self.alive[t].shape)
            if teacher is not None and guided:
                self.actions[t, :guided] = teacher.act(_first(seen, guided))
            step = environment.step(self.actions[t])
            self.rewards[t], self.terminations[t] = step.rewards, step.terminations
            self._played += 1
            ended = step.truncations | (self._first_cut == self._played)
            self.truncations[t] = ended[:, None]
            self._seen = step.observations
            if ended.any():
                self._start_anew(t, ended, player.normalise)
        self.features[-1] = player.normalise(self._seen.observations).reshape(self.features[-1].shape)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the next `collect` goes on from beside weights; `environment` is empty where it keeps none."""
        seen = {name: np.array(values) for name, values in attrs.asdict(self._seen, recurse=False).items()}
        return seen | {
            "environment": np.frombuffer(self.environment.snapshot(), np.uint8),
            "played": np.array(self._played),
            "sums": self.sums,
            "exposures": self.exposures,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned; without an environment in it from new episodes, the KPI sums kept."""
        self.sums[:], self.exposures[:] = state["sums"], state["exposures"]
        if not state["environment"].size:
            return
        self.environment.restore(state["environment"].tobytes())
        self._played = int(state["played"])
        names = [field.name for field in attrs.fields(ObservationBatchDTO)]
        self._seen = ObservationBatchDTO(**{name: state[name] for name in names})

    def _start_anew(
        self, t: int, ended: NDArray[np.bool_], normalise: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> None:
        worlds = np.flatnonzero(ended)
        self._final.append((t, worlds, normalise(self._seen.observations[worlds])))
        self._count(worlds)
        self._seen = self.environment.reset(ended)

    def _count(self, worlds: NDArray[np.intp]) -> None:
        tallies = self.environment.tallies()
        self.sums += tallies.sums[:, worlds].sum(1)
        self.exposures += tallies.exposures[:, worlds].sum(1)

    def values(self, weights: Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return V(sₜ) and V(sₜ₊₁) [T, W, N]; the latter of the final observation where the episode was truncated."""
        flat = self.features.reshape(-1, self.features.shape[-1])
        scale, mean = np.float32(weights.value_scale), np.float32(weights.value_mean)
        values = (forward(weights.critic, flat)[:, 0] * scale + mean).reshape(self.features.shape[:-1])
        v_t, v_tp1 = values[:-1], values[1:].copy()
        for t, worlds, features in self._final:
            v_tp1[t, worlds] = weights.values(features).reshape(len(worlds), -1)
        return v_t, v_tp1

    def normalised_features(self, weights: Weights) -> NDArray[np.float32]:
        """Return the features [T, W, N, F]; they were normalised when they were seen, by the weights that played."""
        return self.features[:-1]

    def total(self, metric: str) -> float:
        """Return a KPI's sum over all training episodes, the running ones included; 0 where there is none."""
        names = [spec.name for spec in self.environment.description.metrics]
        if metric not in names:
            return 0.0
        index = names.index(metric)
        return float(self.sums[index] + self.environment.tallies().sums[index].sum())

    def rate(self, metric: str) -> float:
        """Return a KPI's rate over all training episodes, the running ones included; 0 where there is none."""
        names = [spec.name for spec in self.environment.description.metrics]
        if metric not in names:
            return 0.0
        index, tallies = names.index(metric), self.environment.tallies()
        exposure = self.exposures[index] + tallies.exposures[index].sum()
        return float((self.sums[index] + tallies.sums[index].sum()) / exposure) if exposure > 0 else 0.0


def _first(seen: ObservationBatchDTO, worlds: int) -> ObservationBatchDTO:
    """Return what is seen in the first worlds."""
    arrays: dict[str, Any] = attrs.asdict(seen, recurse=False)
    return ObservationBatchDTO(**{name: values[:worlds] for name, values in arrays.items()})
