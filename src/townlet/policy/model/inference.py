"""Acting with learned weights in batches of worlds, in numpy."""

from typing import Literal

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.distributions.acting import choose_greedily, masked, sample
from townlet.policy.model.forward import Layers, forward, normalise
from townlet.rng import mix, uniform

__all__ = ["ActingPolicy", "Draw"]


@frozen(kw_only=True, eq=False)
class Draw:
    """Actions that a policy drew, and how likely they were."""

    actions: Actions
    """[W, N, C]."""
    log_probs: NDArray[np.float32]
    """[W, N], log π(a|s)."""


@frozen(kw_only=True, eq=False)
class ActingPolicy:
    """Chooses actions with learned weights; implements `ports.Teacher`."""

    spec: ActionSpec
    """Heads of an action."""
    actor: Layers
    """From normalised features to logits and means."""
    log_std: NDArray[np.float32]
    """[D], log σ of the box heads."""
    mean: NDArray[np.float32]
    """[F], of the observation normaliser."""
    scale: NDArray[np.float32]
    """[F], of the observation normaliser."""
    mode: Literal["greedy", "stochastic"] = "greedy"
    """`greedy`: the options with the largest logits, and the means; `stochastic`: a sample."""
    stream: int = field(default=0x5A)
    """Key of this policy's random numbers, so that another random choice with the same keys is independent."""

    def normalise(
        self, observations: NDArray[np.float32], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return normalised features [B, F] of observations [W, N, F], clipped to ±10; written to `out` if given."""
        return normalise(observations.reshape(-1, observations.shape[-1]), self.mean, self.scale, out)

    def outputs(
        self, normalised: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return masked logits [B, A] and means [B, D]."""
        outputs, logits = forward(self.actor, normalised), self.spec.logits
        return masked(outputs[:, :logits], mask.reshape(len(outputs), logits)), outputs[:, logits:]

    def draws(self, keys: NDArray[np.uint64], agents: int) -> NDArray[np.float32]:
        """Return one uniform number per agent slot and column [W·N, C] from the worlds' keys [W]."""
        slots = mix(mix(keys, self.stream)[:, None], np.arange(agents, dtype=np.uint64)).reshape(-1, 1)
        if self.spec.columns == 1:
            return uniform(slots)
        columns = np.arange(1, self.spec.columns, dtype=np.uint64)
        return uniform(np.concatenate((slots, mix(slots, columns)), axis=1))

    def draw(self, observations: ObservationBatchDTO, normalised: NDArray[np.float32]) -> Draw:
        """Return a sample of actions, with their log-probabilities, for observations and their features [B, F]."""
        shape, spec = observations.alive.shape, self.spec
        logits, means = self.outputs(normalised, observations.action_mask)
        actions, log_probs = sample(logits, means, self.log_std, self.draws(observations.keys, shape[1]), spec)
        return Draw(actions=actions.reshape(*shape, spec.columns), log_probs=log_probs.reshape(shape))

    def act(self, observations: ObservationBatchDTO) -> Actions:
        """Return actions [W, N, C]."""
        normalised = self.normalise(observations.observations)
        if self.mode == "stochastic":
            return self.draw(observations, normalised).actions
        logits, means = self.outputs(normalised, observations.action_mask)
        return choose_greedily(logits, means, self.spec).reshape(*observations.alive.shape, self.spec.columns)
