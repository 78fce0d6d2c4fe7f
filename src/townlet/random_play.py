"""Play an environment with random legal actions and record what is seen, within a limit of decisions and of time."""

from collections.abc import Iterator
from time import monotonic
from typing import Any, Literal

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.ports import Environment, EnvironmentDescription, Tallies
from townlet.rng import mix, uniform

__all__ = [
    "SEED",
    "BrokenPromiseError",
    "Frame",
    "PlayLimit",
    "PlayLimitError",
    "RandomPlayer",
    "bad_actions",
    "differences",
    "frames_in_memory",
    "legal_actions",
]

SEED = 20_261_125
"""Of the worlds and of the actions."""
_MEMORY = 2**28
"""Bytes of observations and masks that a check keeps."""
_EPISODES = 6
"""Episodes that it keeps at a time."""
Frame = dict[str, NDArray[Any]]
"""What is seen after a reset or a decision: arrays by name, worlds first."""


class BrokenPromiseError(Exception):
    """A promise is broken: where, what was found."""

    def __init__(
        self, where: str, found: str, outcome: Literal["broken", "not offered", "untested"] = "broken"
    ) -> None:
        super().__init__(where, found)
        self.where, self.found, self.outcome = where, found, outcome


class PlayLimitError(Exception):
    """The play has reached its limit of decisions or of time."""


