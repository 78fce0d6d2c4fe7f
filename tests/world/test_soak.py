"""A long time of anything at all."""

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_town_invariants import _actions, _check

from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.dto.town import KINDS, TownSpec
from townlet.errors import BadInputError
from townlet.world.batch import TownBatch


@pytest.mark.parametrize("name", ["small_town", "queue_conflict", "crowded"])
def test_ten_thousand_ticks_of_anything_leave_sound_towns(name: str) -> None:
    """64 worlds under legal and illegal actions: no NaN, no deadlock, every invariant at every hundredth decision."""
    batch = TownBatch(scenario(name), worlds=64, seed=8, days=7)
    rng, seen = np.random.default_rng(1), batch.reset()
    longest, turns = 0, scenario(name).agents * 100
    for decision in range(10_000 // 6):
        result = batch.step(_actions(rng, batch, seen.action_mask, 0.3))
        seen = result.observations
        assert np.isfinite(result.rewards).all()
        waiting = batch._state.agents["queue"] >= 0
        longest = max(longest, int(batch._state.agents["waited"][waiting].max(initial=0)))
        if decision % 100 == 0:
            _check(batch)
            assert np.isfinite(seen.observations).all()
    assert 0 < longest < turns


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32),
    agents=st.integers(1, 12),
    objects=st.lists(st.sampled_from(KINDS), min_size=1, max_size=10),
    ticks=st.sampled_from([1, 2, 5, 6, 15]),
    size=st.tuples(st.integers(18, 48), st.integers(13, 48)),
    decay=st.floats(0, 0.004),
)
def test_any_town_that_is_accepted_can_be_played(
    seed: int, agents: int, objects: list[str], ticks: int, size: tuple[int, int], decay: float
) -> None:
    """A random spec is either refused with a reason or holds its invariants under random play."""
    small = scenario("small_town")
    try:
        spec: TownSpec = attrs.evolve(
            small,
            agents=agents,
            objects=tuple(objects),
            object_slots=10,
            ticks_per_decision=ticks,
            width=size[0],
            height=size[1],
            needs={**small.needs, "hunger": attrs.evolve(small.needs["hunger"], decay=decay)},
        )
    except BadInputError:
        return
    batch = TownBatch(spec, worlds=2, seed=seed, days=1)
    rng, seen = np.random.default_rng(seed), batch.reset()
    for _ in range(120):
        seen = batch.step(_actions(rng, batch, seen.action_mask, 0.2)).observations
    _check(batch)


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"quiet", "city"}))
def test_crowding_one_object_never_stops_its_queue(name: str) -> None:
    """Everybody wants the same object all the time, in and out of the queue: it is used on and on."""
    batch = TownBatch(scenario(name), worlds=8, seed=3, days=2)
    rng, seen, last = np.random.default_rng(2), batch.reset(), None
    for decision in range(480):
        target = 6 + decision // 160 % len(batch.spec.objects)
        wish = np.where(rng.random(seen.alive.shape) < 0.8, target, rng.choice([0, 3, 5], seen.alive.shape))
        seen = batch.step(wish.astype(np.int64)).observations
        _check(batch)
        if decision % 160 == 159:
            uses = batch._state.objects["uses"].sum(1)
            assert last is None or np.all(uses >= last)
            last = uses
    assert np.all(last > 0)
