"""What a report embeds of an episode: the part in which the policies differ most, played again with the same bits."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from attrs import evolve

from townlet.dto.recording import EpisodeRecording, FilmStrip, TownRecording
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.imports import Imports
from townlet.policy.evaluation.comparison import NamedPolicy, PolicyReference
from townlet.policy.training.episode_choice import ChosenEpisode, episode_of_seed
from townlet.policy.training.episode_pair import record_pair, record_part

DAYS, DAY = 3, 240
"""Days of the episode, and decisions of a day."""
FINE = ("hunger", "hygiene", "energy", "wallet")


def chosen(extreme: str = "", scenario: str = "small_town") -> ChosenEpisode:
    """Return an episode in which the planner plays against chance."""
    references = tuple(PolicyReference(source=f"teacher:{name}", teacher=name) for name in ("planner", "random"))
    episode = episode_of_seed(
        references,
        environment=EnvironmentSpec(id="town", scenario=scenario),
        imports=Imports(()),
        seed=5,
        episode="0",
        days=DAYS,
        actions="greedy",
    )
    return evolve(episode, extreme=extreme)


def town_of(episode: EpisodeRecording) -> TownRecording:
    """Return the town of a recording."""
    assert episode.town is not None
    return episode.town


def returns(episode: EpisodeRecording) -> list[float]:
    """Return the sum of all agents' returns at the end of each day."""
    column = next(each for each in town_of(episode).columns if each.name == "agent.episode_return")
    ticks = town_of(episode).day
    return [float(column.values()[day * ticks].sum()) for day in range(DAYS + 1)]


@pytest.mark.parametrize("extreme", ["gain", "loss"])
def test_the_part_is_the_day_with_the_largest_difference(extreme: str) -> None:
    """Of a gain the day with the largest one, of a loss the one with the smallest, by the returns of the whole."""
    whole = record_pair(chosen(extreme))
    own, other = (np.diff(returns(episode)) for episode in whole.episodes)
    day = int(np.argmax(own - other) if extreme == "gain" else np.argmin(own - other))

    assert (day * DAY, (day + 1) * DAY) == record_part(chosen(extreme), 1000).part


def test_a_part_shows_the_same_moments_as_the_whole() -> None:
    """Places, queues and conflicts are those of the whole recording; only levels and wallets are coarser."""
    whole, part = record_pair(chosen("loss")), record_part(chosen("loss"), 1000)
    assert part.part is not None
    for full, shown in zip(whole.episodes, part.episodes, strict=True):
        town, first = town_of(full), part.part[0] * town_of(full).ticks_per_decision
        assert town.start + first == town_of(shown).start
        columns = {column.name: column.values() for column in town.columns}
        for column in town_of(shown).columns:
            expected = columns[column.name][first : first + town.day + 1]
            coarse = column.name.partition(".")[2] in FINE
            if column.name != "agent.activity":  # who moves is seen from the moment before, which a part lacks at first
                np.testing.assert_allclose(column.values(), expected, atol=0.06 if coarse else 0, err_msg=column.name)
        assert [kpi.value for kpi in full.kpis] == [kpi.value for kpi in shown.kpis]
        assert full.decisions == shown.decisions


def test_a_part_of_a_large_town_is_some_hours() -> None:
    """So that the page stays small: with 64 agents three hours."""
    part = record_part(evolve(chosen(scenario="city"), max_steps=60), 1000).part

    assert part is not None
    assert 30 == part[1] - part[0]


@dataclass
class Frames:
    """How many pictures of a strip are left within a size."""

    characters: int
    left: tuple[int, ...]


@pytest.mark.parametrize(
    "case", [Frames(60, (0, 1, 2, 3, 4, 5)), Frames(40, (0, 2, 4, 5)), Frames(35, (0, 4, 5)), Frames(1, (5,))]
)
def test_a_strip_is_thinned_to_its_place(case: Frames) -> None:
    """Every second picture goes until the rest fits; the last one stays."""
    strip = FilmStrip(
        media_type="image/webp", width=1, height=1, decisions=tuple(range(6)), pictures=("x" * 10,) * 6
    ).within(case.characters)

    assert case.left == strip.decisions
    assert math.isclose(10 * len(case.left), strip.size)


def test_curves_of_different_size_may_begin_alike() -> None:
    """One policy lets the pole fall and another balances it: both began with the same numbers, however rounded."""
    balance = PolicyReference(source="teacher:balance", teacher="balance")
    episode = episode_of_seed(
        (balance,),
        environment=EnvironmentSpec(id="gymnasium:CartPole-v1", max_steps=200),
        imports=Imports(()),
        seed=5,
        episode="0",
        days=None,
        actions="greedy",
    )
    assert isinstance(episode.environments, GymnasiumProvider)
    push = NamedPolicy(name="teacher:push", policy=episode.environments.teacher_of(lambda _: 0))

    assert not record_pair(evolve(episode, policies=(*episode.policies, (push, "push")))).unpaired
