"""Parallel environments of PettingZoo: agents that come and go, what is refused, and that seeds are obeyed."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv

from townlet import api
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.pettingzoo_provider import PettingZooProvider
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.policy.advantages import generalised_advantages
from townlet.policy.evaluation.episodes import play, play_episode
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.ppo.rollout import Rollout
from townlet.ports import provider
from townlet.testing import check_environment

SPREAD = "pettingzoo:mpe2.simple_spread_v3"


class Shift(ParallelEnv[str, Any, Any]):
    """Two agents; `b` leaves after its third decision and comes back three decisions later; each reward is 1."""

    metadata = {"name": "shift_v0"}  # noqa: RUF012 - the library's own convention
    possible_agents = ["a", "b"]  # noqa: RUF012
    max_cycles = 9
    wide: bool = False
    is_blind: bool = False

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return a row of two numbers."""
        return spaces.Box(-9, 9, (3 if self.wide and agent == "b" else 2,), np.float64)

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return three options."""
        return spaces.Discrete(3)

    def _seen(self) -> dict[str, Any]:
        names = self.agents if not self.is_blind or self.t < 2 else ["a"]
        return {name: np.array([self.t, self.start]) for name in names}

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin with both."""
        self.start = np.random.default_rng(seed).uniform()
        self.agents, self.t = ["a", "b"], 0
        mask = np.array([1, 0, 1], np.int8)
        return self._seen(), {name: {"action_mask": mask} for name in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        """Let `b` leave and come back."""
        acted = list(self.agents)
        assert set(actions) == set(acted)
        self.t += 1
        ended = {name: name == "b" and self.t == 3 for name in acted}
        seen = self._seen()
        self.agents = ["a"] if 3 <= self.t < 6 else ["a", "b"]
        seen |= self._seen()
        cut = dict.fromkeys(acted, self.t >= self.max_cycles)
        if self.t >= self.max_cycles:
            self.agents = []
        paid = {name: 1 if name == "a" else np.array(2.0) for name in acted}
        return seen, paid, ended, cut, {name: {} for name in seen}


def shift(**attributes: Any) -> PettingZooProvider:
    """Return the provider of a changed Shift."""
    return PettingZooProvider("tests:shift", factory=type("Shift", (Shift,), attributes))


class Right:
    """Chooses the last option."""

    def act(self, observations: Any) -> Any:
        """Return 2 for everybody."""
        return np.full(observations.alive.shape, 2, np.int64)


def test_an_absent_agent_is_a_dead_slot_and_its_return_is_its_own() -> None:
    """Nine decisions of `a`, six of `b`."""
    worlds = shift().make("default", worlds=2, seed=0, max_steps=9)
    batches = [worlds.reset(), *(worlds.step(np.zeros((2, 2, 1), np.int64)).observations for _ in range(8))]
    assert [3, 4, 5] == [t for t, batch in enumerate(batches) if not batch.alive[0, 1]]
    step = worlds.step(np.zeros((2, 2, 1), np.int64))
    assert step.over.all()
    assert [[True, True]] * 2 == step.truncations.tolist()
    names = worlds.description.metric_names
    sums = dict(zip(names, worlds.tallies().sums[:, 0].tolist(), strict=True))
    assert (9.0 + 6 * 2.0, 9.0, 9.0) == (sums["return_per_episode"], sums["worst_agent_return"], sums["episode_length"])


def test_an_absent_agent_shows_nothing_of_an_earlier_life() -> None:
    """Zeros, and every option: what stands in a dead slot is the same in every batch and after every resume."""
    worlds = shift().make("default", worlds=1, seed=0, max_steps=9)
    first = worlds.reset()
    batches = [worlds.step(np.zeros((1, 2, 1), np.int64)).observations for _ in range(5)]
    assert [3.0, 0.0, 0.0] == [batch.observations[0, 1, 0] for batch in batches[2:]]
    assert batches[3].action_mask[0, 1].all()
    assert not first.action_mask[0, 1].all()


def test_an_agent_that_never_appears_is_not_the_worst() -> None:
    """Its return is none, and not 0."""

    class Alone(Shift):
        possible_agents = ["a", "b", "c"]  # noqa: RUF012

    worlds = PettingZooProvider("tests:alone", factory=Alone).make("default", worlds=1, seed=0, max_steps=9)
    worlds.reset()
    for _ in range(9):
        worlds.step(np.zeros((1, 3, 1), np.int64))
    row = worlds.description.metric_names.index("worst_agent_return")
    assert 9.0 == worlds.tallies().sums[row, 0]


def test_an_agent_that_left_may_be_named_without_an_observation() -> None:
    """Some environments return None for it, and None for its info."""

    class Empty(Shift):
        def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
            seen, paid, ended, cut, infos = super().step(actions)
            absent = {name: None for name in self.possible_agents if name not in self.agents}
            return seen | absent, paid, ended, cut, infos | absent

    environment = PettingZooProvider("tests:empty", factory=Empty).make("default", worlds=1, seed=0, max_steps=9)
    assert 9 == play_episode(environment, Right(), 9)[0]


def test_two_lives_of_an_agent_share_no_advantage() -> None:
    """The advantage of the first life is what it would be if the second were never lived."""
    worlds = shift().make("default", worlds=1, seed=0, max_steps=9)
    weights = fresh_weights(worlds.description, (8,), np.random.default_rng(0))
    rollout = Rollout(worlds, 9, 9)
    rollout.collect(weights)
    assert [1, 1, 1, 0, 0, 0, 1, 1, 1] == rollout.alive[:, 0, 1].astype(int).tolist()
    assert [2] == np.flatnonzero(rollout.terminations[:, 0, 1]).tolist()
    values, following = rollout.values(weights)

    def advantages(rewards: Any) -> Any:
        return generalised_advantages(
            rewards, values, following, rollout.terminations, rollout.truncations, gamma=0.9, gae_lambda=0.9
        )

    changed = rollout.rewards.copy()
    changed[6:] += 100
    assert np.array_equal(advantages(rollout.rewards)[:3, 0, 1], advantages(changed)[:3, 0, 1])
    assert not np.array_equal(advantages(rollout.rewards)[:3, 0, 0], advantages(changed)[:3, 0, 0])


def test_terminated_wins_and_what_was_returned_stays() -> None:
    """Where both flags are true; and the environment may write into its array afterwards."""

    class Both(Shift):
        def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
            seen, infos = super().reset(seed)
            self.array = seen["a"]
            return seen, infos

        def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
            self.array[:] = -5
            seen, paid, _, _, infos = super().step(actions)
            return seen, paid, {"a": True, "b": False}, {"a": True, "b": True}, infos

    worlds = PettingZooProvider("tests:both", factory=Both).make("default", worlds=1, seed=0, max_steps=9)
    first = worlds.reset()
    step = worlds.step(np.zeros((1, 2, 1), np.int64))
    assert ([[True, False]], [[False, True]], [True]) == (
        step.terminations.tolist(),
        step.truncations.tolist(),
        step.over.tolist(),
    )
    assert 0.0 == first.observations[0, 0, 0]


def test_a_world_is_the_same_in_every_batch() -> None:
    """World 2 of four, and alone."""
    many, one = (shift().make("default", worlds=w, seed=5, max_steps=9, first_world=f) for w, f in ((4, 0), (1, 2)))
    starts = [many.reset().observations[:, 0, 1], one.reset().observations[:, 0, 1]]
    assert starts[0][2] == starts[1][0]
    assert 4 == len(set(starts[0].tolist()))


def test_a_mask_of_an_info_reaches_the_learner() -> None:
    """For each slot."""
    assert [[True, False, True]] * 2 == shift().make("default", worlds=1, seed=0, max_steps=9).reset().action_mask[
        0
    ].tolist()


def test_a_living_agent_without_an_observation_is_named() -> None:
    """With agent, world, episode, decision and seed."""
    worlds = shift(is_blind=True).make("default", worlds=1, seed=0, max_steps=9)
    with pytest.raises(EnvironmentFaultError, match=r"agent 'b' is alive .* world 0, episode 1, decision 2 \(res"):
        play_episode(worlds, Right(), 9)


def test_agents_of_different_spaces_are_refused_with_advice() -> None:
    """One policy plays all of them."""
    with pytest.raises(BadInputError, match=r"observation_space of b is .*supersuit\.pad_observations_v0"):
        shift(wide=True).describe("default")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pettingzoo:mpe2.simple_spred_v3", "there is no module 'mpe2.simple_spred_v3'"),
        ("pettingzoo:os", "would import the module 'os'.*--allow-import os"),
        ("pettingzoo:mpe2", "has no function parallel_env"),
        ("pettingzoo:butterfly.none_v9", "there is no module 'pettingzoo.butterfly.none_v9'"),
    ],
)
def test_a_module_that_is_none_is_named(name: str, message: str) -> None:
    """Nothing outside PettingZoo's own packages is imported without permission."""
    with pytest.raises(BadInputError, match=message):
        provider(name).describe("default")


