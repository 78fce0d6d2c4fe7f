"""What libraries of reinforcement learning do with the views of the town."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test
from pettingzoo.test.state_test import state_test
from pettingzoo.utils import parallel_to_aec
from town_views import VIEWS, play

from townlet.env import parallel_env
from townlet.env.lane import TownLaneEnv
from townlet.env.parallel import FORMATS
from townlet.env.vector import TownVectorEnv
from townlet.errors import BadInputError

REGISTERED = "townlet.env.registration:Townlet/small_town-v0"


@settings(max_examples=40)
@given(seed=st.integers(0, 2**64 - 1), black_death=st.booleans())
def test_a_step_after_the_end_returns_five_empty_dictionaries(seed: int, black_death: bool) -> None:
    """RLlib's loop plays on until all agents agree on how they ended, which a mix of deaths and time never does."""
    env = parallel_env(days=1, black_death=black_death)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    steps, ends = 0, dict.fromkeys(env.agents, "alive")
    while True:
        _, _, terminations, truncations, _ = env.step({a: int(rng.integers(14)) for a in env.agents})
        ends |= {a: "died" for a in terminations if terminations[a]} | {
            a: "time" for a in truncations if truncations[a]
        }
        steps += 1
        if all(terminations.values()) or all(truncations.values()):
            break
    assert steps <= 241
    assert not env.agents
    assert set(ends.values()) <= {"died", "time"}
    assert ({}, {}, {}, {}, {}) == env.step({}) == env.step({"agent_0": 3})
    assert len(env.possible_agents) == len(env.reset()[0])


def test_every_autoreset_mode_plays_the_same_episodes() -> None:
    """The three modes show the same last and first observations: in the same step, in the next, or when asked."""
    modes = (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)
    same, following, asked = (TownVectorEnv(num_envs=16, days=1, autoreset_mode=mode) for mode in modes)
    for env, mode in zip((same, following, asked), modes, strict=True):
        assert mode is env.autoreset_mode is env.metadata["autoreset_mode"]
        env.reset(seed=4)
    wait = np.zeros(16, np.int64)
    for decision in range(240):
        out = [env.step(wait) for env in (same, following, asked)]
        assert 1 == len({o[1].tobytes() + o[2].tobytes() + o[3].tobytes() for o in out})
        done = out[0][2] | out[0][3]
        assert done.any() == ("final_obs" in out[0][4])
        assert (decision == 239) == out[0][3].any()
    last = out[0][4]["final_obs"]
    assert out[0][4]["_final_obs"].all()
    assert last.tobytes() == out[1][0].tobytes() == out[2][0].tobytes()
    assert out[0][4]["final_info"]["alive"].tobytes() == out[1][4]["alive"].tobytes()
    first = out[0][0]
    begun = following.step(np.full(16, 13))
    assert first.tobytes() == begun[0].tobytes()
    assert not np.any(begun[1:4])
    assert asked.step(wait)[3].any(), "nothing begins by itself"
    assert first.tobytes() == asked.reset(options={"reset_mask": np.ones(16, np.bool_)})[0].tobytes()
    out = [env.step(wait) for env in (same, following, asked)]
    assert 1 == len({o[0].tobytes() + o[1].tobytes() for o in out})
    with pytest.raises(BadInputError, match="did you mean 'SAME_STEP'"):
        TownVectorEnv(num_envs=8, autoreset_mode="SAME_STOP")


def test_a_mask_resets_whole_worlds_only() -> None:
    """The marked world begins anew and the other plays on; a dead lane that is marked alone lives again by itself."""
    env = TownVectorEnv(num_envs=16, days=1, autoreset_mode=AutoresetMode.DISABLED)
    before, _ = env.reset(seed=4)
    seen, *_ = env.step(np.ones(16, np.int64))
    after, infos = env.reset(options={"reset_mask": np.arange(16) < 8})
    assert seen[8:].tobytes() == after[8:].tobytes()
    assert before[:8].tobytes() != after[:8].tobytes() != seen[:8].tobytes()
    assert after.tobytes() == env.reset(options={"reset_mask": np.arange(16) == 3})[0].tobytes()
    assert infos["action_mask"].tobytes() == env.action_masks().tobytes()
    for mask in (np.zeros(16, np.bool_), np.ones(16), np.ones(8, np.bool_)):
        with pytest.raises(BadInputError, match="reset_mask"):
            env.reset(options={"reset_mask": mask})


def test_wrappers_of_gymnasium_take_the_lanes() -> None:
    """Statistics of episodes count what the rewards add up to, and masks are asked for through `call`."""
    env = RecordEpisodeStatistics(TownVectorEnv(num_envs=8, days=1, scenario="small_town"))
    env.reset(seed=2)
    for _ in range(240):
        *_, truncations, infos = env.step(np.zeros(8, np.int64))
    assert truncations.all()
    assert infos["_episode"].all()
    inner = env.unwrapped
    assert inner.action_masks().tobytes() == np.stack(inner.call("action_masks")).tobytes()
    assert (None,) * 8 == inner.get_attr("render_mode")
    with pytest.raises(AttributeError):
        inner.get_attr("gravity")
    with pytest.raises(BadInputError, match="no attribute 'gravity'"):
        inner.set_attr("gravity", 1)


