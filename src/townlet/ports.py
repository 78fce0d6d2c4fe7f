"""The Protocols that a user can implement: environment, provider, teacher, tracker; entry points find them by name."""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.dto.array_fields import array
from townlet.dto.boundary import ObservationBatchDTO, RewardBreakdownDTO, StepResult
from townlet.dto.codec import Checked, Record, did_you_mean
from townlet.dto.constraints import Limits
from townlet.dto.metrics import MetricSpec
from townlet.dto.recording import FilmStrip, TownRecording
from townlet.dto.schedule import EnvironmentSpec
from townlet.dto.spaces import NativeSpaces
from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.imports import Imports

__all__ = [
    "ConfigurableProvider",
    "Environment",
    "EnvironmentDescription",
    "EnvironmentProvider",
    "EnvironmentWithTerms",
    "EpisodeRecorder",
    "PartRecorder",
    "RecordedEpisode",
    "RecordedProvider",
    "RecordingProvider",
    "Script",
    "ScriptableProvider",
    "StatefulTeacher",
    "StubTeacher",
    "Tallies",
    "Teacher",
    "Tracker",
    "batched",
    "begin_episodes",
    "close",
    "configured",
    "is_batched",
    "keeps_state",
    "provider",
    "teacher_actions",
]

ENVIRONMENTS = "townlet.environments"
TRACKERS = "townlet.trackers"
_limit = attrs.validators.optional(Limits(least=1, words="at least 1, or None without a limit"))


Script = Callable[..., Any]
"""Returns the action of an observation, both in the environment's own spaces."""
_BATCHED = "__townlet_batched__"


def batched(script: Script) -> Script:
    """Mark a function that takes the observations of all worlds at once, and returns an action for each of them.

    A leading axis W is added to each array of the observation and of the action. Used as ``@townlet.batched``.
    """
    setattr(script, _BATCHED, True)
    return script


def is_batched(script: object) -> bool:
    """Return whether `batched` marked a script."""
    return getattr(script, _BATCHED, False) is True


