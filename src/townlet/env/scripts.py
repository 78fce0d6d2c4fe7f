"""Scripts as teachers for environments of others: plain functions from an observation to an action."""

from collections.abc import Mapping
from math import cos, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO
from townlet.errors import EnvironmentFaultError
from townlet.ports import Script

if TYPE_CHECKING:
    from townlet.env.spaces import ActionLayout, ObservationLayout

__all__ = ["SCRIPTS", "ScriptTeacher"]


@frozen(kw_only=True)
class ScriptTeacher:
    """Asks a function `observation -> action`, which knows the environment's own spaces, for each living agent."""

    script: Script
    """Returns the action of an observation."""
    observations: "ObservationLayout"
    """How an observation is made of features."""
    actions: "ActionLayout"
    """How columns are made of an action."""

    def act(self, observations: ObservationBatchDTO) -> Actions:
        """Return actions [W, N, C]; EnvironmentFaultError where the script returns no action of the space."""
        spec = self.actions.spec
        actions = np.zeros((*observations.alive.shape, spec.columns), spec.dtype)
        for w, n in np.argwhere(observations.alive):
            chosen = self.script(self.observations.unflatten(observations.observations[w, n]))
            try:
                actions[w, n] = self.actions.from_native(chosen)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                name = getattr(self.script, "__name__", type(self.script).__name__)
                raise EnvironmentFaultError(
                    f"teacher {name}: returned {chosen!r}; expected an action of {self.actions.space} ({error})"
                ) from error
        return actions


def _balance(observation: Any) -> int:
    """Push the cart towards the side to which the pole falls: angle + ½ angular velocity."""
    return int(observation[2] + 0.5 * observation[3] > 0)


def _swing_up(observation: Any) -> Any:
    """Pump energy into the pendulum until it is near the top, then hold it there by a PD rule."""
    cosine, sine, velocity = (float(number) for number in observation)
    angle = np.arctan2(sine, cosine)
    if abs(angle) < pi / 4:
        torque = -12.0 * angle - 3.0 * velocity
    else:  # E of a rod of length 1 and mass 1 about its end, g = 10: ⅙·ω² + 5·cos θ, and 5 at rest at the top
        torque = 2.0 * np.sign(velocity or 1.0) * np.sign(5.0 - (velocity**2 / 6 + 5.0 * cos(angle)))
    return np.array([np.clip(torque, -2.0, 2.0)], np.float32)


SCRIPTS: Mapping[str, Mapping[str, Script]] = {
    "CartPole-v1": {"balance": _balance},
    "Pendulum-v1": {"swing_up": _swing_up},
}
"""Teachers by environment id and name."""
