"""Environments that a Python function makes: ``python:MODULE:FUNCTION`` in a schedule, a callable in a call."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from townlet.dto.schedule import EnvironmentSpec
from townlet.errors import BadInputError
from townlet.imports import FLAG, Imports
from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Teacher, configured

if TYPE_CHECKING:
    from townlet.env.foreign_provider import ForeignProvider

__all__ = ["PythonProvider", "provider_of"]

_METHODS = ("describe", "make", "teacher")


def provider_of(factory: Callable[..., Any], name: str, spec: EnvironmentSpec, imports: Imports) -> EnvironmentProvider:
    """Return the provider of what a function makes: environments of a library, or a provider of its own.

    The function is called with the keyword arguments of the schedule. BadInputError where it makes neither.
    """
    if all(callable(getattr(factory, method, None)) for method in _METHODS) and not isinstance(factory, type):
        return configured(_checked(factory), spec, imports)
    parameters = _parameters(factory)
    one_world = {"num_envs": 1} if "num_envs" in parameters.keys() - spec.with_.keys() else {}
    try:
        made = factory(**spec.with_, **one_world)
    except Exception as error:  # the function is the user's
        raise BadInputError(f"environment {name}: {type(error).__name__}: {error}") from error
    if all(callable(getattr(made, method, None)) for method in _METHODS):
        return _checked(made)
    close = getattr(made, "close", None)
    if callable(close):
        close()
    can_take = "num_envs" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return _kind_of(made, name, can_take)(name.partition(":")[2], factory=factory).configured(spec, imports)


def _parameters(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function; none where it does not say."""
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):  # it is not written in Python
        return {}


def _kind_of(made: object, name: str, can_take_worlds: bool) -> "type[ForeignProvider]":
    """Return the class that provides such environments; BadInputError for any other object."""
    from townlet.env.gymnasium_provider import GymnasiumProvider

    if hasattr(made, "num_envs"):
        from townlet.env.gymnasium_vector_provider import GymnasiumVectorProvider

        if can_take_worlds:
            return GymnasiumVectorProvider
        raise BadInputError(
            f"environment {name} returned a vector environment ({type(made).__name__}) and takes no num_envs; give it "
            "a parameter num_envs, the number of sub-environments to return"
        )
    if callable(getattr(made, "step", None)):
        if hasattr(made, "possible_agents"):
            from townlet.env.pettingzoo_provider import PettingZooProvider

            return PettingZooProvider
        if hasattr(made, "observation_space"):
            return GymnasiumProvider
    raise BadInputError(
        f"environment {name} returned an object of {type(made).__name__}; expected a new environment of Gymnasium or a "
        "parallel one of PettingZoo, or an object with the methods describe, make and teacher"
    )


def _checked(provider: Any) -> EnvironmentProvider:
    return provider  # type: ignore[no-any-return]


@frozen
class PythonProvider:
    """Stands for the environments of a function until a schedule brings its keyword arguments."""

    reference: str
    """``MODULE:FUNCTION``."""
    factory: Callable[..., Any] | None = None
    """The function, where it was passed from Python; None: it is imported, if that is allowed."""

    def configured(self, spec: EnvironmentSpec, imports: Imports) -> EnvironmentProvider:
        """Return the provider of what the function makes."""
        where = f"environment python:{self.reference}"
        factory = imports.load(self.reference, where) if self.factory is None else self.factory
        if not callable(factory):
            raise BadInputError(f"{where}: {self.reference} is {factory!r}; expected a function that makes one")
        return provider_of(factory, f"python:{self.reference}", spec, imports)

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Refuse: nothing was imported."""
        raise self._not_configured()

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Environment:
        """Refuse: nothing was imported."""
        raise self._not_configured()

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Refuse: nothing was imported."""
        raise self._not_configured()

    def _not_configured(self) -> BadInputError:
        return BadInputError(f"environment python:{self.reference} was not imported; allow it: {FLAG} MODULE")