@frozen(kw_only=True)
class EnvironmentDescription(Record):
    """Static facts of an environment: what policies and the checker need before a world exists."""

    id: str
    """Name of the provider, such as ``town``."""
    scenario: str
    """Preset within it."""
    scenarios: tuple[str, ...] = ()
    """All presets that the provider lists; empty where it lists none."""
    agents: int
    """N, agent slots per world."""
    features: tuple[str, ...]
    """Names of the F features, in order."""
    actions: ActionSpec
    """Heads of an action: A options of the discrete ones together, C columns."""
    spaces: NativeSpaces | None = None
    """One agent's own observations and actions, where they are more than features and columns."""
    decisions_per_day: int | None = None
    """Decisions in one day, where the environment has days; lengths may then be given in days."""
    max_steps: int | None = None
    """Decisions after which the environment itself cuts an episode; None where it does not."""
    objective: str
    """The metric that capture, watch and progress report: the return of an episode."""
    discount: float
    """Discount factor γ per decision that the rewards were designed for."""
    metrics: tuple[MetricSpec, ...]
    """KPIs that `Environment.tallies` reports, in the order of its axis M."""
    reward_terms: tuple[str, ...] = ()
    """Terms that the rewards are sums of, in the order of `EnvironmentWithTerms.breakdown`; empty where it tells
    none."""
    teachers: tuple[str, ...]
    """Names of the scripted policies that `EnvironmentProvider.teacher` offers."""
    ticks_per_decision: int = 1
    """Simulated ticks that one decision lasts."""
    lives_end: bool | None = None
    """Whether lives end by themselves (a fall, a goal) before the episode is cut: the returns of short recordings are
    exact then, and an episode may be over before its length. False where they last as long as the episode but for
    accidents: an episode then has its whole length, and `check` refuses recordings that are too short for the critic.
    None where that is not known: bc finds out before it clones."""
    most_worlds: int | None = attrs.field(default=None, validator=_limit)
    """The most worlds that `EnvironmentProvider.make` accepts at once; None without a limit."""
    most_steps: int | None = attrs.field(default=None, validator=_limit)
    """The longest episodes that it accepts, in decisions; None without a limit."""
    signature: str
    """Digest of everything that changes what a number means: rules version, scenario constants, features, actions."""

    def __attrs_post_init__(self) -> None:
        if self.objective not in self.metric_names:
            raise ValueError(
                f"objective is {self.objective!r}{did_you_mean(self.objective, self.metric_names)}, a name of a metric"
            )

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the axis M."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def objective_index(self) -> int:
        """Index of the objective on the axis M."""
        return self.metric_names.index(self.objective)

    @property
    def term_unit(self) -> str:
        """Unit of the mean of a term of the reward: per agent-day, or per agent-step where there are no days."""
        return "1/agent-step" if self.decisions_per_day is None else "1/agent-day"

    def in_words(self, decisions: int) -> str:
        """Return a length of at least so many decisions as a schedule may state it: in days where there are any."""
        per_day = self.decisions_per_day
        return f"{decisions:,} decisions" if per_day is None else f"{-(-decisions // per_day):,} days"

    def limit_problem(self, *, worlds: int = 1, steps: int = 1) -> str:
        """Return why so many worlds, or episodes of so many decisions, cannot be played; empty where they can."""
        if self.most_worlds is not None and worlds > self.most_worlds:
            phrase, most = f"{worlds:,} worlds at once", f"{self.most_worlds:,}"
        elif self.most_steps is not None and steps > self.most_steps:
            phrase, most = f"episodes of {self.in_words(steps)}", self.in_words(self.most_steps)
        else:
            return ""
        return f"{phrase} cannot be played: the most in {self.id}/{self.scenario} is {most}; ask for less"

    def episode_length(self, days: int | None, max_steps: int | None = None) -> int:
        """Return the most decisions of an episode.

        That is `max_steps`; where it is not given, `days` of an environment that has days; and never more than the
        environment's own limit. BadInputError where nothing limits an episode.
        """
        if max_steps is None and days is not None and self.decisions_per_day is not None:
            max_steps = days * self.decisions_per_day
        limits = [limit for limit in (max_steps, self.max_steps) if limit is not None]
        if not limits:
            raise BadInputError(f"environment {self.id}: nothing limits the length of an episode; set max_steps")
        return min(limits)


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

    def act(self, observations: ObservationBatchDTO) -> Actions:
        """Return actions [W, N, C] that the mask allows; the only source of randomness is `observations.keys`.

        Where an action is one choice, [W, N] is enough.
        """


@runtime_checkable
class StubTeacher(Teacher, Protocol):
    """A teacher that cannot act: capture records nothing and logs the reason, and ppo refuses it."""

    @property
    def never_acts(self) -> str:
        """The reason, in words."""


@runtime_checkable
class StatefulTeacher(Teacher, Protocol):
    """A teacher with a state for each world, such as the integral of a controller."""

    @property
    def keeps_state(self) -> bool:
        """Whether it keeps one; where not, `begin` need not be called."""

    def begin(self, worlds: NDArray[np.bool_]) -> None:
        """Forget the past of the worlds of the mask [W]: their episodes begin."""


@runtime_checkable
class Environment(Protocol):
    """A batch of W independent worlds that step together."""

    description: EnvironmentDescription
    worlds: int

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Start a new episode in the worlds of the mask [W], all by default; return the observations of all worlds."""

    def step(self, actions: Actions) -> StepResult:
        """Play one decision with actions [W, N, C]; a wrong shape, dtype or value raises and changes nothing.

        A world that is over ignores its actions, brings no reward and stays in its final state until `reset` is
        called for it; `step` resets nothing.
        """

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running episode, or over the one that just ended."""

    def snapshot(self) -> bytes:
        """Return the whole state for `restore`, which continues with the same bits; empty bytes if unsupported."""

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot of an equal environment."""


@runtime_checkable
class EnvironmentWithTerms(Environment, Protocol):
    """An environment whose description declares `reward_terms`: it tells what its rewards consist of."""

    def breakdown(self) -> RewardBreakdownDTO:
        """Return the terms of the last decision's rewards; 0 for worlds that were over before it."""