def test_lanes_have_a_frame_each() -> None:
    """`render` gives a picture for each lane, as `RecordVideo` tiles them; an unknown mode is refused."""
    env = TownVectorEnv(num_envs=16, render_mode="rgb_array")
    env.reset(seed=1)
    frames = env.render()
    assert 16 == len(frames)
    assert {(288, 288, 3)} == {frame.shape for frame in frames}
    assert frames[0] is frames[7] is not frames[8]
    for view in VIEWS.values():
        with pytest.raises(BadInputError, match="did you mean 'rgb_array'"):
            view(render_mode="rgb_aray")


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_human_reads_the_town_in_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The mode `human` writes the town after every decision, and `render` itself returns nothing."""
    env = VIEWS[name](days=1, render_mode="human")
    play(env, 1, 3)
    assert 4 == capsys.readouterr().out.count("day 0, ")
    assert env.render() is None
    text = VIEWS[name](days=1, render_mode="ansi")
    text.reset(seed=1)
    shown = text.render()
    assert "day 0" in (shown[0] if isinstance(shown, tuple) else shown)


@pytest.mark.parametrize("days", [2, 30])
def test_a_made_town_says_how_long_its_episodes_are(days: int) -> None:
    """`max_episode_steps` follows `days` in both specifications, cuts nothing off, and a spec makes its like."""
    lane, lanes = gymnasium.make(REGISTERED, days=days), gymnasium.make_vec(REGISTERED, num_envs=8, days=days)
    assert 240 * days == lane.spec.max_episode_steps == lanes.spec.max_episode_steps
    assert 240 * days == gymnasium.make(lane.spec).spec.max_episode_steps
    with pytest.raises(BadInputError, match="set days"):
        TownVectorEnv(num_envs=8, days=days, max_episode_steps=7)


def test_a_made_lane_shows_its_mask() -> None:
    """Through Gymnasium's wrappers a lane answers `action_masks`, the mask of its info; `check_env` accepts it."""
    lane = gymnasium.make("townlet.env.registration:Townlet/quiet-v0")
    _, info = lane.reset(seed=1)
    assert info["action_mask"].tolist() == lane.get_wrapper_attr("action_masks")().tolist()
    check_env(TownLaneEnv(days=1, render_mode="ansi"), skip_render_check=True)
    with pytest.raises(BadInputError, match="call reset first"):
        TownLaneEnv().step(np.int64(0))


@pytest.mark.parametrize("observation_format", FORMATS)
@pytest.mark.parametrize("black_death", [False, True])
def test_observations_come_in_the_form_that_a_client_reads(observation_format: str, black_death: bool) -> None:
    """PettingZoo accepts every form; all carry the same features and masks."""
    env = parallel_env(days=2, observation_format=observation_format, black_death=black_death)
    parallel_api_test(env, 600)
    seen, infos = env.reset(seed=3)
    plain, _ = parallel_env(days=2).reset(seed=3)
    for agent, expected in plain.items():
        assert env.observation_space(agent).contains(seen[agent])
        if observation_format == "flat":
            features, mask = seen[agent], infos[agent]["action_mask"]
        else:
            features = seen[agent]["observations" if observation_format == "rllib" else "observation"]
            mask = seen[agent]["action_mask"]
        assert expected["observation"].tobytes() == features.tobytes()
        assert expected["action_mask"].tobytes() == mask.tobytes()
    with pytest.raises(BadInputError, match="did you mean 'flat'"):
        parallel_env(observation_format="flatt")


def test_the_dead_stay_in_black() -> None:
    """With black death all agents stay; the dead see zeros, may only wait, earn 0, and end as terminated."""
    env = parallel_env(days=4, black_death=True)
    env.reset(seed=1)
    everybody, dead = set(env.possible_agents), set()
    plain = parallel_env(days=4)
    plain.reset(seed=1)
    while env.agents:
        assert everybody == set(env.agents)
        seen, rewards, terminations, truncations, _ = env.step(dict.fromkeys(env.agents, 0))
        _, expected, ends, _, _ = plain.step(dict.fromkeys(plain.agents, 0))
        assert expected == {a: rewards[a] for a in expected}
        for agent in dead:
            assert not seen[agent]["observation"].any()
            assert [1, *[0] * 13] == seen[agent]["action_mask"].tolist()
            assert 0 == rewards[agent]
        dead |= {a for a, end in ends.items() if end}
        assert bool(env.agents) != (any(terminations.values()) or any(truncations.values()))
    assert dead == {a for a, end in terminations.items() if end}
    assert everybody - dead == {a for a, end in truncations.items() if end}


def test_a_town_has_a_state() -> None:
    """PettingZoo's test of the global state passes, and the state holds every agent's features."""
    env = parallel_env(days=1)
    seen, _ = env.reset(seed=1)
    assert np.concatenate([seen[a]["observation"] for a in env.agents]).tobytes() == env.state().tobytes()
    assert env.state_space.contains(env.state())
    state_test(parallel_to_aec(parallel_env(days=1)), parallel_env(days=1))
