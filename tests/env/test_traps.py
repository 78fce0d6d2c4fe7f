"""Bugs that adapters of environments shipped elsewhere, each a test; the numbers are those of the list in the design.

Other traps have their tests beside what they are about: 4 to 7, 12, 15, 16 and 18 in test_gymnasium_worlds.py, 8 and 9
in test_pettingzoo_worlds.py, 11, 13 and 14 in test_spaces.py and the tests of distributions; 3, vector environments
handed in, in test_gymnasium_vector_worlds.py; that draws from an empty mask are counted, and not learned from (10), in
tests/policy/test_learner.py.
"""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from townlet.dto.actions import ActionSpec
from townlet.dto.strategies import RampSpec
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.spaces import observation_layout
from townlet.policy.data.dataset import DatasetMetadata
from townlet.policy.distributions.acting import masked, sample
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.ppo.ramps import factor_at, ramp_at
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.services import RolloutCaptureService
from townlet.ports import Environment


class Clock(gymnasium.Env[Any, Any]):
    """Shows the decision and the episode; ends after three decisions, by a fall where `falls`."""

    observation_space = spaces.Box(-99, 99, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, falls: bool = False, loud: bool = False) -> None:
        self.falls, self.loud, self.episode = falls, loud, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode."""
        super().reset(seed=seed)
        self.t, self.episode = 0, self.episode + 1
        return self.look(), {}

    def look(self) -> Any:
        """Return decision, episode, and a number that never changes."""
        if self.loud:
            np.random.seed(5)  # noqa: NPY002 - that it is the global one is the point
            print("tick")  # noqa: T201 - so is this
        return np.array([self.t, self.episode, 7.0], np.float32)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Tick."""
        self.t += 1
        return self.look(), 1.0, self.falls and self.t == 3, not self.falls and self.t == 3, {}


def clocks(worlds: int, **options: bool) -> Environment:
    """Return clocks side by side."""
    return GymnasiumProvider("tests:clock", options, max_steps=3, factory=Clock).make(
        "default", worlds=worlds, seed=1, max_steps=3
    )


def rollout(environment: Environment, decisions: int) -> tuple[Rollout, Any]:
    """Return a rollout and the weights that played it."""
    weights = fresh_weights(environment.description, (8,), np.random.default_rng(0))
    played = Rollout(environment, decisions, 3)
    played.collect(weights)
    return played, weights


def test_the_value_at_a_cut_is_that_of_the_final_observation() -> None:
    """1: not of the first observation of the next episode."""
    played, weights = rollout(clocks(1), 6)
    _, following = played.values(weights)
    final, first = (weights.policy().normalise(np.array([[[t, e, 7.0]]], np.float32)) for t, e in ((3, 1), (0, 2)))
    assert played.truncations[2, 0, 0]
    assert following[2, 0, 0] == weights.values(final)[0]
    assert following[2, 0, 0] != weights.values(first)[0]


@pytest.mark.parametrize("falls", [True, False])
def test_ten_episodes_of_three_decisions_are_thirty_samples(falls: bool) -> None:
    """2: no dead transition with an action that nobody played, whatever the limit."""
    environment = clocks(10, falls=falls)
    about = environment.description
    metadata = DatasetMetadata(
        features=about.features, actions=about.actions.outputs, heads=about.actions.stored_heads,
        environment=about.signature, scenario="default", teacher="teacher:left", discount=0.9,
    )  # fmt: skip

    class Left:
        def act(self, observations: Any) -> Any:
            return np.zeros(observations.alive.shape, np.int64)

    recording = RolloutCaptureService().record(environment, Left(), 3, 0.0, metadata, lambda _: None)
    assert 30 == recording.dataset.alive.sum()
    assert 30.0 == recording.dataset.rewards.sum()


def test_a_row_without_a_legal_option_gives_finite_numbers() -> None:
    """10: the draw, its log-probability, and so the loss."""
    spec = ActionSpec.one_of("a", "b", "c")
    logits = masked(np.array([[1.0, 2.0, 3.0]] * 2, np.float32), np.array([[True] * 3, [False] * 3]))
    none = np.zeros(0, np.float32)
    drawn, log_p = sample(logits, np.zeros((2, 0), np.float32), none, np.full((2, 1), 0.5, np.float32), spec)
    assert np.isfinite(log_p).all()
    assert np.isfinite(drawn).all()


def test_the_order_of_a_dictionarys_keys_changes_no_feature() -> None:
    """17: neither that of the space nor that of the observation."""
    parts = {"b": spaces.Box(0, 9, (1,)), "a": spaces.Discrete(2)}
    one, other = (observation_layout(spaces.Dict({key: parts[key] for key in order}), "test") for order in ("ab", "ba"))
    assert one.names == other.names
    seen = {"a": 1, "b": np.array([4.0], np.float32)}
    backwards = dict(reversed(seen.items()))
    assert np.array_equal(one.flatten(seen), other.flatten(backwards))


def test_a_constant_feature_stays_finite() -> None:
    """19: its standard deviation is 0, and is not divided by."""
    played, weights = rollout(clocks(4), 6)
    assert np.isfinite(played.features).all()
    assert np.isfinite(played.values(weights)[0]).all()


def test_a_ramp_that_waits_for_the_critic_begins_at_its_beginning() -> None:
    """20: the actor's factor is 0 until then, and climbs from there."""
    ramp = RampSpec(actor=((0.0, 0.0), (1000.0, 0.0), (2000.0, 1.0)))
    assert [0.0, 0.0, 0.5, 1.0, 1.0] == [ramp_at((ramp,), 0, at).actor for at in (0, 1000, 1500, 2000, 9000)]
    assert 0.0 == factor_at(ramp.actor, 1000)


def test_an_environment_that_prints_and_seeds_numpy_changes_no_bit(capsys: pytest.CaptureFixture[str]) -> None:
    """21: the same rollout as of a silent one."""
    (quiet, _), (loud, _) = rollout(clocks(3), 9), rollout(clocks(3, loud=True), 9)
    for name in ("features", "actions", "rewards", "log_probs"):
        assert np.array_equal(getattr(quiet, name), getattr(loud, name))
    assert "tick" in capsys.readouterr().out
