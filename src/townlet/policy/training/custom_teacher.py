"""A teacher that was passed in from Python: the environment offers it under the name ``custom``."""

from attrs import evolve, frozen

from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Teacher

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
    custom: Teacher
    """Teacher that was passed in."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the inner environment's description with one more teacher."""
        description = self.inner.describe(scenario)
        return evolve(description, teachers=(*description.teachers, *CUSTOM_NAMES))

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Environment:
        """Return worlds of the inner environment."""
        return self.inner.make(scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return the custom teacher, or one of the inner environment's."""
        return self.custom if name in CUSTOM_NAMES else self.inner.teacher(scenario, name)
