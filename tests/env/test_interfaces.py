"""The town through the interfaces of PettingZoo and Gymnasium."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from pettingzoo.test import parallel_api_test

from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.env import parallel_env
from townlet.env.parallel import TownParallelEnv
from townlet.env.registration import IDS
from townlet.env.town import TownProvider, describe
from townlet.env.vector import TownVectorEnv
from townlet.errors import BadInputError


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_pettingzoo_accepts_every_scenario(name: str) -> None:
    """The API test passes over a thousand decisions, deaths and ends of episodes included."""
    parallel_api_test(parallel_env(scenario=name, days=2), 1000)


def _episode(env: TownParallelEnv, seed: int | None) -> list[object]:
    """Return all that a keyed random player sees and earns over an episode."""
    seen, _ = env.reset(seed=seed)
    rng, told = np.random.default_rng(5), []
    while env.agents:
        actions = {a: int(rng.choice(np.flatnonzero(seen[a]["action_mask"]))) for a in env.agents}
        seen, rewards, terminations, truncations, _ = env.step(actions)
        told += [rewards, terminations, truncations, {a: seen[a]["observation"].tobytes() for a in seen}]
    return told


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_equal_seeds_play_equal_episodes(name: str) -> None:
    """A whole episode is the same in another environment of the seed, and another for another seed."""
    first, second = parallel_env(scenario=name, days=1), parallel_env(scenario=name, days=1)
    told = _episode(first, 3)
    assert told == _episode(second, 3)
    assert told == _episode(first, 3), "a seed begins again"
    assert told != _episode(first, None), "without one the next episode follows"
    assert told != _episode(second, 4)


def test_the_dead_do_not_return() -> None:
    """An agent that dies is told once and then is gone, though its slot lives again in the town."""
    env = parallel_env(scenario="small_town", days=4)
    env.reset(seed=1)
    deaths = 0
    while env.agents:
        before = list(env.agents)
        _, _, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
        gone = {a for a in before if terminations[a] or truncations[a]}
        assert set(before) - gone == set(env.agents)
        deaths += sum(terminations.values())
    assert deaths > 0


def test_a_town_can_be_looked_at() -> None:
    """Text shows every object, pixels have 12 to a tile, and without a mode there is nothing."""
    env = parallel_env(render_mode="ansi")
    env.reset(seed=1)
    lines = env.render().splitlines()
    assert 25 == len(lines)
    assert {24} == {len(rank_base) for rank_base in lines[1:]}
    picture = parallel_env(scenario="quiet", render_mode="rgb_array")
    picture.reset(seed=1)
    pixels = picture.render()
    assert (288, 288, 3) == pixels.shape
    assert 12 * 12 >= (pixels == (34, 34, 34)).all(-1).sum() == 4 * 4
    assert parallel_env().render() is None
    with pytest.raises(BadInputError, match="did you mean 'ansi'"):
        parallel_env(render_mode="anci")


def test_wrong_words_are_refused() -> None:
    """Unknown agents, actions and scenarios raise; so does a step after the end."""
    env = parallel_env(scenario="quiet", days=1)
    with pytest.raises(BadInputError, match="call reset first"):
        env.step({})
    env.reset(seed=1)
    with pytest.raises(BadInputError, match="unknown agent 'agent_1'"):
        env.step({"agent_1": 0})
    with pytest.raises(BadInputError, match="expected 0 to 13"):
        env.step({"agent_0": 14})
    with pytest.raises(BadInputError, match="did you mean 'quiet'"):
        parallel_env(scenario="quite")


@pytest.mark.parametrize("name", ["small_town", "quiet"])
def test_gymnasium_accepts_a_lane(name: str) -> None:
    """`check_env` passes on one agent of a registered town."""
    check_env(gymnasium.make(f"townlet.env.registration:Townlet/{name}-v0", render_mode="rgb_array").unwrapped)


def test_every_scenario_is_registered() -> None:
    """There is an id for each preset, and `make_vec` builds whole worlds of lanes."""
    assert {f"Townlet/{name}-v0" for name in SCENARIOS} == set(IDS) <= set(gymnasium.registry)
    lanes = gymnasium.make_vec("Townlet/small_town-v0", num_envs=16)
    seen, infos = lanes.reset(seed=2)
    assert (16, 184) == seen.shape == lanes.observation_space.shape
    assert (16, 14) == infos["action_mask"].shape
    with pytest.raises(BadInputError, match="a multiple of 8"):
        TownVectorEnv(num_envs=12)


def test_lanes_begin_again_in_the_step_in_which_they_end() -> None:
    """Same-step autoreset: the final observation is in infos, the returned one begins the next episode."""
    lanes = TownVectorEnv(num_envs=6, scenario="queue_conflict", days=1)
    assert AutoresetMode.SAME_STEP == lanes.metadata["autoreset_mode"]
    lanes.reset(seed=4)
    twin = TownProvider().make(
        "queue_conflict", worlds=2, seed=4, max_steps=describe(scenario("queue_conflict")).episode_length(1)
    )
    twin.reset()
    wait = np.zeros(6, np.int64)
    for decision in range(240):
        seen, rewards, terminations, truncations, infos = lanes.step(wait)
        result = twin.step(wait.reshape(2, 3))
        assert result.rewards.ravel().tolist() == rewards.tolist()
        assert (decision == 239) == truncations.all() == ("final_obs" in infos)
        assert not terminations.any()
    assert result.observations.observations.reshape(6, -1).tolist() == infos["final_obs"].tolist()
    assert infos["_final_obs"].all()
    assert twin.reset().observations.reshape(6, -1).tolist() == seen.tolist()
    again = lanes.step(wait)
    assert not again[3].any()


def test_a_lane_dies_and_lives_again() -> None:
    """A death terminates its lane once; until the slot lives again it shows zeros and earns nothing."""
    lanes = TownVectorEnv(num_envs=8, days=4)
    lanes.reset(seed=1)
    terminated = 0
    for _ in range(900):
        seen, _rewards, terminations, truncations, infos = lanes.step(np.zeros(8, np.int64))
        terminated += int(terminations.sum())
        dead = ~infos["alive"]
        assert not seen[dead].any()
        assert np.all(infos["action_mask"][dead].sum(1) == 1)
        assert not (terminations & truncations).any()
    assert terminated > 8


def test_lanes_take_whole_numbers_of_their_own_shape() -> None:
    """Another shape, type or value of actions is refused by name."""
    lanes = TownVectorEnv(num_envs=8)
    lanes.reset(seed=1)
    for actions in (np.zeros(7, np.int64), np.zeros(8), np.full(8, 14)):
        with pytest.raises(BadInputError, match="expected"):
            lanes.step(actions)
    with pytest.raises(BadInputError, match="expected 0 to 13"):
        lanes.step(np.full(8, 2**63 + 5, np.uint64))
    with pytest.raises(BadInputError, match="one for each of 8 lanes"):
        lanes.reset(seed=[1] * 7)


def test_the_adapters_are_asked_for_by_name() -> None:
    """Importing the environment room loads neither PettingZoo nor Gymnasium nor the compiler."""
    heavy = "{'numba', 'gymnasium', 'pettingzoo'}"
    code = f"import sys, townlet.env, townlet.env.town; sys.exit(bool({heavy} & set(sys.modules)))"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_a_missing_library_is_named_with_its_extra() -> None:
    """Whichever package of an extra is missing, the error names it and what to install, and is an ImportError too."""
    for library, statement, extra in (
        ("pettingzoo", "from townlet.env import parallel_env; parallel_env()", "env"),
        ("gymnasium", "from townlet.env import parallel_env; parallel_env()", "env"),
        ("gymnasium", "import townlet.env.vector", "env"),
        ("gymnasium", "import townlet.env.lane", "env"),
        ("gymnasium", "import townlet.env.registration", "env"),
        ("stable_baselines3", "import townlet.env.sb3", "sb3"),
    ):
        code = (
            f"import sys; sys.modules[{library!r}] = None\n"
            f"try:\n    {statement}\nexcept ImportError as error:\n    sys.stderr.write(str(error))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stderr.startswith(f"this interface needs {library}, "), done.stderr
        assert f"pip install 'townlet[{extra}]'" in done.stderr


def test_features_stay_within_their_bound() -> None:
    """Observations of every interface lie in its space."""
    lanes = TownVectorEnv(num_envs=scenario("crowded").agents, scenario="crowded", days=1)
    seen, _ = lanes.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(240):
        assert lanes.observation_space.contains(seen)
        seen, *_ = lanes.step(rng.integers(0, 14, lanes.num_envs))
