"""Play a chosen episode with each of its policies, and record it: whole for a page of its own, a part for a report."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from attrs import evolve

from townlet.dto.recording import EpisodeRecording, RecordedPair
from townlet.policy.evaluation.recording import PlayedEpisode, played_episode
from townlet.policy.training.episode_choice import ChosenEpisode

__all__ = ["record_pair", "record_part"]

_SHOWN = 4
"""KPIs that a sentence names."""


def record_pair(
    chosen: ChosenEpisode, *, every: int | None = None, on_decision: Callable[[], None] = lambda: None
) -> RecordedPair:
    """Return the episode as each policy played it; `every` is the number of decisions between pictures."""
    with ExitStack() as stack:
        played = _played(chosen, stack, every, on_decision)
        return _pair(chosen, played, tuple(each.recording() for each in played))


def record_part(chosen: ChosenEpisode, characters: int) -> RecordedPair:
    """Return what a report shows of the episode: of a town the part in which the policies differ most.

    Where the episode was chosen for its gain, that is the part with the largest gain; for its loss, with the largest
    loss. Each strip of pictures has at most so many `characters`.
    """
    with ExitStack() as stack:
        played = _played(chosen, stack)
        part = _widest_part(chosen, played)
        episodes = tuple(each.recording(part, characters) for each in played)
        return evolve(_pair(chosen, played, episodes), part=part)


def _played(
    chosen: ChosenEpisode,
    stack: ExitStack,
    every: int | None = None,
    on_decision: Callable[[], None] = lambda: None,
) -> list[PlayedEpisode]:
    """Return the episode as each policy has played it, open for drawing until the stack is left."""
    return [
        stack.enter_context(
            played_episode(
                chosen.environments,
                chosen.environment.scenario,
                named,
                source=source,
                seed=chosen.seed,
                max_steps=chosen.max_steps,
                episode=chosen.episode,
                every=every,
                on_decision=on_decision,
            )
        )
        for named, source in chosen.policies
    ]


def _widest_part(chosen: ChosenEpisode, played: Sequence[PlayedEpisode]) -> tuple[int, int] | None:
    """Return the part in which the objective's difference is largest; None where only the whole can be shown."""
    sizes = [each.part for each in played]
    if None in sizes:
        return None
    size, length = min(filter(None, sizes)), min(each.decisions for each in played)
    description = chosen.environments.describe(chosen.environment.scenario)
    objective = description.objective_index
    sign = -1.0 if (description.metrics[objective].direction.value == "lower") != (chosen.extreme == "loss") else 1.0
    parts = [(first, min(first + size, length)) for first in range(0, length, size)]
    gains = [sign * _difference(played, objective, part) for part in parts]
    return parts[gains.index(max(gains))]


def _difference(played: Sequence[PlayedEpisode], objective: int, part: tuple[int, int]) -> float:
    """Return the first policy's objective in a part less the second's, or less nothing; −∞ without exposure."""
    first, last, values = *part, list[float]()
    for each in played:
        before, after = each.tallied[first], each.tallied[last]
        exposure = after.exposures[objective, 0] - before.exposures[objective, 0]
        total = after.sums[objective, 0] - before.sums[objective, 0]
        values.append(float(total / exposure) if exposure > 0 else math.nan)
    difference = values[0] - sum(values[1:])
    return difference if math.isfinite(difference) else -math.inf


def _pair(
    chosen: ChosenEpisode, played: Sequence[PlayedEpisode], episodes: tuple[EpisodeRecording, ...]
) -> RecordedPair:
    scenario = chosen.environment.scenario
    return RecordedPair(
        environment=chosen.environment.id,
        scenario=scenario,
        objective=chosen.environments.describe(scenario).objective,
        seed=chosen.seed,
        episode=chosen.episode,
        actions=chosen.actions,
        origin=chosen.origin,
        extreme=chosen.extreme,
        unpaired=chosen.unpaired or len({each.beginning for each in played}) > 1,
        doubt=_doubt(chosen, episodes),
        episodes=episodes,
    )


def _doubt(chosen: ChosenEpisode, episodes: tuple[EpisodeRecording, ...]) -> str:
    """Return a sentence where a KPI of the recording is not what evidence counted; empty where all agree."""
    other = sorted(
        {
            kpi.name
            for episode in episodes
            for kpi in episode.kpis
            if kpi.name in (counted := chosen.counted.get(episode.policy, {})) and counted[kpi.name] != kpi.value
        }
    )
    if not other:
        return ""
    names = ", ".join(other[:_SHOWN]) + (f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else "")
    why = "the environment ignores its seed" if chosen.unpaired else "the environment or a library is another version"
    return f"What is shown is not what the evidence counted ({names} differ): {why}."
