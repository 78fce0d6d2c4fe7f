"""The sockets: Protocols a user may implement, found by name through entry points."""

from importlib.metadata import entry_points
from typing import Protocol, cast, runtime_checkable

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.codec import Record, did_you_mean
from townlet.dto.metrics import MetricSpec
from townlet.errors import BadInputError

__all__ = [
    "Environment",
    "EnvironmentDescription",
    "EnvironmentProvider",
    "StubTeacher",
    "Tallies",
    "Teacher",
    "provider",
]

ENVIRONMENTS = "townlet.environments"


@frozen(kw_only=True)
class EnvironmentDescription(Record):
    """What a policy and a checker must know of an environment before a world exists."""

    id: str
    """Name of the provider, such as ``town``."""
    scenario: str
    """Preset within it."""
    agents: int
    """N, agent slots per world."""
    features: tuple[str, ...]
    """Names of the F features, in order."""
    actions: tuple[str, ...]
    """Names of the A actions, in order."""
    decisions_per_day: int
    """Decisions in one day."""
    discount: float
    """The gamma the environment's rewards were designed for, per decision."""
    metrics: tuple[MetricSpec, ...]
    """KPIs that `Environment.tallies` reports, in order."""
    teachers: tuple[str, ...]
    """Scripted policies it can be played by."""
    ticks_per_decision: int = 1
    """Simulated ticks that one decision lasts."""
    signature: str
    """Digest of all that changes what a number means: rules version, scenario constants, features, actions."""


@frozen(kw_only=True)
class Tallies:
    """Sums and exposures of the running episode, per metric (axis M, in the order of the description) and world."""

    sums: NDArray[np.float64]
    """[M, W]; a world's value is sum ÷ exposure."""
    exposures: NDArray[np.float64]
    """[M, W]; 0 where the world gives no information on the metric."""


@runtime_checkable
class Teacher(Protocol):
    """Anything that chooses actions from observations: a script, a policy, a test double."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N], legal under the mask; randomness only from `observations.keys`."""
        ...


@runtime_checkable
class StubTeacher(Teacher, Protocol):
    """A teacher that only holds a name: it never acts, so there is nothing to record."""

    @property
    def never_acts(self) -> str:
        """Why not, in words."""
        ...


@runtime_checkable
class Environment(Protocol):
    """A batch of W worlds that step together; worlds never see each other."""

    description: EnvironmentDescription
    worlds: int

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Start a new episode in the marked worlds (all by default) and return what everyone sees now."""
        ...

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Play one decision, actions [W, N]; a bad shape, dtype or value raises and leaves the state untouched.

        A truncated world stays in its final state until `reset` is asked for it; stepping on resets nothing.
        """
        ...

    def tallies(self) -> Tallies:
        """Return each world's KPI sums over its running (or just finished) episode."""
        ...

    def snapshot(self) -> bytes:
        """Return all state, such that `restore` goes on with the same bits; empty where it cannot be done."""
        ...

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot of an equal environment."""
        ...


@runtime_checkable
class EnvironmentProvider(Protocol):
    """Makes environments of one id; register one under the entry-point group ``townlet.environments``."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description of a scenario; BadInputError for an unknown one."""
        ...

    def make(self, scenario: str, *, worlds: int, seed: int, days: int, first_world: int = 0) -> Environment:
        """Return `worlds` worlds with the ids first_world, first_world + 1, …; episodes last `days` days.

        World i of seed s plays the same episodes whatever batch it stands in.
        """
        ...

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a scripted policy by name; BadInputError for an unknown one."""
        ...


def provider(environment_id: str) -> EnvironmentProvider:
    """Return the provider registered under an environment id; BadInputError naming the known ones."""
    known = entry_points(group=ENVIRONMENTS)
    for entry in known:
        if entry.name == environment_id:
            return cast("EnvironmentProvider", entry.load()())
    raise BadInputError(f"unknown environment {environment_id!r}{did_you_mean(environment_id, sorted(known.names))}")