@runtime_checkable
class EnvironmentProvider(Protocol):
    """Makes environments of one id; packages register one under the entry-point group ``townlet.environments``."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description of a scenario; BadInputError for an unknown one."""

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Environment:
        """Return `worlds` worlds with the ids first_world, first_world + 1, …, of at most `max_steps` decisions.

        World i of seed s plays the same episodes in every batch that contains it.
        """

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a scripted policy by name; BadInputError for an unknown one."""


@runtime_checkable
class ConfigurableProvider(EnvironmentProvider, Protocol):
    """A provider of a family of environments, which a schedule configures."""

    def configured(self, spec: EnvironmentSpec, imports: Imports) -> EnvironmentProvider:
        """Return the provider with the keyword arguments, the limit and the metrics of a schedule.

        `imports` are the modules that it may import. BadInputError for what it cannot do.
        """


@runtime_checkable
class ScriptableProvider(EnvironmentProvider, Protocol):
    """A provider that makes a teacher of a function which knows the environment's own observations and actions."""

    def teacher_of(self, script: Script) -> Teacher:
        """Return a teacher that asks the script for each living agent."""


@frozen(kw_only=True)
class RecordedEpisode(Checked):
    """One agent's decisions in one episode, recorded outside: T decisions, F features, A options, C columns."""

    observations: NDArray[np.float32] = array("T F", np.float32)
    """What was seen before each decision."""
    action_mask: NDArray[np.bool_] = array("T A", np.bool_)
    """Which options were legal."""
    actions: NDArray[np.int64] | NDArray[np.float32] = array("T C", np.int64, np.float32)
    """What was done."""
    rewards: NDArray[np.float32] = array("T", np.float32)
    """What it was worth."""
    is_terminated: bool
    """Whether the agent's life ended with the last decision; otherwise the recording was cut."""


@runtime_checkable
class RecordedProvider(EnvironmentProvider, Protocol):
    """A provider that reads episodes which were recorded outside, in the format of its library."""

    def recorded(self, name: str, sha256: str) -> tuple[RecordedEpisode, ...]:
        """Return the episodes of a data set.

        BadInputError where it is missing, where its digest is another, and where it does not fit the environment.
        """


