"""Environments of Gymnasium as a `townlet.ports.EnvironmentProvider`: by registered id, or made by a function."""

from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from townlet.env.foreign_provider import METRICS, SCENARIO, ForeignProvider, discount_of
from townlet.env.info_tallies import metric_specs
from townlet.env.libraries import needed
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription, RecordedEpisode

if TYPE_CHECKING:
    from collections.abc import Callable

with needed("gymnasium", extra="env"):
    import gymnasium

    from townlet.env.gymnasium_worlds import GymnasiumWorlds
    from townlet.env.spaces import layouts_of
    from townlet.layouts import Layouts

__all__ = ["GymnasiumProvider"]


@frozen
class GymnasiumProvider(ForeignProvider):
    """Makes copies of the environment of a registered id such as ``CartPole-v1``, or of what a function returns.

    A module before a colon of the id registers it: ``MODULE:ID``.
    """

    family: ClassVar[str] = "gymnasium"

    @property
    def _worlds(self) -> type[Any]:
        return GymnasiumWorlds

    def _layouts(self, environment: Any) -> Layouts:
        return layouts_of(*self._spaces(environment), self.id)

    def _spaces(self, environment: Any) -> tuple[Any, Any]:
        """Return the spaces of the observations and of the actions of one world."""
        return environment.observation_space, environment.action_space

    def _limit(self, environment: Any) -> int | None:
        """Return the decisions after which the environment itself cuts an episode; None where it does not say."""
        limit: int | None = None if environment.spec is None else environment.spec.max_episode_steps
        return limit

    def make_one(self) -> Any:
        """Return one environment; BadInputError with Gymnasium's reason, or the function's, where it cannot be made."""
        if self.factory is not None:
            return self._made_by(self.factory)
        module, colon, _ = self.name.partition(":")
        if colon:
            self.imports.module(module, f"environment {self.id}")
        limit = {} if self.max_steps is None else {"max_episode_steps": self.max_steps}
        try:
            return gymnasium.make(self.name, disable_env_checker=True, **limit, **self.arguments)
        except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
            raise BadInputError(f"{self.id} cannot be made: {error}") from error

    def recorded(self, name: str, sha256: str) -> tuple[RecordedEpisode, ...]:
        """Return the episodes of a local data set of Minari; see `townlet.env.minari_data.read_minari`."""
        from townlet.env.minari_data import read_minari

        return read_minari(name, sha256, self.layouts(), self.describe(SCENARIO))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel with the registration of the id: a worker process has not run the program that made it."""
        registration = gymnasium.registry.get(self.name) if self.factory is None else None
        state = self.name, self.arguments, self.max_steps, self.metrics, self.factory, self.imports
        return _arrived, (type(self), registration, *state)

    def _call(self, factory: "Callable[..., Any]", **more: int) -> object:
        """Return what a function makes of the keyword arguments; BadInputError with what it raised."""
        try:
            made: object = factory(**more, **self.arguments)
        except Exception as error:  # the function is the user's
            raise BadInputError(f"{self.id} cannot be made: it raised {type(error).__name__}: {error}") from error
        return made

    def _made_by(self, factory: "Callable[..., Any]") -> "gymnasium.Env[Any, Any]":
        made = self._call(factory)
        if not isinstance(made, gymnasium.Env):
            raise BadInputError(
                f"{self.id} returned an object of {type(made).__name__}; expected a new environment of Gymnasium "
                "(a subclass of gymnasium.Env)"
            )
        return made

    def _describe(self, environment: Any) -> EnvironmentDescription:
        layouts = self._layouts(environment)
        observations, actions = layouts.observations, layouts.action.spec
        limit = self._limit(environment) if self.max_steps is None else self.max_steps
        meaning = {
            "id": self.name if self.factory is None else self.id,
            "features": list(observations.names),
            "actions": actions.model_dump(),
            "version": gymnasium.__version__,
        }
        return EnvironmentDescription(
            id=self.id,
            scenario=SCENARIO,
            agents=1,
            features=observations.names,
            actions=actions,
            spaces=layouts.spaces,
            max_steps=limit,
            objective="return_per_episode",
            discount=discount_of(limit),
            metrics=metric_specs(self.metrics, METRICS),
            teachers=tuple(self._scripts),
            lives_end=True,
            signature=self._signature(meaning),
        )


def _arrived(kind: type[GymnasiumProvider], registration: Any, *state: Any) -> GymnasiumProvider:
    """Return a provider in another process, where its id is registered."""
    if registration is not None:
        gymnasium.registry.setdefault(registration.id, registration)
    return kind(*state)
