"""Environments of Gymnasium are played as they are: their seeds, ends, rewards, masks; what is wrong is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.gymnasium_worlds import GymnasiumWorlds
from townlet.env.scripted_teacher import ScriptTeacher
from townlet.env.spaces import action_layout, observation_layout
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.policy.evaluation.episodes import play
from townlet.ports import provider
from townlet.testing import check_environment


class Counter(gymnasium.Env[Any, Any]):
    """Ends after three steps, with rewards of every kind, and writes into the array that it has returned."""

    observation_space = spaces.Box(0.0, 9.0, (2,), np.float64)
    action_space = spaces.Discrete(3, start=-1)
    rewards: tuple[Any, ...] = (1, np.float64(0.5), np.array(0.25))
    success: Any = None
    mask: Any = None
    faulty: Any = 0.0
    both = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew."""
        super().reset(seed=seed)
        self.count, self.seen, self.played = 0, np.array([0.0, self.np_random.random()]), list[Any]()
        return self.seen, self.info()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Count."""
        self.played.append(action)
        self.count += 1
        self.seen[0] = self.count + self.faulty
        ended = self.count == 3
        return self.seen, self.rewards[self.count - 1], ended, ended and self.both, self.info()

    def info(self) -> dict[str, Any]:
        """Return mask and success where there are any."""
        found = {"action_mask": self.mask, "is_success": self.success if self.count == 3 else None}
        return {name: value for name, value in found.items() if value is not None}


class Unseeded(Counter):
    """Ignores its seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin with another generator each time."""
        return super().reset(seed=None)


class Constant(Counter):
    """Plays the same episode each time."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin with the same generator each time."""
        return super().reset(seed=3)


@pytest.fixture
def registered() -> Callable[..., GymnasiumProvider]:
    """Return what registers a kind of environment under an id of its own."""

    def register(kind: type[Counter] = Counter, limit: int | None = 10, **attributes: Any) -> GymnasiumProvider:
        changed = type(kind.__name__, (kind,), attributes)
        gymnasium.register("townlet-test/Counter-v0", entry_point=changed, max_episode_steps=limit)
        return GymnasiumProvider(name="townlet-test/Counter-v0")

    yield register
    gymnasium.registry.pop("townlet-test/Counter-v0", None)


def made(counter: GymnasiumProvider, worlds: int = 2, max_steps: int = 10, seed: int = 1) -> GymnasiumWorlds:
    """Return worlds that have been reset."""
    environment = counter.make("default", worlds=worlds, seed=seed, max_steps=max_steps)
    environment.reset()
    return environment


def left(worlds: int) -> np.ndarray:
    """Return the first option for every world."""
    return np.zeros((worlds, 1, 1), np.int64)


def test_an_episode_is_what_the_environment_plays(registered: Callable[..., GymnasiumProvider]) -> None:
    """Three steps, rewards of every type summed, the action in its own units, the end a termination though both are."""
    environment = made(registered(both=True))
    steps = [environment.step(left(2)) for _ in range(3)]
    assert [1.0, 0.5, 0.25] == [float(step.rewards[0, 0]) for step in steps]
    assert [False, False, True] == [bool(step.over[0]) for step in steps]
    assert (True, False) == (bool(steps[2].terminations[0, 0]), bool(steps[2].truncations[0, 0]))
    assert [1.75, 3.0] == environment.tallies().sums[:2, 0].tolist()
    assert [-1, -1, -1] == environment._environments[0].unwrapped.played
    assert [1.0, 2.0, 3.0] == [float(step.observations.observations[0, 0, 0]) for step in steps], "a copy each time"


def test_a_world_that_is_over_waits(registered: Callable[..., GymnasiumProvider]) -> None:
    """Its actions are not played, and it begins anew only when asked."""
    environment = made(registered())
    for _ in range(3):
        environment.step(left(2))
    environment.reset(np.array([True, False]))
    step = environment.step(left(2))
    assert [False, True] == step.over.tolist()
    assert [1.0, 0.0] == step.rewards[:, 0].tolist()
    assert 3 == environment._environments[1].unwrapped.count


