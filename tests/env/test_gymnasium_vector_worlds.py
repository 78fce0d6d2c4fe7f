"""Vector environments of Gymnasium play the episodes of single ones, and reset nothing that was not asked for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_worlds import DISABLED, SAME_STEP, Batch, Rich, cartpoles, riches

from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.foreign_provider import ForeignProvider
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.gymnasium_vector_provider import GymnasiumVectorProvider
from townlet.env.info_tallies import world_info
from townlet.env.python_factory import provider_of
from townlet.env.workers import with_workers
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.imports import Imports
from townlet.ports import Environment, close, provider
from townlet.testing import check_environment

METRICS = {
    "fuel": InfoMetricSpec(info="cost.fuel", reduce="sum", unit="1/episode", direction=Direction.LOWER),
}
WORLDS = 5


def pair(single: Any, vector: Any) -> tuple[ForeignProvider, ForeignProvider]:
    """Return the providers of single environments and of vector environments of the same kind."""
    one, many = GymnasiumProvider("t:f", factory=single), GymnasiumVectorProvider("t:f", factory=vector)
    return tuple(  # type: ignore[return-value]
        each.configured(EnvironmentSpec(id="python:t:f", max_steps=40, metrics=METRICS), Imports())
        for each in (one, many)
    )


def legal(environment: Environment, mask: Any, rng: np.random.Generator) -> Any:
    """Return random legal actions [W, 1, C]."""
    spec = environment.description.actions
    actions = rng.normal(size=(environment.worlds, 1, spec.columns)).astype(spec.dtype)
    for column, options in enumerate(spec.segments(mask)):
        actions[..., column] = (rng.random(options.shape) * options).argmax(-1)
    return actions


def same(one: Any, other: Any) -> None:
    """Require that two records have equal arrays."""
    for field in attrs.fields(type(one)):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if attrs.has(type(a)):
            same(a, b)
        else:
            assert np.array_equal(a, b), field.name


def batch(**wrong: Any) -> Environment:
    """Return worlds of one counting batch, reset."""
    made = GymnasiumVectorProvider("t:batch", {}, 10, factory=partial(Batch, **wrong)).make(
        "default", worlds=3, seed=1, max_steps=10
    )
    made.reset()
    return made


def left(worlds: int) -> Any:
    """Return the first option for every world."""
    return np.zeros((worlds, 1, 1), np.int64)


@settings(deadline=None, max_examples=20)
@given(
    kind=st.sampled_from(["cartpole", "rich"]),
    mode=st.sampled_from([DISABLED, SAME_STEP]),
    seed=st.integers(0, 2**63),
    first=st.integers(0, 99),
    max_steps=st.integers(2, 40),
    patience=st.integers(1, 5),
)
def test_a_world_plays_what_it_plays_as_a_single_environment(
    kind: str, mode: AutoresetMode, seed: int, first: int, max_steps: int, patience: int
) -> None:
    """Observations, masks, rewards, ends and KPIs agree, whenever worlds that are over are reset."""
    one, many = (
        pair(partial(gymnasium.make, "CartPole-v1"), partial(cartpoles, mode=mode.value))
        if kind == "cartpole"
        else pair(Rich, partial(riches, mode=mode))
    )
    assert one.describe("default") == many.describe("default")
    single, vector = (
        each.make("default", worlds=WORLDS, seed=seed, max_steps=max_steps, first_world=first) for each in (one, many)
    )
    rng, seen = np.random.default_rng(0), (single.reset(), vector.reset())
    for t in range(40):
        same(seen[0], seen[1])
        actions = legal(single, seen[0].action_mask, rng)
        steps = single.step(actions), vector.step(actions)
        same(steps[0], steps[1])
        same(single.tallies(), vector.tallies())
        seen = steps[0].observations, steps[1].observations
        if t % patience == 0:
            seen = single.reset(steps[0].over), vector.reset(steps[0].over)


@pytest.mark.parametrize("mode", [DISABLED, SAME_STEP])
@pytest.mark.parametrize("make", [riches, lambda num_envs, mode: cartpoles(num_envs, mode.value)])
def test_every_promise_is_kept(make: Callable[..., Any], mode: AutoresetMode) -> None:
    """Those that `check` tries: seeds, batches, resets of single worlds, final observations."""
    provider = GymnasiumVectorProvider("t:f", {}, 40, factory=partial(make, mode=mode))
    report = check_environment(provider, "default", seconds=600)
    assert {"snapshot"} == {each.promise for each in report.promises if each.outcome != "kept"}


@pytest.mark.parametrize("mode", [DISABLED, SAME_STEP])
def test_a_world_that_is_over_shows_its_end_until_it_is_reset(mode: AutoresetMode) -> None:
    """Also where its sub-environment has begun anew, and while the others play on; it is paid nothing."""
    _, many = pair(Rich, partial(riches, mode=mode))
    vector = many.make("default", worlds=WORLDS, seed=3, max_steps=40)
    seen, rng, final = vector.reset(), np.random.default_rng(0), dict[int, Any]()
    for _ in range(30):
        step = vector.step(legal(vector, seen.action_mask, rng))
        seen, tallies = step.observations, vector.tallies()
        for w in np.flatnonzero(step.over).tolist():
            own = (seen.observations[w], seen.action_mask[w], seen.keys[w], tallies.sums[:, w])
            if w in final:
                assert all(np.array_equal(a, b) for a, b in zip(own, final[w], strict=True))
                assert (0.0, False) == (step.rewards[w, 0], step.observations.alive[w, 0])
            final[w] = own
    assert set(range(WORLDS)) == set(final)


@pytest.mark.parametrize("kind", ["observation", "method"])
def test_masks_of_observations_and_of_a_method_are_read(kind: str) -> None:
    """As of single environments."""

    class Masked(gymnasium.Env[Any, Any]):
        plain = gymnasium.spaces.Box(0, 99, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(3)
        observation_space: Any = plain
        t = 0
        if kind == "observation":
            observation_space = gymnasium.spaces.Dict({"x": plain, "action_mask": gymnasium.spaces.MultiBinary(3)})
        else:

            def action_masks(self) -> Any:
                """Return what `mask` says."""
                return self.mask()

        def mask(self) -> Any:
            """Return which options are legal."""
            return np.array([self.t % 2, 1, self.t % 3 == 0], np.int8)

        def look(self) -> Any:
            """Return the decision, with the mask where it stands there."""
            seen = np.array([self.t], np.float32)
            return {"x": seen, "action_mask": self.mask()} if kind == "observation" else seen

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            """Begin anew."""
            self.t = 0
            return self.look(), {}

        def step(self, action: Any) -> Any:
            """Count."""
            self.t += 1
            return self.look(), 0.0, self.t == 4, False, {}

    one, many = pair(
        Masked, lambda num_envs: gymnasium.vector.SyncVectorEnv([Masked] * num_envs, autoreset_mode=DISABLED)
    )
    environments = [each.make("default", worlds=2, seed=0, max_steps=9) for each in (one, many)]
    seen = [each.reset().action_mask for each in environments]
    for _ in range(4):
        assert np.array_equal(*seen)
        seen = [each.step(left(2) + 1).observations.action_mask for each in environments]
    assert [False, True, False] == seen[1][0, 0].tolist()


def test_infos_are_read_in_their_vector_layout() -> None:
    """A mask `_key` marks the worlds that a key is about; what is no array is about all."""
    infos = {"a": np.array([1, 2]), "_a": np.array([True, False]), "b": {"c": [3, 4]}, "rate": 0.5, "why": np.array(7)}
    first = {"a": 1, "b": {"c": 3}, "rate": 0.5, "why": np.array(7)}
    assert [first, {"b": {"c": 4}, "rate": 0.5, "why": np.array(7)}] == [world_info(infos, w) for w in (0, 1)]


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"rewards": np.array([1, np.nan, 1])}, "reward is not finite in world 1, episode 1, decision 1"),
        ({"rewards": np.ones(2)}, r"rewards of shape \(2,\) in world 0, episode 1.*expected \(3,\), one for each"),
        ({"rewards": ["a"] * 3}, "the rewards are no numbers: ValueError: .* in world 0, episode 1, decision 1"),
        ({"terminations": True}, r"terminations of shape \(\)"),
        ({"observations": np.zeros((3, 4), np.float32)}, r"no batch of their space: .*of shape \(3, 4\), .*\(3, 2\)"),
        ({"observations": np.full((3, 2), np.inf)}, r"observation observation\[0\] is not finite in world 0"),
        ({"error": RuntimeError("lost")}, "step raised RuntimeError: lost in world 0, .* or one of 2 other worlds"),
        ({"infos": [{}, {}, {}]}, "infos of type list in world 0, .*; expected a dictionary of arrays"),
        ({"infos": {"action_mask": np.ones((3, 4))}}, "an action mask of 4 options in world 0, .*; expected 2"),
        ({"infos": {"action_mask": np.ones((1, 2))}}, "no entry for each of 3 worlds: IndexError.*world 1"),
    ],
)
def test_a_wrong_answer_names_its_place(wrong: dict[str, Any], what: str) -> None:
    """Environment, world, episode, decision and the seed of the reset."""
    environment = batch(**wrong)
    with pytest.raises(EnvironmentFaultError, match=rf"^environment python:t:batch: .*{what}") as caught:
        environment.step(left(3))
    assert "reset with seed " in str(caught.value)


def test_a_reset_that_reaches_other_worlds_is_named() -> None:
    """An environment that ignores the mask would play episodes that nobody began."""
    environment = batch(ignores_mask=True)
    environment.step(left(3))
    with pytest.raises(EnvironmentFaultError, match=r"the reset of world 1, episode 2, .* changed what other worlds"):
        environment.reset(np.array([False, True, False]))


def test_an_end_without_a_final_observation_is_named() -> None:
    """In SAME_STEP mode the sub-environment shows the next episode already."""

    class Forgetful(Batch):
        metadata = {"autoreset_mode": SAME_STEP}  # noqa: RUF012 - Gymnasium declares it so

    environment = GymnasiumVectorProvider("t:f", {}, 10, factory=Forgetful).make(
        "default", worlds=2, seed=0, max_steps=10
    )
    environment.reset()
    for _ in range(2):
        environment.step(left(2))
    with pytest.raises(EnvironmentFaultError, match="no 'final_obs' in the infos of world 0, episode 1, decision 3"):
        environment.step(left(2))


def test_a_part_of_the_worlds_may_be_reset_first() -> None:
    """The others have no episode yet, and are over."""
    environment = GymnasiumVectorProvider("t:f", {}, 10, factory=Batch).make("default", worlds=3, seed=0, max_steps=10)
    whole = GymnasiumVectorProvider("t:f", {}, 10, factory=Batch).make("default", worlds=3, seed=0, max_steps=10)
    seen = environment.reset(np.array([False, True, False]))
    assert [False, True, False] == seen.alive[:, 0].tolist()
    assert np.array_equal(whole.reset().observations[1], seen.observations[1])


def make_unsaid(num_envs: int) -> VectorEnv[Any, Any, Any]:
    """Return a vector environment that does not say how it resets."""
    made = Batch(num_envs)
    made.metadata = {}
    return made


@pytest.mark.parametrize(
    ("factory", "with_", "message"),
    [
        (partial(cartpoles, mode="NextStep"), {}, r"NEXT_STEP.*autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED"),
        (partial(gymnasium.make_vec, "CartPole-v1"), {}, "returned CartPoleVectorEnv with autoreset_mode NEXT_STEP"),
        (make_unsaid, {}, "say None under 'autoreset_mode'"),
        (lambda num_envs: Batch(2 * num_envs), {}, "returned Batch with 2 sub-environments; expected num_envs=1"),
        (lambda: Batch(2), {}, "returned a vector environment .Batch. and takes no num_envs; give it a parameter"),
        (cartpoles, {"num_envs": 4}, "num_envs under with; leave it out, the number of worlds is worlds:"),
        (cartpoles, {"mood": 1}, "unexpected keyword argument 'mood'"),
    ],
)
def test_what_cannot_be_played_is_refused_with_advice(factory: Any, with_: dict[str, Any], message: str) -> None:
    """In one sentence, before a world is played."""
    with pytest.raises(BadInputError, match=message):
        provider_of(factory, "python:t:f", EnvironmentSpec(id="python:t:f", with_=with_), Imports()).describe("default")


def test_a_function_that_does_not_name_num_envs_may_pass_it_on() -> None:
    """`**options` takes it."""

    def make(**options: Any) -> Any:
        return cartpoles(**{"num_envs": 2, **options})

    made = provider_of(make, "python:t:make", EnvironmentSpec(id="python:t:make"), Imports())
    assert 7 == made.make("default", worlds=7, seed=0, max_steps=9).worlds


def test_a_vector_environment_offers_no_snapshot() -> None:
    """As no environment of another library does; its runs resume all the same."""
    environment = batch()
    assert b"" == environment.snapshot()
    with pytest.raises(BadInputError, match="offers no snapshot"):
        environment.restore(b"x")


@pytest.mark.usefixtures("_leaves_nothing")
def test_worker_processes_step_shards_of_the_same_worlds() -> None:
    """Each makes a vector environment of its own; the numbers are the same."""
    spec = EnvironmentSpec(id="python:vector_worlds:cartpoles", max_steps=20)
    inner = provider(spec, Imports(("vector_worlds",)))
    environments = [each.make("default", worlds=3, seed=5, max_steps=20) for each in (inner, with_workers(inner, 2))]
    seen, rng = [each.reset() for each in environments], np.random.default_rng(0)
    for _ in range(40):
        same(seen[0], seen[1])
        actions = legal(environments[0], seen[0].action_mask, rng)
        steps = [each.step(actions) for each in environments]
        same(steps[0], steps[1])
        seen = [each.reset(step.over) for each, step in zip(environments, steps, strict=True)]
    for each in environments:
        close(each)


def test_the_own_limit_of_the_sub_environments_is_found() -> None:
    """In the registration of the vector environment, or of its first sub-environment."""

    def by_hand(num_envs: int) -> Any:
        cars = [partial(gymnasium.make, "MountainCar-v0")] * num_envs
        return gymnasium.vector.SyncVectorEnv(cars, autoreset_mode=DISABLED)

    limits = [
        GymnasiumVectorProvider("t:f", factory=each).describe("default").max_steps for each in (cartpoles, by_hand)
    ]
    assert [500, 200] == limits
