"""Every loop over an environment ends where the environment said that an episode ends."""

from collections.abc import Callable

import numpy as np
import pytest
from broken_corridors import Endless, EndsEarly, IgnoresLength
from corridor import PER_DAY, Corridor, CorridorProvider, Walker
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.errors import EnvironmentFaultError
from townlet.policy.data.dataset import DatasetMetadata
from townlet.policy.evaluation.comparison import NamedPolicy, compare
from townlet.policy.evaluation.episodes import BATCH, Episodes, play
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.services import RolloutCaptureService


def evaluated(kind: type[Corridor]) -> object:
    """Play two days with a teacher, in two worlds."""
    return play(CorridorProvider(kind), "plain", Walker("lazy"), seed=1, max_steps=2 * PER_DAY, first=0, count=2)


def compared(kind: type[Corridor]) -> object:
    """Compare two teachers, as `townlet evaluate` does."""
    lazy, straight = (NamedPolicy(name=f"teacher:{name}", policy=Walker(name)) for name in ("lazy", "straight"))
    return compare(
        CorridorProvider(kind),
        "plain",
        lazy,
        straight,
        episodes=2,
        days=2,
        seed=0,
        confidence=0.95,
        actions="greedy",
    )


def captured(kind: type[Corridor]) -> object:
    """Record two days."""
    provider = CorridorProvider(kind)
    description = provider.describe("plain")
    metadata = DatasetMetadata(
        features=description.features,
        actions=description.actions.outputs,
        heads=description.actions.stored_heads,
        environment=description.signature,
        scenario="plain",
        teacher="teacher:lazy",
        discount=0.9,
    )
    worlds = provider.make("plain", worlds=2, seed=1, max_steps=2 * PER_DAY)
    return RolloutCaptureService().record(worlds, Walker("lazy"), 2 * PER_DAY, 0.0, metadata, lambda _: None)


def rolled_out(kind: type[Corridor]) -> object:
    """Collect four days of training episodes that last two."""
    provider = CorridorProvider(kind)
    rollout = Rollout(provider.make("plain", worlds=3, seed=1, max_steps=2 * PER_DAY), 4 * PER_DAY, 2 * PER_DAY)
    return rollout.collect(fresh_weights(provider.describe("plain"), (4,), np.random.default_rng(0)))


@pytest.mark.parametrize("loop", [evaluated, compared, rolled_out])
def test_an_episode_that_never_ends_is_a_fault(
    loop: Callable[[type[Corridor]], object],
) -> None:
    """The sentence names environment, scenario, world and decision, and says what was expected."""
    with pytest.raises(
        EnvironmentFaultError,
        match=r"^environment corridor/plain: the episode of world \d goes on after decision \d+; expected that it ends",
    ):
        loop(Endless)


@pytest.mark.parametrize("kind", [EndsEarly, IgnoresLength])
@pytest.mark.parametrize("loop", [evaluated, compared, captured, rolled_out])
def test_an_episode_that_ends_early_is_a_fault_and_not_a_shorter_episode(
    loop: Callable[[type[Corridor]], object], kind: type[Corridor]
) -> None:
    """Rates over other lengths than the declared one would be compared with each other."""
    with pytest.raises(EnvironmentFaultError, match=r"environment corridor/plain: the episode of world \d ends after"):
        loop(kind)


@pytest.mark.parametrize("loop", [evaluated, compared, captured, rolled_out])
def test_an_episode_of_the_declared_length_passes(loop: Callable[[type[Corridor]], object]) -> None:
    """A day, a world, a cut of the first episode: none of them is taken for a fault."""
    loop(Corridor)


@pytest.mark.parametrize("worlds", [1, 3, 48, 100])
def test_a_rollout_expects_the_end_of_each_world_after_its_first_cut(worlds: int) -> None:
    """Whatever the number of worlds is beside the length of an episode, over several episodes."""
    provider = CorridorProvider()
    rollout = Rollout(provider.make("plain", worlds=worlds, seed=1, max_steps=2 * PER_DAY), 30, 2 * PER_DAY)
    weights = fresh_weights(provider.describe("plain"), (4,), np.random.default_rng(0))
    for _ in range(6):
        rollout.collect(weights)


def test_many_episodes_are_played_in_batches_and_are_the_same_episodes() -> None:
    """The number of worlds at a time is bounded; world i of a seed plays the same episode in every batch."""
    sizes = []

    class Counting(Corridor):
        """Notes how many worlds begin an episode together."""

        def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
            sizes.append(self.worlds)
            return super().reset(worlds)

    def episodes(kind: type[Corridor], first: int, count: int) -> Episodes:
        return play(
            CorridorProvider(kind), "plain", Walker("random"), seed=1, max_steps=PER_DAY, first=first, count=count
        )

    whole, end = episodes(Counting, 0, BATCH + 5), episodes(Corridor, BATCH - 1, 6)
    assert [BATCH, 5] == sizes
    assert BATCH + 5 == whole.count
    assert np.array_equal(whole.sums[:, BATCH - 1 :], end.sums)
