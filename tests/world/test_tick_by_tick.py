"""A decision that is played tick by tick is the same decision."""

import numpy as np
import pytest
from attrs import evolve

from townlet.dto.scenarios import scenario
from townlet.world.batch import TownBatch
from townlet.world.teachers import TEACHERS

SPEC = scenario("small_town")


@pytest.mark.parametrize("ticks", [720, 100], ids=["whole decisions", "an end within a decision"])
def test_playing_tick_by_tick_changes_no_bit(ticks: int) -> None:
    """State, observations, rewards and their terms are equal after each decision, and after the end."""
    whole, parts = (TownBatch(SPEC, worlds=3, seed=5, days=1, ticks=ticks) for _ in range(2))
    observations, teacher = whole.reset(), TEACHERS["scripted"]()
    parts.reset()
    seen: list[int] = []
    for _ in range(ticks // SPEC.ticks_per_decision + 3):
        actions = np.asarray(teacher.act(observations)).reshape(3, SPEC.agents)
        expected = whole.step(actions)
        found = parts.step(actions, lambda: seen.append(int(parts.world_rows(0)[0]["tick"])))
        observations = expected.observations
        np.testing.assert_array_equal(expected.observations.observations, found.observations.observations)
        np.testing.assert_array_equal(expected.rewards, found.rewards)
        np.testing.assert_array_equal(whole.breakdown().terms, parts.breakdown().terms)
        assert whole.state_hash() == parts.state_hash()

    played = int(whole.world_rows(0)[0]["tick"])
    assert list(range(1, played + 1)) == seen[:played]
    assert {played} == set(seen[played:])


def test_a_decision_of_one_tick_is_one_part() -> None:
    """A town that decides every tick calls back once a decision."""
    batch = TownBatch(evolve(SPEC, ticks_per_decision=1), worlds=1, seed=1, days=1)
    batch.reset()
    seen: list[int] = []
    batch.step(np.zeros((1, SPEC.agents), np.int64), lambda: seen.append(1))

    assert [1] == seen
