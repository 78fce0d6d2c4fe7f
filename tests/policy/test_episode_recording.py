"""What is recorded is the episode that evidence counts: the same KPIs, and the state of the town at every tick."""

import numpy as np
import pytest

from townlet.dto.recording import EpisodeRecording, TownRecording
from townlet.env.town import TownProvider
from townlet.errors import BadInputError
from townlet.policy.evaluation.comparison import NamedPolicy
from townlet.policy.evaluation.episodes import play
from townlet.policy.evaluation.recording import played_episode

TOWN = TownProvider()
SEED, DECISIONS = 5, 240


def recorded(scenario: str, teacher: str, episode: int, decisions: int = DECISIONS) -> EpisodeRecording:
    """Return a recording of a script."""
    named = NamedPolicy(name=f"teacher:{teacher}", policy=TOWN.teacher(scenario, teacher))
    with played_episode(
        TOWN, scenario, named, source="a script", seed=SEED, max_steps=decisions, episode=episode
    ) as played:
        return played.recording()


def town_of(recording: EpisodeRecording) -> TownRecording:
    """Return the town."""
    assert recording.town is not None
    return recording.town


def column(town: TownRecording, name: str) -> np.ndarray:
    """Return a column of a town [T, K]."""
    return next(packed.values() for packed in town.columns if packed.name == name)


@pytest.mark.parametrize(("scenario", "teacher"), [("small_town", "scripted"), ("queue_conflict", "random")])
def test_the_kpis_are_those_that_evidence_counts(scenario: str, teacher: str) -> None:
    """Episode i of a seed alone is world i of a batch, bit by bit."""
    counted = play(
        TOWN, scenario, TOWN.teacher(scenario, teacher), seed=SEED, max_steps=DECISIONS, first=0, count=4
    )  # fmt: skip
    for episode in (0, 3):
        kpis = recorded(scenario, teacher, episode).kpis
        assert [counted.ratios(index)[episode] for index in range(len(kpis))] == [kpi.value for kpi in kpis]


def test_a_running_kpi_ends_at_the_value_of_the_episode() -> None:
    """After each decision, rounded to four digits; what is not known yet is not called zero."""
    recording = recorded("small_town", "scripted", 0)
    assert {DECISIONS + 1} == {kpi.running.length for kpi in recording.kpis}
    for kpi in recording.kpis:
        if kpi.value is not None:
            assert kpi.value == pytest.approx(kpi.running.values()[-1, 0], rel=1e-2, abs=1e-2)
    known = {kpi.name: kpi.known.values()[:, 0] for kpi in recording.kpis}
    assert [0, 0] == [known["return_per_agent_day"][0], known["self_sufficiency"][DECISIONS // 2]]
    assert 1 == known["self_sufficiency"][DECISIONS]


def test_every_tick_is_recorded() -> None:
    """Moments are ticks; an agent walks one tile a tick; levels and wallets are those of the rules."""
    town = town_of(recorded("small_town", "scripted", 0))
    x, y = column(town, "agent.x"), column(town, "agent.y")
    lives = column(town, "agent.generation")
    steps = np.abs(np.diff(x, axis=0)) + np.abs(np.diff(y, axis=0))

    assert (6 * DECISIONS + 1, 8) == x.shape
    assert 1 == steps[np.diff(lives, axis=0) == 0].max()
    assert all(0 <= column(town, f"agent.{need}").min() <= 1 for need in ("hunger", "hygiene", "energy"))
    assert 0 <= column(town, "agent.wallet").min()


def test_queues_stand_in_their_order() -> None:
    """Places count from 1 without a gap, the holder has place 0, and who is in no queue has none."""
    town = town_of(recorded("queue_conflict", "scripted", 0))
    queue, place, holder = (column(town, name) for name in ("agent.queue", "agent.place", "object.holder"))
    longest = 0
    for t in range(len(queue)):
        assert set(place[t][queue[t] < 0]) <= {-1}
        for o in range(holder.shape[1]):
            members = sorted(place[t][queue[t] == o])
            first = 0 if holder[t, o] >= 0 else 1
            assert list(range(first, first + len(members))) == members
            longest = max(longest, len(members))
    assert 3 == longest


def test_each_conflict_is_recorded_once_with_both_parties() -> None:
    """As many as the KPI counts, with the sum of their intensities; rivals have a line from then on."""
    recording = recorded("queue_conflict", "scripted", 1)
    town, rows = town_of(recording), town_of(recording).conflicts.values() * town_of(recording).conflicts.scale
    kpis = {kpi.name: kpi.value for kpi in recording.kpis}
    days = len(town.agents)

    assert len(rows) > 10
    assert kpis["conflicts"] == pytest.approx(len(rows) / days)
    assert kpis["queue_intensity"] == pytest.approx(rows[:, 4].sum() / town.conflicts.scale / days, rel=0.05)
    assert np.all(rows[:, 1] < rows[:, 2])
    assert {(int(a), int(b)) for _, a, b, _, _ in rows} <= set(town.pairs)


def test_two_recordings_are_equal() -> None:
    """No clock and no order of a dictionary is in them."""
    assert recorded("crowded", "scripted", 2, 30) == recorded("crowded", "scripted", 2, 30)


def test_a_day_of_eight_agents_takes_little_room() -> None:
    """Two of them stay far below 1.5 MB."""
    town = town_of(recorded("small_town", "scripted", 0))

    assert sum(len(packed.data) for packed in (*town.columns, town.rivalry, town.conflicts)) < 80_000


def test_an_episode_that_no_page_can_hold_is_refused() -> None:
    """The message says how many days can be."""
    with pytest.raises(BadInputError, match="holds at most 4 days of so many; ask for fewer days"):
        recorded("city", "scripted", 0, 14 * 240)
