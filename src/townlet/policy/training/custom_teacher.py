"""A teacher that the environment does not bring: passed in from Python, or named by a schedule."""

from collections.abc import Callable

from attrs import evolve, frozen

from townlet.dto.schedule import EnvironmentSpec
from townlet.imports import Imports
from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Teacher, configured

__all__ = ["CUSTOM", "CUSTOM_NAMES", "ProviderWithTeacher"]

CUSTOM = "custom"
"""Name of a teacher that was passed in."""
CUSTOM_NAMES = (CUSTOM, "given")
"""The same and its name in the schedules of earlier versions' runs, which are resumed under it."""


@frozen(kw_only=True)
class ProviderWithTeacher:
    """An environment with one more teacher."""

    inner: EnvironmentProvider
    """Environment that makes the worlds."""
    maker: Callable[[], Teacher]
    """Makes the teacher: a new one for each player, because it may keep a state."""
    names: tuple[str, ...]
    """Its names."""

    def configured(self, spec: EnvironmentSpec, imports: Imports) -> "ProviderWithTeacher":
        """Return the provider with the inner environment configured."""
        return evolve(self, inner=configured(self.inner, spec, imports))

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the inner environment's description with one more teacher."""
        description = self.inner.describe(scenario)
        return evolve(description, teachers=(*description.teachers, *self.names))

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Environment:
        """Return worlds of the inner environment."""
        return self.inner.make(scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return the added teacher, or one of the inner environment's."""
        return self.maker() if name in self.names else self.inner.teacher(scenario, name)