def test_a_cut_episode_is_a_truncation(registered: Callable[..., GymnasiumProvider]) -> None:
    """At the length that was asked for, and at the environment's own limit."""
    for limit, max_steps in ((10, 2), (2, 2)):
        environment = made(registered(limit=limit), max_steps=max_steps)
        environment.step(left(2))
        step = environment.step(left(2))
        assert (False, True, True) == (bool(step.terminations[0, 0]), bool(step.truncations[0, 0]), bool(step.over[0]))
        assert 2.0 == step.observations.observations[0, 0, 0], "the final observation, to bootstrap from"
        gymnasium.registry.pop("townlet-test/Counter-v0")


def test_episodes_of_all_lengths_are_evaluated_whole() -> None:
    """The return of CartPole is the number of its steps, world by world, and worlds end at different times."""
    cartpole = GymnasiumProvider(name="CartPole-v1")

    class Right:
        """Pushes to the right for ever."""

        def act(self, observations: Any) -> np.ndarray:
            """Return option 1."""
            return np.ones(observations.alive.shape, np.int64)

    played = play(cartpole, "default", Right(), seed=1, max_steps=500, first=0, count=8)
    lengths = []
    for world in range(8):
        environment = cartpole.make("default", worlds=1, seed=1, max_steps=500, first_world=world)
        environment.reset()
        count, over = 0, False
        while not over:
            over, count = bool(environment.step(np.ones((1, 1, 1), np.int64)).over[0]), count + 1
        lengths.append(count)
    assert lengths == played.sums[0].tolist() == played.sums[1].tolist()
    assert len(set(lengths)) > 1
    assert sum(lengths) == played.agent_steps


def test_success_counts_where_the_environment_says_it(registered: Callable[..., GymnasiumProvider]) -> None:
    """Without a word about it, the KPI has no exposure."""
    for success, expected in ((True, (1.0, 1.0)), (None, (0.0, 0.0))):
        environment = made(registered(success=success))
        for _ in range(3):
            environment.step(left(2))
        tallies = environment.tallies()
        assert expected == (tallies.sums[2, 0], tallies.exposures[2, 0])
        gymnasium.registry.pop("townlet-test/Counter-v0")


def test_a_mask_of_the_info_reaches_the_learner(registered: Callable[..., GymnasiumProvider]) -> None:
    """It is the mask before the action."""
    environment = made(registered(mask=np.array([0, 1, 1], np.int8)))
    assert [False, True, True] == environment.step(left(2)).observations.action_mask[0, 0].tolist()


def test_worlds_of_neighbouring_seeds_share_no_episode(registered: Callable[..., GymnasiumProvider]) -> None:
    """Base seeds 0 and 1, two episodes of 50 worlds each."""
    counter = registered()
    seen = set[float]()
    for seed in (0, 1):
        environment = counter.make("default", worlds=50, seed=seed, max_steps=10)
        for _ in range(2):
            seen.update(environment.reset().observations[:, 0, 1].tolist())
    assert 200 == len(seen)


@pytest.mark.parametrize(
    ("attributes", "what"),
    [({"rewards": (np.nan, 1, 1)}, "reward"), ({"faulty": np.inf}, r"observation observation\[0\]")],
)
def test_a_number_that_is_none_names_its_place(
    registered: Callable[..., GymnasiumProvider], attributes: dict[str, Any], what: str
) -> None:
    """World, episode, decision, key."""
    environment = made(registered(**attributes))
    with pytest.raises(EnvironmentFaultError, match=f"{what} is not finite in world 0, episode 1, decision 1"):
        environment.step(left(2))


class Falling(Counter):
    """Raises in its second step."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Count, once."""
        if self.count:
            raise RuntimeError("the motor is off")
        return super().step(action)