@runtime_checkable
class Tracker(Protocol):
    """Takes a run's numbers to where others look at them; packages register one under ``townlet.trackers``.

    All calls of one run come from one thread, which is not the run's: a tracker may block and may raise. What raised is
    called again later with the same arguments, and what is not taken by the end of the run is counted and dropped.
    """

    @property
    def keeps_aliases(self) -> bool:
        """Whether `move` also works without a run: a rollback on the command line then moves the alias here too."""

    def open(self, run: TrackedRun) -> None:
        """Begin, or go on with, the record of a run; called before all others."""

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Take what was measured since the last call, oldest first."""

    def move(self, move: AliasMove) -> None:
        """Take the move of an alias."""

    def close(self, state: str) -> None:
        """End the record: the run is done, hold, failed or aborted, or its process was stopped."""


@runtime_checkable
class EpisodeRecorder(Environment, Protocol):
    """An environment of one world that keeps what can be drawn of its episode."""

    def recording(self) -> TownRecording | FilmStrip:
        """Return what was recorded since the last reset."""


@runtime_checkable
class PartRecorder(EpisodeRecorder, Protocol):
    """A recorder that can also draw a part of the episode, small enough for a report."""

    part: int
    """Decisions of a part at the most."""

    def recording_of(self, first: int, last: int, *, is_coarse: bool, on_decision: Callable[[], None]) -> TownRecording:
        """Return the decisions first … last − 1 since the last reset, with fewer details if coarse.

        `on_decision` is called at the beginning of the part and after each of its decisions, while `tallies` are those
        of that moment.
        """


@runtime_checkable
class RecordingProvider(EnvironmentProvider, Protocol):
    """A provider whose environments can be drawn."""

    def recorder(
        self, scenario: str, *, seed: int, max_steps: int, world: int, every: int | None
    ) -> EpisodeRecorder | None:
        """Return the world with the id `world`, which plays the episode that `make` plays and records it.

        `every` is the number of decisions from one picture to the next; None: as a page can hold. None is returned
        where this environment cannot be drawn.
        """


def keeps_state(teacher: object) -> bool:
    """Return whether a teacher keeps a state for each world."""
    return isinstance(teacher, StatefulTeacher) and teacher.keeps_state


def begin_episodes(policy: object, worlds: NDArray[np.bool_]) -> None:
    """Tell a teacher which worlds [W] begin an episode; a policy without a state is told nothing."""
    if policy is not None and isinstance(policy, StatefulTeacher):  # looking at a protocol takes 30 µs
        policy.begin(worlds)


def teacher_actions(teacher: Teacher, observations: ObservationBatchDTO, spec: ActionSpec) -> Actions:
    """Return what a teacher does, as actions [W, N, C]; EnvironmentFaultError for another shape or kind of numbers."""
    actions = np.asarray(teacher.act(observations))
    shape = (*observations.alive.shape, spec.columns)
    kinds = "iu" if not spec.box else "iuf"
    if actions.shape not in (shape, spec.stored_shape(*shape[:-1])) or actions.dtype.kind not in kinds:
        numbers = "numbers" if spec.box else "whole numbers"
        raise EnvironmentFaultError(
            f"teacher {type(teacher).__name__}: actions of shape {list(actions.shape)} and type {actions.dtype}; "
            f"expected {numbers} of shape {list(shape)}, a column for each head of an action"
        )
    return actions.reshape(shape).astype(spec.dtype, copy=False)


def close(environment: Environment) -> None:
    """Free what an environment holds beside memory, such as processes, where it has a method `close`."""
    method: Callable[[], object] | None = getattr(environment, "close", None)
    if method is not None:
        method()


def _made(factory: Callable[..., EnvironmentProvider], environment_id: str, name: str) -> EnvironmentProvider:
    """Return a provider; BadInputError where the id must name one environment of a family and does not, or must not."""
    family, words = environment_id.partition(":")[0], (name,) if name else ()
    try:
        signature(factory).bind(*words)
    except TypeError:
        advice = f"leave {':' + name!r} out" if name else f"name one of them: {family}:ID"
        raise BadInputError(f"environment {environment_id!r} cannot be made; {advice}") from None
    return factory(*words)


def provider(environment: EnvironmentSpec | str, imports: Imports | None = None) -> EnvironmentProvider:
    """Return the provider of an environment id, configured as a schedule says; BadInputError where there is none.

    An id may be the name of a provider of many environments and, after a colon, the name of one of them. `imports` are
    the modules that the id may name; none by default.
    """
    spec = EnvironmentSpec(id=environment) if isinstance(environment, str) else environment
    registered = entry_points(group=ENVIRONMENTS)
    family, _, name = spec.id.partition(":")
    for entry in registered:
        if entry.name == family:
            return configured(_made(entry.load(), spec.id, name), spec, imports or Imports())
    raise BadInputError(f"unknown environment {spec.id!r}{did_you_mean(spec.id, sorted(registered.names))}")


def configured(inner: EnvironmentProvider, spec: EnvironmentSpec, imports: Imports) -> EnvironmentProvider:
    """Return a provider as a schedule configures it; BadInputError where it takes no configuration."""
    if isinstance(inner, ConfigurableProvider):
        return inner.configured(spec, imports)
    stated = {"with": spec.with_, "max_steps": spec.max_steps, "metrics": spec.metrics}
    refused = [word for word, value in stated.items() if value]
    if refused:
        raise BadInputError(
            f"environment {spec.id!r} takes no {' and no '.join(refused)} from a schedule; leave them out, or give its "
            "provider a method configured(spec, imports)"
        )
    return inner