def frames_in_memory(description: EnvironmentDescription, worlds: int) -> int:
    """Return the decisions of an episode whose observations and masks are kept, so that the memory is bounded."""
    width = np.dtype(np.float32).itemsize * len(description.features) + description.actions.logits
    return max(2, _MEMORY // (_EPISODES * worlds * description.agents * width))


def legal_actions(mask: NDArray[np.bool_], actions: Actions, spec: ActionSpec) -> NDArray[np.bool_]:
    """Return which actions [W, N, C] are finite, in the range of a mask [W, N, A] and allowed by it."""
    legal: NDArray[np.bool_] = np.asarray(np.isfinite(actions).all(-1))
    for column, options in enumerate(spec.segments(mask)):
        chosen = np.where(legal, actions[..., column], -1)
        inside = (chosen >= 0) & (chosen < options.shape[-1])
        index = np.where(inside, chosen, 0).astype(np.intp)
        legal &= inside & np.take_along_axis(options, index[..., None], -1)[..., 0]
    return legal


def bad_actions(good: Actions, spec: ActionSpec) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield actions that an environment must refuse, made of good ones [W, N, C], each with what is wrong."""
    yield "one world less", good[:-1]
    if spec.box:
        yield "numbers that are not finite", good * np.float32(np.nan)
    else:
        yield "floats", good.astype(np.float32)
    if spec.discrete:
        yield "an option too many", good * 0 + 10**6


def differences(one: Frame, other: Frame, *, exact: bool) -> Iterator[tuple[str, str]]:
    """Yield the arrays that differ between two frames, and how; where not `exact`, floats may be rounded otherwise."""
    for name, values in one.items():
        others = other[name]
        is_float = np.issubdtype(values.dtype, np.floating)
        if values.shape != others.shape:
            yield name, "another shape"
        elif is_float and not exact:
            if not np.allclose(values, others, rtol=1e-4, atol=1e-5, equal_nan=True):
                yield name, "other numbers"
        elif not np.array_equal(values, others, equal_nan=is_float):
            yield name, "other numbers"


@define(kw_only=True)
class PlayLimit:
    """Counts the decisions of all environments of a check, and stops it at a number of them or after some seconds."""

    decisions: int
    """The most decisions of a batch of worlds."""
    seconds: float
    """The most seconds from the first decision on: what an environment compiles or loads before it does not count."""
    played: int = field(default=0, init=False)
    """Decisions so far."""
    _deadline: float = field(default=0.0, init=False)

    def spend(self) -> None:
        """Count a decision that is about to be played; PlayLimitError where it would be beyond the limit."""
        if self.played >= self.decisions or (self.played > 1 and monotonic() > self._deadline):
            raise PlayLimitError
        if self.played == 1:  # the first decision is over
            self._deadline = monotonic() + self.seconds
        self.played += 1


@frozen(kw_only=True)
class RandomPlayer:
    """Steps one environment with random legal actions that depend on (world id, episode, decision, agent) only."""

    environment: Environment
    description: EnvironmentDescription
    first_world: int
    limit: PlayLimit

    def frames(self, decisions: int, episodes: int) -> Iterator[Frame]:
        """Yield what is seen after each reset and each decision."""
        for episode in range(episodes):
            observations = self.environment.reset()
            yield self.frame(observations)
            yield from self.steps(observations, episode, 0, decisions)

    def steps(self, observations: ObservationBatchDTO, episode: int, first: int, decisions: int) -> Iterator[Frame]:
        """Yield what is seen after each of the decisions first + 1 … decisions."""
        for decision in range(first, decisions):
            self.limit.spend()
            step = self.environment.step(self.actions(observations.action_mask, episode, decision))
            if not isinstance(step, StepResult):
                raise BrokenPromiseError(f"step, decision {decision + 1}", f"a {type(step).__name__}")
            observations = step.observations
            yield self.frame(observations, step, decision + 1)

    def actions(self, mask: NDArray[np.bool_], episode: int, decision: int) -> Actions:
        """Return random legal actions [W, N, C]; option 0 where none is legal, box columns from −1 to 1."""
        spec, (worlds, agents) = self.description.actions, mask.shape[:2]
        keys = mix(mix(mix(SEED, self.first_world + np.arange(worlds, dtype=np.uint64)), episode), decision)
        heads = mix(keys[:, None], np.arange(agents, dtype=np.uint64))[..., None]
        if spec.columns > 1:
            heads = mix(heads, np.arange(spec.columns, dtype=np.uint64))
        numbers = uniform(heads)
        chosen = np.empty((worlds, agents, spec.columns), spec.dtype)
        for column, options in enumerate(spec.segments(mask)):
            rank = (numbers[..., column] * options.sum(-1)).astype(np.int64)
            chosen[..., column] = (options.cumsum(-1) == (rank + 1)[..., None]).argmax(-1)
        chosen[..., len(spec.discrete) :] = 2 * numbers[..., len(spec.discrete) :] - 1
        return chosen

    def frame(self, observations: ObservationBatchDTO, step: StepResult | None = None, decision: int = 0) -> Frame:
        """Return copies of all arrays, worlds first, shapes checked; after many decisions without the large ones."""
        if not isinstance(observations, ObservationBatchDTO):
            raise BrokenPromiseError("observations", f"a {type(observations).__name__}")
        worlds, about = self.environment.worlds, self.description
        tallies = self.environment.tallies()
        arrays = {
            "observations": (observations.observations, (worlds, about.agents, len(about.features))),
            "action_mask": (observations.action_mask, (worlds, about.agents, about.actions.logits)),
            "alive": (observations.alive, (worlds, about.agents)),
            "keys": (observations.keys, (worlds,)),
        }
        arrays["over"] = (np.zeros(worlds, np.bool_) if step is None else step.over), (worlds,)
        if step is not None:
            arrays["rewards"] = step.rewards, (worlds, about.agents)
            arrays["terminations"] = step.terminations, (worlds, about.agents)
            arrays["truncations"] = step.truncations, (worlds, about.agents)
        for name, (values, shape) in arrays.items():
            if values.shape != shape:
                raise BrokenPromiseError(name, f"shape {values.shape} where {shape} is declared")
        if decision >= frames_in_memory(about, worlds):
            del arrays["observations"], arrays["action_mask"]
        frame = {name: np.array(values) for name, (values, _) in arrays.items()}
        for name in ("sums", "exposures"):
            values = np.asarray(getattr(tallies, name) if isinstance(tallies, Tallies) else tallies)
            frame[name] = np.moveaxis(values, -1, 0).copy() if values.ndim else values
        return frame
