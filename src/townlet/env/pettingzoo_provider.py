"""Parallel environments of PettingZoo as a `townlet.ports.EnvironmentProvider`."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

from attrs import frozen

from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.env.foreign_provider import METRICS, SCENARIO, ForeignProvider, discount_of
from townlet.env.info_tallies import metric_specs
from townlet.env.libraries import needed
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription

with needed("gymnasium", "pettingzoo", extra="env"):
    import pettingzoo

    from townlet.env.pettingzoo_worlds import PettingZooWorlds
    from townlet.env.spaces import layouts_of
    from townlet.layouts import Layouts

__all__ = ["PettingZooProvider"]

_PACKAGES = ("pettingzoo", "mpe2")
"""Packages whose modules may be imported without permission: they hold PettingZoo's own environments."""
_WORST = MetricSpec(name="worst_agent_return", unit="1/episode", direction=Direction.HIGHER, exposure="episodes")


@frozen
class PettingZooProvider(ForeignProvider):
    """Makes copies of what the function ``parallel_env`` of a module returns, or a function that was passed.

    The name is that of the module, such as ``mpe2.simple_spread_v3``; ``pettingzoo.`` may be left out before it.
    """

    family: ClassVar[str] = "pettingzoo"

    @property
    def _worlds(self) -> type[PettingZooWorlds]:
        return PettingZooWorlds

    def _layouts(self, environment: "pettingzoo.ParallelEnv[Any, Any, Any]") -> Layouts:
        first = environment.possible_agents[0]
        return layouts_of(environment.observation_space(first), environment.action_space(first), self.id)

    def make_one(self) -> "pettingzoo.ParallelEnv[Any, Any, Any]":
        """Return one environment; BadInputError where it cannot be made."""
        factory = self._module().parallel_env if self.factory is None else self.factory
        try:
            made: object = factory(**self.arguments)
        except Exception as error:  # foreign code
            raise BadInputError(f"{self.id} cannot be made: {type(error).__name__}: {error}") from error
        if not isinstance(made, pettingzoo.ParallelEnv):
            raise BadInputError(f"{self.id} is {type(made).__name__}; expected a parallel environment of PettingZoo")
        return made

    def _module(self) -> ModuleType:
        where = f"environment {self.id}"
        root = self.name.partition(".")[0]
        name = self.name if root in _PACKAGES else f"pettingzoo.{self.name}"
        is_own = name == self.name or _exists(f"pettingzoo.{root}")
        if is_own and (_exists(name) or not self.imports.allows(self.name)):
            module = _own_module(name, where)
        else:
            module = self.imports.module(self.name, where)
        if not callable(getattr(module, "parallel_env", None)):
            raise BadInputError(f"{where}: {module.__name__} has no function parallel_env; only such environments fit")
        return module

    def _describe(self, environment: "pettingzoo.ParallelEnv[Any, Any, Any]") -> EnvironmentDescription:
        names = list(getattr(environment, "possible_agents", ()))
        if not names:
            raise BadInputError(f"{self.id} has no possible_agents; expected the list of all agents that can appear")
        self._check_alike(environment, names)
        layouts = self._layouts(environment)
        observations, actions = layouts.observations, layouts.action.spec
        cycles = getattr(environment.unwrapped, "max_cycles", None)
        limits = [limit for limit in (cycles, self.max_steps) if isinstance(limit, int)]
        meaning = {
            "id": self.name if self.factory is None else self.id,
            "agents": [str(name) for name in names],
            "features": list(observations.names),
            "actions": actions.model_dump(),
        }
        limit = min(limits, default=None)
        return EnvironmentDescription(
            id=self.id,
            scenario=SCENARIO,
            agents=len(names),
            features=observations.names,
            actions=actions,
            spaces=layouts.spaces,
            max_steps=limit,
            objective="return_per_episode",
            discount=discount_of(limit),
            metrics=metric_specs(self.metrics, (*METRICS[:2], _WORST, *METRICS[2:])),
            teachers=tuple(self._scripts),
            lives_end=True,
            signature=self._signature(meaning),
        )

    def _check_alike(self, environment: "pettingzoo.ParallelEnv[Any, Any, Any]", names: list[Any]) -> None:
        """Raise BadInputError where two agents have different spaces: one policy plays all of them."""
        for name in names[1:]:
            for space, pad in (("observation_space", "pad_observations_v0"), ("action_space", "pad_action_space_v0")):
                one, other = (getattr(environment, space)(each) for each in (names[0], name))
                if one != other:
                    raise BadInputError(
                        f"{self.id}: the {space} of {name} is {other}, that of {names[0]} is {one}; one policy plays "
                        f"all agents, so make them alike, for example with supersuit.{pad}"
                    )


def _exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # a folder above it cannot be imported
        return False


def _own_module(name: str, where: str) -> ModuleType:
    """Return a module of PettingZoo's own packages; BadInputError where it, or a library that it needs, is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        missing = getattr(error, "name", None) or ""
        if name == missing or name.startswith(f"{missing}."):
            root = name.partition(".")[0]
            raise BadInputError(
                f"{where}: there is no module {name!r}; is {root} installed, and in the version that has it?"
            ) from error
        raise BadInputError(f"{where}: {name} cannot be imported: {error}; install what it needs") from error
