"""What a call returns: a policy that acts on the environment's own observations, its directory, its numbers."""

import copy
import pickle
from pathlib import Path

import gymnasium
import numpy as np
import pandas as pd
import pytest
from attrs import evolve

import townlet


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> townlet.AnnealResult:
    """Return the result of a short run on CartPole."""
    return townlet.anneal(
        environment="CartPole-v1", teacher="balance", rehearse=True, home=tmp_path_factory.mktemp("home")
    )


def test_its_policy_acts_on_the_environments_own_observation(result: townlet.AnnealResult) -> None:
    """One observation gives an action of the space, a batch gives the same actions."""
    environment = gymnasium.make("CartPole-v1")
    seen = [environment.reset(seed=seed)[0] for seed in range(5)]
    actions = [result.policy.act(observation) for observation in seen]
    assert all(environment.action_space.contains(action) for action in actions)
    assert actions == result.policy.act(np.stack(seen)).tolist()
    environment.close()


def test_a_mask_forbids_options_and_a_draw_needs_a_generator(result: townlet.AnnealResult) -> None:
    """The same generator draws the same actions."""
    policy, seen = result.policy, np.zeros((50, 4), np.float32)
    assert [0] * 50 == policy.act(seen, action_mask=np.tile([True, False], (50, 1))).tolist()
    draws = [policy.act(seen, deterministic=False, rng=np.random.default_rng(3)).tolist() for _ in range(2)]
    assert draws[0] == draws[1]
    assert {0, 1} == set(draws[0])
    with pytest.raises(townlet.BadInputError, match=r"rng=numpy\.random\.default_rng"):
        policy.act(seen, deterministic=False)


@pytest.mark.parametrize("observation", [np.zeros(3), np.zeros((2, 2, 4)), "left", None, {}])
def test_another_observation_is_refused_in_a_sentence(result: townlet.AnnealResult, observation: object) -> None:
    """With what was found and what was expected."""
    with pytest.raises(townlet.BadInputError, match=r"not one of its environment: .*expected .*Box\(\[4\], float32\)"):
        result.policy.act(observation)


def test_its_numbers_are_columns_that_pandas_takes(result: townlet.AnnealResult) -> None:
    """One row an iteration."""
    frame = pd.DataFrame(result.metrics("ppo"))
    assert {"step", "agent_steps", "value_loss"} <= set(frame.columns)
    assert frame["agent_steps"].is_monotonic_increasing
    with pytest.raises(townlet.BadInputError, match=r"no iterations of 'pop'.*'ppo'"):
        result.metrics("pop")


def test_a_torn_last_line_is_no_number(result: townlet.AnnealResult) -> None:
    """A process that was killed may have left half a line."""
    whole = result.metrics("ppo")["step"].tolist()
    with (result.directory / "metrics.jsonl").open("a") as stream:
        stream.write('{"state": "pp')
    assert whole == result.metrics("ppo")["step"].tolist()


def test_it_is_the_summary_and_survives_copies(result: townlet.AnnealResult) -> None:
    """The same plain data; a pickled one still finds its policy."""
    assert isinstance(result, townlet.AnnealSummary)
    assert result.directory == Path(result.path)
    for other in (pickle.loads(pickle.dumps(result)), copy.copy(result)):
        assert other == result
        assert other.model_dump() == result.model_dump()
        assert other.policy.digest == result.policy.digest


def test_a_notebook_shows_it_escaped(result: townlet.AnnealResult) -> None:
    """What `repr` shows."""
    shown = result._repr_html_()
    assert shown.startswith("<pre>")
    assert result.run in shown
    assert "&lt;b&gt;" in evolve(result, state="hold", reason="<b>bold</b>")._repr_html_()


@pytest.mark.long
def test_the_policy_of_the_town_acts_on_features(tmp_path: Path) -> None:
    """[F], [N, F] and [W, N, F] give actions of the leading axes."""
    policy = townlet.run("quickstart", rehearse=True, home=tmp_path).policy
    width = len(policy.spec.features)
    assert [(), (6,), (2, 6)] == [np.shape(policy.act(np.zeros((*axes, width)))) for axes in ((), (6,), (2, 6))]
    with pytest.raises(townlet.BadInputError, match="features on its last axis"):
        policy.act(np.zeros(3))
