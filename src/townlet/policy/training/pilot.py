"""A pilot: a few episodes of the teacher, from which the numbers of a first schedule follow."""

from math import inf, sqrt
from time import perf_counter

from attrs import frozen

from townlet.dto.codec import Record
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.estimate import detectable_difference, paired
from townlet.policy.evaluation.episodes import play
from townlet.ports import EnvironmentDescription, EnvironmentProvider, Teacher
from townlet.rng import derive

__all__ = ["Pilot", "play_pilot"]

_EPISODES = 32
_POWER = 0.9


@frozen(kw_only=True)
class Pilot(Record):
    """What the teacher did in the episodes of a pilot."""

    episodes: int
    """Episodes played."""
    mean: float
    """Mean of the objective."""
    sd: float
    """Standard deviation of the objective between episodes."""
    length: float
    """Mean decisions of an episode."""
    decisions_per_second: float
    """Decisions of agent slots in a second, all worlds together; it is shown and decides nothing."""

    def detectable(self, pairs: int, alpha: float) -> float:
        """Return the true difference that `pairs` pairs find in 9 of 10 cases, if pairs resemble each other not at all.

        Two such episodes differ by √2 standard deviations of one.
        """
        return detectable_difference(pairs, alpha, _POWER) * sqrt(2) * self.sd


def play_pilot(environments: EnvironmentProvider, scenario: str, teacher: Teacher, *, seed: int) -> Pilot:
    """Play 32 episodes; BadInputError where the teacher cannot play or an episode has no number for the objective."""
    description = environments.describe(scenario)
    max_steps, started = description.episode_length(None), perf_counter()
    try:
        episodes = play(
            environments,
            scenario,
            teacher,
            seed=derive(seed, "pilot"),
            max_steps=max_steps,
            first=0,
            count=min(_EPISODES, description.most_worlds or _EPISODES),
        )
    except EnvironmentFaultError as error:
        raise BadInputError(f"the teacher cannot play a pilot: {error}") from error
    values = [value for value in episodes.ratios(description.objective_index) if value is not None]
    if len(values) < 2:
        raise BadInputError(f"{_place(description)}: {description.objective} has no number in a pilot of the teacher")
    sample, seconds = paired(values), perf_counter() - started
    return Pilot(
        episodes=episodes.count,
        mean=sample.mean,
        sd=sample.sd,
        length=episodes.agent_steps / (episodes.count * description.agents),
        decisions_per_second=episodes.agent_steps / seconds if seconds else inf,
    )


def _place(description: EnvironmentDescription) -> str:
    return f"environment {description.id}/{description.scenario}"
