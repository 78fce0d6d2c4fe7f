"""Any parallel environment of PettingZoo as a `townlet.ports.Environment`: W copies with N slots each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.env.libraries import needed
from townlet.errors import EnvironmentFaultError
from townlet.ports import EnvironmentDescription, Tallies

with needed("gymnasium", extra="env"):
    from townlet.env.foreign_worlds import ForeignWorlds
    from townlet.env.spaces import MASK

__all__ = ["PettingZooWorlds"]


class PettingZooWorlds(ForeignWorlds):
    """W environments, stepped one after the other; a slot whose agent is absent is not alive.

    An agent that comes back begins a new life: it has left by a termination or a truncation, so that no advantage goes
    from one life to the next.
    """

    def __init__(self, description: EnvironmentDescription, environments: list[Any], *more: Any, **named: Any) -> None:
        super().__init__(description, environments, *more, **named)
        self._names: tuple[Any, ...] = tuple(environments[0].possible_agents)
        self._alive, self._lived = np.zeros((2, self.worlds, len(self._names)), np.bool_)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; each has a seed of its own."""
        for w in self._begin(worlds):
            try:
                observations, infos = self._environments[w].reset(seed=self._seed(w))
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "reset raised", error) from error
            self._alive[w] = self._lived[w] = self._living(w)
            self._look(w, self._alive[w], observations, infos)
        return self._batch(self._alive)

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [W, N, C]; a bad one raises BadInputError and changes nothing."""
        self._check(actions)
        rewards = np.zeros(self._alive.shape, np.float32)
        terminations, truncations = np.zeros_like(self._alive), np.zeros_like(self._alive)
        for w in np.flatnonzero(~self._over).tolist():
            before = self._alive[w].copy()
            acting = np.flatnonzero(before)
            native = self._actions.to_native(actions[w, acting])
            chosen = {self._names[n]: action for n, action in zip(acting.tolist(), native, strict=True)}
            try:
                observations, paid, ended, cut, infos = self._environments[w].step(chosen)
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "step raised", error) from error
            self._steps[w] += 1
            for n in acting.tolist():
                name = self._names[n]
                rewards[w, n] = number = self._reward(w, paid.get(name, 0.0))
                self._returns[w, n] += number
                terminations[w, n] = bool(ended.get(name, False))
                truncations[w, n] = bool(cut.get(name, False)) and not terminations[w, n]
            gone = terminations[w] | truncations[w]
            self._alive[w] = self._living(w) & ~gone
            self._lived[w] |= self._alive[w]
            self._look(w, before | self._alive[w], observations, infos)
            if self._steps[w] >= self.max_steps or not self._alive[w].any():
                truncations[w] |= before & ~terminations[w]
                self._over[w], self._alive[w] = True, False
        return StepResult(
            observations=self._batch(self._alive),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            over=self._over.copy(),
        )

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running or just finished episode."""
        worst = np.where(self._lived, self._returns, np.inf).min(1)
        own = [self._returns.sum(1), self._steps.astype(np.float64), np.where(self._lived.any(1), worst, 0.0)]
        begun = (self._steps > 0).astype(np.float64)
        return Tallies(
            sums=np.concatenate((own, self._infos.sums)),
            exposures=np.concatenate((np.tile(begun, (len(own), 1)), begun * self._infos.exposures)),
        )

    def _living(self, w: int) -> NDArray[np.bool_]:
        """Return which slots [N] have an agent; EnvironmentFaultError for one that is not declared."""
        agents = set(self._environments[w].agents)
        unknown = agents - set(self._names)
        if unknown:
            raise EnvironmentFaultError(
                f"environment {self.description.id}: agent {min(map(str, unknown))!r} in {self._place(w)} is not among "
                f"its possible_agents {', '.join(map(str, self._names))}"
            )
        return np.array([name in agents for name in self._names], np.bool_)

    def _look(self, w: int, present: NDArray[np.bool_], observations: Any, infos: Any) -> None:
        """Keep what the agents of world w see; who has just left sees its last observation, where there is one.

        A slot that is not `present` [N] shows zeros: nothing of an earlier life, or of an earlier episode.
        """
        for n, name in enumerate(self._names):
            observation = observations.get(name) if present[n] else None
            if observation is not None:
                info = infos.get(name) or {}
                self._see(w, n, observation, info, info.get(MASK))
            elif self._alive[w, n]:
                raise EnvironmentFaultError(
                    f"environment {self.description.id}: agent {name!r} is alive and has no observation in "
                    f"{self._place(w)}; expected one for each of its agents"
                )
            elif not present[n]:
                self._features[w, n], self._mask[w, n] = 0.0, True