def test_what_an_environment_raises_is_named_with_its_place(registered: Callable[..., GymnasiumProvider]) -> None:
    """The error of the environment is the cause."""
    environment = made(registered(Falling))
    environment.step(left(2))
    with pytest.raises(EnvironmentFaultError, match="step raised RuntimeError: the motor is off in world 0, episode 1"):
        environment.step(left(2))


@pytest.mark.parametrize(("kind", "promise"), [(Unseeded, "pure"), (Constant, "seeds")])
def test_a_seed_that_is_not_obeyed_is_named(
    registered: Callable[..., GymnasiumProvider], kind: type[Counter], promise: str
) -> None:
    """The check says so before a run begins."""
    report = check_environment(registered(kind), "default")
    assert promise in [each.promise for each in report.reservations]


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0"])
def test_environments_of_gymnasium_keep_the_promises(name: str) -> None:
    """Only a snapshot is not offered."""
    report = check_environment(provider(f"gymnasium:{name}"), "default")
    assert ["snapshot"] == [each.promise for each in report.promises if each.outcome != "kept"]


def test_a_script_sees_the_environments_own_observation() -> None:
    """A dictionary stays one, and what it returns must be an action."""
    space = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Box(0, 1, (1,))})
    seen: list[Any] = []

    def script(observation: Any) -> Any:
        seen.append(observation)
        return 5.5

    teacher = ScriptTeacher(
        script=script, observations=observation_layout(space, "e"), actions=action_layout(spaces.Discrete(2), "e")
    )
    worlds = made(GymnasiumProvider(name="CartPole-v1"), worlds=1).reset()
    batch = type(worlds)(
        observations=np.float32([[[0, 1, 0.5]]]), action_mask=worlds.action_mask, alive=worlds.alive, keys=worlds.keys
    )
    with pytest.raises(
        EnvironmentFaultError, match=r"teacher script: returned '5.5'; expected an action of Discrete\(2\)"
    ):
        teacher.act(batch)
    assert {"a": 1, "b": np.float32([0.5])} == seen[0]


@pytest.mark.parametrize("name", ["NoSuchEnvironment-v0", "cartpole"])
def test_an_unknown_id_is_refused_with_gymnasiums_reason(name: str) -> None:
    """One sentence."""
    with pytest.raises(BadInputError, match=f"gymnasium:{name} cannot be made"):
        provider(f"gymnasium:{name}").describe("default")


def test_keyword_arguments_change_the_signature_and_are_plain_data() -> None:
    """Another gravity is another environment; a function has no digest."""
    pendulums = [GymnasiumProvider("Pendulum-v1", arguments) for arguments in ({}, {"g": 9.0})]
    assert 2 == len({each.describe("default").signature for each in pendulums})
    with pytest.raises(BadInputError, match="the keyword arguments are no plain data"):
        GymnasiumProvider("Pendulum-v1", {"g": np.float32(9.0)}).describe("default")


def test_an_id_that_would_import_a_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule is data: reading one runs no code of others."""
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInputError, match="gymnasium:planted:Env-v0 would import the module 'planted'"):
        provider("gymnasium:planted:Env-v0").describe("default")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("gymnasium", "name one of them: gymnasium:ID"),
        ("gymnasium:", "gymnasium:ID"),
        ("town:small", "leave ':small' out"),
    ],
)
def test_a_family_wants_a_name_and_an_environment_none(name: str, advice: str) -> None:
    """One sentence with what to write."""
    with pytest.raises(BadInputError, match=f"^environment '{name}' cannot be made; .*{advice}"):
        provider(name)


@pytest.mark.parametrize(
    "actions", [left(1), left(2)[..., 0], left(2).astype(float), left(2) + 3, left(2) - 1], ids=repr
)
def test_a_bad_action_changes_nothing(registered: Callable[..., GymnasiumProvider], actions: np.ndarray) -> None:
    """Wrong shape, type or option."""
    environment = made(registered())
    with pytest.raises(BadInputError, match=r"^step: "):
        environment.step(actions)
    assert 0 == environment._environments[0].unwrapped.count
