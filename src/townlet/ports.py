"""The Protocols that a user can implement: environment, provider, teacher; entry points find providers by name."""

from importlib.metadata import entry_points
from typing import Protocol, cast, runtime_checkable

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.array_fields import array
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.codec import Checked, Record, did_you_mean
from townlet.dto.constraints import Limits
from townlet.dto.metrics import MetricSpec
from townlet.errors import BadInputError, EnvironmentFaultError

__all__ = [
    "Environment",
    "EnvironmentDescription",
    "EnvironmentProvider",
    "StubTeacher",
    "Tallies",
    "Teacher",
    "check_finite",
    "check_truncations",
    "provider",
]

ENVIRONMENTS = "townlet.environments"
_limit = attrs.validators.optional(Limits(least=1, words="at least 1, or None without a limit"))


@frozen(kw_only=True)
class EnvironmentDescription(Record):
    """Static facts of an environment: what policies and the checker need before a world exists."""

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
    """Discount factor γ per decision that the rewards were designed for."""
    metrics: tuple[MetricSpec, ...]
    """KPIs that `Environment.tallies` reports, in the order of its axis M; the first is the return per agent-day."""
    teachers: tuple[str, ...]
    """Names of the scripted policies that `EnvironmentProvider.teacher` offers."""
    ticks_per_decision: int = 1
    """Simulated ticks that one decision lasts."""
    lives_end: bool | None = None
    """Whether lives end by themselves (a fall, a goal) before the episode is cut: the returns of short recordings are
    exact then. False where they last as long as the episode but for accidents: `check` refuses recordings that are too
    short for the critic. None where that is not known: bc finds out before it clones."""
    most_worlds: int | None = attrs.field(default=None, validator=_limit)
    """The most worlds that `EnvironmentProvider.make` accepts at once; None without a limit."""
    most_days: int | None = attrs.field(default=None, validator=_limit)
    """The longest episodes that it accepts, in days; None without a limit."""
    signature: str
    """Digest of everything that changes what a number means: rules version, scenario constants, features, actions."""

    def limit_problem(self, *, worlds: int = 1, days: int = 1) -> str:
        """Return why so many worlds, or episodes of so many days, cannot be played; empty where they can."""
        for count, most, phrase in (
            (worlds, self.most_worlds, f"{worlds:,} worlds at once"),
            (days, self.most_days, f"episodes of {days:,} days"),
        ):
            if most is not None and count > most:
                return f"{phrase} cannot be played: the most in {self.id}/{self.scenario} is {most:,}; ask for less"
        return ""


@frozen(kw_only=True)
class Tallies(Checked):
    """KPI sums and exposures of the running episode, per metric (axis M, in the description's order) and world (W)."""

    sums: NDArray[np.float64] = array("M W", np.float64)
    """[M, W]; the value of a metric in a world is sum ÷ exposure."""
    exposures: NDArray[np.float64] = array("M W", np.float64)
    """[M, W]; 0 where the world says nothing about the metric."""


@runtime_checkable
class Teacher(Protocol):
    """A policy that chooses actions from observations, such as a script."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N] that the mask allows; the only source of randomness is `observations.keys`."""
        ...


@runtime_checkable
class StubTeacher(Teacher, Protocol):
    """A teacher that cannot act: capture records nothing and logs the reason, and ppo refuses it."""

    @property
    def never_acts(self) -> str:
        """The reason, in words."""
        ...


@runtime_checkable
class Environment(Protocol):
    """A batch of W independent worlds that step together."""

    description: EnvironmentDescription
    worlds: int

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Start a new episode in the worlds of the mask [W], all by default; return the observations of all worlds."""
        ...

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Play one decision with actions [W, N]; a wrong shape, dtype or value raises and leaves the state as it was.

        A truncated world stays in its final state until `reset` is called for it; `step` resets nothing.
        """
        ...

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running episode, or over the one that just ended."""
        ...

    def snapshot(self) -> bytes:
        """Return the whole state for `restore`, which continues with the same bits; empty bytes if unsupported."""
        ...

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot of an equal environment."""
        ...


@runtime_checkable
class EnvironmentProvider(Protocol):
    """Makes environments of one id; packages register one under the entry-point group ``townlet.environments``."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description of a scenario; BadInputError for an unknown one."""
        ...

    def make(self, scenario: str, *, worlds: int, seed: int, days: int, first_world: int = 0) -> Environment:
        """Return `worlds` worlds with the ids first_world, first_world + 1, …; episodes last `days` days.

        World i of seed s plays the same episodes in every batch that contains it.
        """
        ...

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a scripted policy by name; BadInputError for an unknown one."""
        ...


def check_truncations(
    description: EnvironmentDescription,
    truncations: NDArray[np.bool_],
    expected: NDArray[np.bool_] | bool,
    decision: int,
) -> None:
    """Raise EnvironmentFaultError unless exactly the `expected` worlds [W] are truncated after the decision.

    Every loop over an environment ends by what the environment declared, so that one that never ends an episode, or
    ends it early, is an error and not an endless or a shortened evaluation.
    """
    wrong = truncations != expected
    if not wrong.any():
        return
    world = int(np.argmax(wrong))
    found, wanted = ("ends", "goes on") if truncations[world] else ("goes on", "ends")
    raise EnvironmentFaultError(
        f"environment {description.id}/{description.scenario}: the episode of world {world} {found} after decision "
        f"{decision}; expected that it {wanted} there: an episode lasts days × {description.decisions_per_day} "
        "decisions, then `truncations` is true until `reset` (docs/reference/environment.md)"
    )


def check_finite(description: EnvironmentDescription, name: str, values: NDArray[np.floating]) -> None:
    """Raise EnvironmentFaultError where recorded values [T, W, …] are not finite, naming the first place."""
    for decision, of_worlds in enumerate(values):
        wrong = ~np.isfinite(of_worlds)
        if wrong.any():
            raise EnvironmentFaultError(
                f"environment {description.id}/{description.scenario}: {name} of world {int(np.argwhere(wrong)[0, 0])} "
                f"at decision {decision} hold a number that is not finite; expected finite numbers "
                "(docs/reference/environment.md)"
            )


def provider(environment_id: str) -> EnvironmentProvider:
    """Return the provider registered under an environment id; BadInputError, with a suggestion, if there is none."""
    registered = entry_points(group=ENVIRONMENTS)
    for entry in registered:
        if entry.name == environment_id:
            return cast("EnvironmentProvider", entry.load()())
    raise BadInputError(
        f"unknown environment {environment_id!r}{did_you_mean(environment_id, sorted(registered.names))}"
    )
