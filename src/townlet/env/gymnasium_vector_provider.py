"""Vector environments of Gymnasium, which a function of `num_envs` makes, as a `townlet.ports.EnvironmentProvider`."""

from typing import Any

from attrs import frozen

from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.libraries import needed
from townlet.errors import BadInputError

with needed("gymnasium", extra="env"):
    from gymnasium.vector import AutoresetMode, VectorEnv

    from townlet.env.gymnasium_vector_worlds import GymnasiumVectorWorlds

__all__ = ["GymnasiumVectorProvider"]

_ADVICE = (
    "autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED (gymnasium.make_vec takes it in vector_kwargs, with "
    "vectorization_mode='sync' or 'async'), or return one environment"
)


@frozen
class GymnasiumVectorProvider(GymnasiumProvider):
    """Makes W worlds of one `VectorEnv` with W sub-environments, which the function returns for ``num_envs=W``."""

    @property
    def _worlds(self) -> type[GymnasiumVectorWorlds]:
        return GymnasiumVectorWorlds

    def make_one(self) -> "VectorEnv[Any, Any, Any]":
        """Return a vector environment of one sub-environment; BadInputError where it cannot be had or played."""
        return self._make_vector(1)

    def _environments(self, worlds: int) -> "list[VectorEnv[Any, Any, Any]]":
        return [self._make_vector(worlds)]

    def _spaces(self, environment: "VectorEnv[Any, Any, Any]") -> tuple[Any, Any]:
        return environment.single_observation_space, environment.single_action_space

    def _limit(self, environment: "VectorEnv[Any, Any, Any]") -> int | None:
        """Return the limit of the vector environment, else of its first sub-environment where that is in here."""
        inner = environment.unwrapped
        specs = (inner.spec, *(each.spec for each in getattr(inner, "envs", ())))
        return next((spec.max_episode_steps for spec in specs if spec is not None and spec.max_episode_steps), None)

    def _make_vector(self, worlds: int) -> "VectorEnv[Any, Any, Any]":
        assert self.factory is not None, "only a function makes them"
        if "num_envs" in self.arguments:
            raise BadInputError(f"{self.id}: num_envs under with; leave it out, the number of worlds is worlds:")
        made: Any = self._call(self.factory, num_envs=worlds)
        problem = _problem(made, worlds)
        if problem:
            if callable(getattr(made, "close", None)):
                made.close()
            raise BadInputError(f"{self.id} {problem}")
        return made


def _problem(made: Any, worlds: int) -> str:
    """Return what is wrong with an object that should be a vector environment; empty where nothing is."""
    kind = type(made).__name__
    if not isinstance(made, VectorEnv):
        return f"returned an object of {kind} for num_envs={worlds}; expected a new gymnasium.vector.VectorEnv"
    if made.num_envs != worlds:
        return f"returned {kind} with {made.num_envs} sub-environments; expected num_envs={worlds}"
    mode = made.metadata.get("autoreset_mode")
    if mode == AutoresetMode.NEXT_STEP:
        return (
            f"returned {kind} with autoreset_mode NEXT_STEP, whose next decision after an end is a reset that plays no "
            f"action; make it with {_ADVICE}"
        )
    if mode not in {AutoresetMode.DISABLED, AutoresetMode.SAME_STEP}:
        return (
            f"returned {kind} whose metadata say {mode!r} under 'autoreset_mode'; expected to find there how it resets "
            f"its sub-environments, best {_ADVICE}"
        )
    return ""
