"""What the providers of other libraries' environments share: how a schedule configures them, and their scripts."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
from attrs import frozen

from townlet.canonical import digest_of
from townlet.dto.codec import did_you_mean
from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec, MetricSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.info_tallies import SUCCESS, InfoTallies
from townlet.env.libraries import needed
from townlet.env.scripted_teacher import ScriptTeacher
from townlet.env.scripts import SCRIPTS
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.ports import Environment, EnvironmentDescription, Script, Teacher

with needed("gymnasium", extra="env"):
    from townlet.layouts import Layouts

if TYPE_CHECKING:
    from townlet.env.film_recorder import FilmRecorder

__all__ = ["METRICS", "SCENARIO", "ForeignProvider", "discount_of"]

SCENARIO = "default"
"""The only scenario of an environment of another library."""
_DISCOUNT, _SHORTEST, _HORIZONS = 0.99, 0.97, 4.0
"""γ of long and of short episodes, and how often 1 ÷ (1 − γ) fits between: what is cut hardly counts then."""
_PIXELS = "rgb_array"
"""The render mode in which an environment draws itself into an array."""
METRICS = (
    MetricSpec(name="return_per_episode", unit="1/episode", direction=Direction.HIGHER, exposure="episodes"),
    MetricSpec(name="episode_length", unit="decisions", direction=Direction.HIGHER, exposure="episodes", low=0.0),
    SUCCESS,
)
"""KPIs that every environment has."""


def discount_of(limit: int | None) -> float:
    """Return the discount per decision that suits episodes which are cut after so many decisions."""
    return _DISCOUNT if limit is None else max(_SHORTEST, min(_DISCOUNT, round(1 - _HORIZONS / limit, 4)))


@frozen
class ForeignProvider(ABC):
    """Makes copies of one environment of another library: of a name that the library knows, or of a function."""

    family: ClassVar[str]
    """The word before the colon of an id that the library knows."""

    name: str
    """Name of the environment without the word of its family."""
    arguments: Mapping[str, Any] = MappingProxyType({})
    """Keyword arguments with which it is made: plain data, because the signature holds them."""
    max_steps: int | None = None
    """Decisions after which an episode is cut; the environment's own limit where None."""
    metrics: Mapping[str, InfoMetricSpec] = MappingProxyType({})
    """KPIs from infos, by name."""
    factory: Callable[..., Any] | None = None
    """Returns a new environment; None: the library makes it by its name."""
    imports: Imports = Imports()
    """The modules that the name may lead to."""
    _described: dict[str, EnvironmentDescription] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @property
    def id(self) -> str:
        """The whole id, as a schedule names it."""
        return f"{self.family if self.factory is None else 'python'}:{self.name}"

    def configured(self, spec: EnvironmentSpec, imports: Imports) -> Self:
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

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return one of the scripts that come with the environment; BadInputError for an unknown one."""
        if name not in self._scripts:
            raise BadInputError(f"unknown teacher {name!r}{did_you_mean(name, tuple(self._scripts))} of {self.id}")
        return self.teacher_of(self._scripts[name])

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Environment:
        """Return `worlds` copies, whose episodes are cut after `max_steps` decisions at the latest."""
        environments = self._environments(worlds)
        worlds_of: Callable[..., Environment] = self._worlds
        return worlds_of(
            self.describe(scenario),
            environments,
            self._layouts(environments[0]),
            InfoTallies(self.metrics, worlds),
            seed=seed,
            max_steps=max_steps,
            first_world=first_world,
        )

    def recorder(
        self, scenario: str, *, seed: int, max_steps: int, world: int, every: int | None
    ) -> "FilmRecorder | None":
        """Return the world with the id `world`, which keeps pictures of itself; None where it draws none.

        An environment that takes the keyword argument `render_mode` is made with ``rgb_array``.
        """
        from townlet.env.film_recorder import FilmRecorder

        if not self._draws():
            return None
        drawing = attrs.evolve(self, arguments={**self.arguments, "render_mode": _PIXELS})
        try:
            made: Any = drawing.make(scenario, worlds=1, seed=seed, max_steps=max_steps, first_world=world)
        except BadInputError:  # it does not take the keyword argument
            return None
        return FilmRecorder(made, every)

    def _draws(self) -> bool:
        """Return whether the environment says that it can draw itself into an array."""
        one = self.make_one()
        one.close()
        return _PIXELS in (getattr(one, "metadata", None) or {}).get("render_modes", ())

    def layouts(self) -> Layouts:
        """Return how own observations and actions, of one agent, are read and written."""
        environment = self.make_one()
        environment.close()
        return self._layouts(environment)

    def teacher_of(self, script: Script) -> Teacher:
        """Return a teacher that asks a script `observation -> action`, both as an agent has them."""
        environment = self.make_one()
        environment.close()
        layouts, agents = self._layouts(environment), tuple(map(str, getattr(environment, "possible_agents", ())))
        return ScriptTeacher(script=script, observations=layouts.observations, actions=layouts.action, agents=agents)

    @abstractmethod
    def make_one(self) -> Any:
        """Return one environment; BadInputError, with the reason, where it cannot be made."""

    def _environments(self, worlds: int) -> list[Any]:
        """Return what so many worlds are stepped with: an environment for each."""
        return [self.make_one() for _ in range(worlds)]

    @property
    @abstractmethod
    def _worlds(self) -> type[Any]:
        """The class of the copies, which is an `Environment`."""

    @abstractmethod
    def _layouts(self, environment: Any) -> Layouts: ...

    @abstractmethod
    def _describe(self, environment: Any) -> EnvironmentDescription: ...

    @property
    def _scripts(self) -> Mapping[str, Script]:
        word = self.name.rpartition(":")[2].rpartition(".")[2]
        return SCRIPTS.get(word, {}) if self.factory is None else {}

    def _signature(self, meaning: Mapping[str, Any]) -> str:
        try:
            return digest_of({**meaning, "arguments": dict(self.arguments)})
        except (TypeError, ValueError) as error:
            raise BadInputError(
                f"{self.id}: the keyword arguments are no plain data ({error}); expected text, numbers and lists or "
                "mappings of them"
            ) from error