def test_a_library_that_an_environment_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Atari's emulator is no part of PettingZoo."""
    monkeypatch.setitem(sys.modules, "multi_agent_ale_py", None)
    with pytest.raises(BadInputError, match=r"cannot be imported: .*multi_agent_ale_py.*; install what it needs"):
        provider("pettingzoo:atari.pong_v3").describe("default")


def test_simple_spread_keeps_every_promise_but_the_snapshot() -> None:
    """And its worlds are the same in every batch."""
    report = check_environment(provider(SPREAD), "default")
    assert ["snapshot"] == [promise.promise for promise in report.promises if promise.outcome != "kept"]


@pytest.mark.long
def test_the_script_of_simple_spread_is_worth_cloning() -> None:
    """Standing still costs far more."""
    spread = provider(SPREAD)

    class Still:
        def act(self, observations: Any) -> Any:
            return np.zeros(observations.alive.shape, np.int64)

    means = [
        np.mean([value or 0.0 for value in play(
            spread, "default", each, seed=3, max_steps=25, first=0, count=64
        ).ratios(0)])
        for each in (spread.teacher("default", "nearest_landmark"), Still())
    ]  # fmt: skip
    assert means[0] > means[1] + 20


def test_keyword_arguments_of_a_schedule_reach_the_environment() -> None:
    """Two agents for 7 decisions."""
    made = provider(EnvironmentSpec(id=SPREAD, with_={"N": 2, "max_cycles": 7})).describe("default")
    assert (2, 7) == (made.agents, made.max_steps)


@pytest.mark.long
def test_several_agents_are_annealed_in_the_short_form(tmp_path: Path) -> None:
    """Twice, with the same bits."""
    hashes = {
        api.anneal(environment=SPREAD, teacher="nearest_landmark", rehearse=True, home=tmp_path / home).semantic_hash
        for home in ("a", "b")
    }
    assert 1 == len(hashes)
