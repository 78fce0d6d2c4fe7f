"""Copies, seeds and actions of every view of the town."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from town_views import VIEWS, plain, play

from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.env import parallel_env
from townlet.env.lane import TownLaneEnv
from townlet.env.vector import TownVectorEnv
from townlet.errors import BadInputError
from townlet.world.batch import TownBatch


@pytest.mark.parametrize("name", sorted(VIEWS))
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_view_plays_on_alone(name: str, copied: Callable[[Any], Any]) -> None:
    """A copy in the middle of an episode continues it with the same bits, and neither touches the other."""
    env = VIEWS[name](days=2)
    play(env, 7)
    twin = copied(env)
    assert twin._town.batch.state_hash() == env._town.batch.state_hash()
    action = {
        "parallel": lambda: dict.fromkeys(env.agents, 1),
        "lane": lambda: 1,
        "vector": lambda: np.ones(16, np.int64),
    }[name]()
    first = [plain(part) for part in env.step(action)[:2]]
    assert twin._town.batch.state_hash() != env._town.batch.state_hash(), "the copy stood still"
    assert first == [plain(part) for part in twin.step(action)[:2]]
    assert twin._town.batch.state_hash() == env._town.batch.state_hash()


def test_a_copied_town_follows_its_own_restore() -> None:
    """A copy restored to a snapshot writes its own observations, and the original keeps its state."""
    batch = TownBatch(scenario("small_town"), worlds=3, seed=(4, 5, 4), days=2)
    first = batch.reset().observations.copy()
    saved = batch.snapshot()
    batch.step(np.ones((3, 8), np.int64))
    twin, mark = copy.deepcopy(batch), batch.state_hash()
    twin.restore(saved)
    assert first.tobytes() == twin.observe().observations.tobytes()
    assert mark == batch.state_hash() != twin.state_hash()
    twin.step(np.ones((3, 8), np.int64))
    assert mark == twin.state_hash()


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_specs_are_copied_and_pickled(name: str) -> None:
    """A copy of a town's spec equals it, and its mappings stay read-only."""
    spec = scenario(name)
    for twin in (copy.deepcopy(spec), copy.copy(spec), pickle.loads(pickle.dumps(spec))):
        assert spec == twin
        with pytest.raises(TypeError):
            twin.needs["energy"] = None


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_views_without_a_seed_play_different_episodes(name: str) -> None:
    """Two new views, and copies of one that was never reset, begin with episodes of their own."""
    fresh = VIEWS[name](days=1)
    copies = [fresh, copy.deepcopy(fresh), pickle.loads(pickle.dumps(fresh)), VIEWS[name](days=1)]
    assert 4 == len({play(env, None, 2) for env in copies})
    assert 1 == len({play(env, 3, 2) for env in copies})


@pytest.mark.parametrize("name", sorted(VIEWS))
@pytest.mark.parametrize("seed", [1.5, "3", -1, 2**64, True])
def test_seeds_are_whole_numbers(name: str, seed: object) -> None:
    """NumPy's integers are seeds like Python's; everything else is refused by name."""
    env = VIEWS[name](days=1)
    with pytest.raises(BadInputError, match="seed is"):
        env.reset(seed=seed)
    assert play(env, np.int32(5), 2) == play(env, 5, 2)
    assert isinstance(env.np_random, np.random.Generator)


def test_a_list_of_seeds_seeds_each_world() -> None:
    """A world plays as if it were alone under the seed of its first lane, and None draws one."""
    lanes, alone = TownVectorEnv(num_envs=24, days=1), TownVectorEnv(num_envs=8, days=1)
    seen, _ = lanes.reset(seed=[7] * 8 + [9] * 8 + [7] * 8)
    for world, seed in enumerate((7, 9, 7)):
        assert alone.reset(seed=seed)[0].tobytes() == seen[8 * world : 8 * world + 8].tobytes()
    seeds = np.arange(24)
    first, again = (lanes.reset(seed=seeds)[0].tobytes() for _ in range(2))
    assert first == again != lanes.reset(seed=None)[0].tobytes()
    mixed, repeated = (lanes.reset(seed=[None] * 8 + [9] * 16)[0].tobytes() for _ in range(2))
    assert mixed == repeated, "what None draws depends on the other seeds"
    with pytest.raises(BadInputError, match=r"seed is 1\.5"):
        lanes.reset(seed=[1.5] * 24)


@pytest.mark.parametrize("action", [1.9, "3", True, None, 14, -1, np.float64(2), np.array([1])])
def test_an_action_is_a_whole_number_everywhere(action: object) -> None:
    """No view plays 1.9 as 1 or takes text; NumPy's integers are actions."""
    lane, town = TownLaneEnv(days=1), parallel_env(days=1)
    lane.reset(seed=1)
    town.reset(seed=1)
    with pytest.raises(BadInputError, match="expected 0 to 13"):
        lane.step(action)
    with pytest.raises(BadInputError, match="expected 0 to 13"):
        town.step({"agent_0": action})
    lane.step(np.int32(1))
    town.step({"agent_0": np.array(1)})
