"""Environments of Gymnasium as a `townlet.ports.EnvironmentProvider`: by registered id, or made by a function."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
from attrs import frozen

from townlet.canonical import digest_of
from townlet.dto.codec import did_you_mean
from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec, MetricSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.info_tallies import SUCCESS, InfoTallies, metric_specs
from townlet.env.libraries import needed
from townlet.env.scripted_teacher import ScriptTeacher
from townlet.env.scripts import SCRIPTS
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.ports import EnvironmentDescription, Script, Teacher

with needed("gymnasium", extra="env"):
    import gymnasium

    from townlet.env.gymnasium_worlds import GymnasiumWorlds
    from townlet.env.spaces import ActionLayout, ObservationLayout

__all__ = ["GymnasiumProvider"]

SCENARIO = "default"
_DISCOUNT, _HORIZONS = 0.99, 4.0
"""γ, and how often 1 ÷ (1 − γ) fits into an episode that is cut: a critic learns returns that the cut left whole."""
_METRICS = (
    MetricSpec(name="return_per_episode", unit="1/episode", direction=Direction.HIGHER, exposure="episodes"),
    MetricSpec(name="episode_length", unit="decisions", direction=Direction.HIGHER, exposure="episodes", low=0.0),
    SUCCESS,
)


@frozen
class GymnasiumProvider:
    """Makes copies of one environment: that of a registered id such as ``CartPole-v1``, or what a function returns."""

    name: str
    """Id of the environment without the prefix of its family; a module before a colon registers it."""
    arguments: Mapping[str, Any] = MappingProxyType({})
    """Keyword arguments of `gymnasium.make` or of the function: plain data, because the signature holds them."""
    max_steps: int | None = None
    """Decisions after which an episode is cut; the environment's own limit where None."""
    metrics: Mapping[str, InfoMetricSpec] = MappingProxyType({})
    """KPIs from infos, by name."""
    factory: "Callable[..., gymnasium.Env[Any, Any]] | None" = None
    """Returns a new environment; None: `gymnasium.make` does."""
    family: str = "gymnasium"
    """The word before the colon of the id."""
    imports: Imports = Imports()
    """The modules that the id may name."""
    _described: dict[str, EnvironmentDescription] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @property
    def id(self) -> str:
        """The whole id, as a schedule names it."""
        return f"{self.family}:{self.name}"

    def configured(self, spec: EnvironmentSpec, imports: Imports) -> "GymnasiumProvider":
        """Return the provider with the arguments, the limit and the metrics of a schedule."""
        return attrs.evolve(
            self, arguments=dict(spec.with_), max_steps=spec.max_steps, metrics=spec.metrics, imports=imports
        )

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what a policy must know of the environment; one is made for it, once, and closed."""
        if scenario != SCENARIO:
            raise BadInputError(f"{self.id}: unknown scenario {scenario!r}; expected {SCENARIO!r}")
        if scenario not in self._described:
            environment = self.make_one()
            try:
                self._described[scenario] = self._describe(environment)
            finally:
                environment.close()
        return self._described[scenario]

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> GymnasiumWorlds:
        """Return `worlds` copies, whose episodes are cut after `max_steps` decisions at the latest."""
        return GymnasiumWorlds(
            self.describe(scenario),
            [self.make_one() for _ in range(worlds)],
            InfoTallies(self.metrics, worlds),
            seed=seed,
            max_steps=max_steps,
            first_world=first_world,
        )

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return one of the scripts that come with the environment; BadInputError for an unknown one."""
        if name not in self._scripts:
            raise BadInputError(f"unknown teacher {name!r}{did_you_mean(name, tuple(self._scripts))} of {self.id}")
        return self.teacher_of(self._scripts[name])

    def teacher_of(self, script: Script) -> Teacher:
        """Return a teacher that asks a script `observation -> action`, both as the environment has them."""
        environment = self.make_one()
        environment.close()
        return ScriptTeacher(
            script=script,
            observations=ObservationLayout.of(environment.observation_space, self.id),
            actions=ActionLayout.of(environment.action_space, self.id),
        )

    def make_one(self) -> "gymnasium.Env[Any, Any]":
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

    def _made_by(self, factory: "Callable[..., gymnasium.Env[Any, Any]]") -> "gymnasium.Env[Any, Any]":
        try:
            made: object = factory(**self.arguments)
        except Exception as error:  # the function is the user's
            raise BadInputError(f"{self.id} cannot be made: it raised {type(error).__name__}: {error}") from error
        if not isinstance(made, gymnasium.Env):
            raise BadInputError(
                f"{self.id} returned an object of {type(made).__name__}; expected a new environment of Gymnasium "
                "(a subclass of gymnasium.Env)"
            )
        return made

    @property
    def _scripts(self) -> Mapping[str, Script]:
        return SCRIPTS.get(self.name.rpartition(":")[2], {}) if self.factory is None else {}

    def _describe(self, environment: "gymnasium.Env[Any, Any]") -> EnvironmentDescription:
        observations = ObservationLayout.of(environment.observation_space, self.id)
        actions = ActionLayout.of(environment.action_space, self.id).spec
        own = None if environment.spec is None else environment.spec.max_episode_steps
        limit = own if self.max_steps is None else self.max_steps
        meaning = {
            "id": self.name if self.factory is None else self.id,
            "arguments": dict(self.arguments),
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
            max_steps=limit,
            objective="return_per_episode",
            discount=_DISCOUNT if limit is None else max(0.0, min(_DISCOUNT, round(1 - _HORIZONS / limit, 4))),
            metrics=metric_specs(self.metrics, _METRICS),
            teachers=tuple(self._scripts),
            lives_end=True,
            signature=self._signature(meaning),
        )

    def _signature(self, meaning: Mapping[str, Any]) -> str:
        try:
            return digest_of(meaning)
        except (TypeError, ValueError) as error:
            raise BadInputError(
                f"{self.id}: the keyword arguments are no plain data ({error}); expected text, numbers and lists or "
                "mappings of them"
            ) from error
