"""A policy outside a run acts on the environment's own observations, alone or in a batch, with numpy alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from untrained import PAIRS, SEEN, policy_of

import townlet
from townlet.errors import BadInputError
from townlet.policy.model.policy import Policy


def stacked(space: spaces.Space[Any], values: list[Any]) -> Any:
    """Return values of a space as one, whose arrays have a leading axis."""
    if isinstance(space, spaces.Dict):
        return {key: stacked(part, [each[key] for each in values]) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(stacked(part, [each[index] for each in values]) for index, part in enumerate(space.spaces))
    return np.stack([np.asarray(each) for each in values])


@pytest.mark.parametrize("name", PAIRS)
@given(seed=st.integers(0, 2**16))
def test_one_observation_gets_the_action_that_it_gets_in_a_batch(name: str, seed: int) -> None:
    """An action of the environment's space; a number differs in its last bits at most."""
    observation, action = PAIRS[name]
    observation.seed(seed)
    policy, seen = policy_of(observation, action, seed), [observation.sample() for _ in range(5)]
    alone = [policy.act(each) for each in seen]
    assert all(action.contains(each) for each in alone)
    together = flat_rows(stacked(action, alone)), flat_rows(policy.act(stacked(observation, seen)))
    for one, other in zip(*together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def flat_rows(batch: Any) -> list[Any]:
    """Return the arrays of a batch in one list."""
    if isinstance(batch, dict | tuple):
        return [array for part in (batch.values() if isinstance(batch, dict) else batch) for array in flat_rows(part)]
    return [np.asarray(batch, np.float64)]


def test_keys_in_another_order_are_the_same_observation() -> None:
    """Names decide, not their order."""
    policy, seen = policy_of(*PAIRS["dict"]), SEEN.sample()
    one, other = (flat_rows(policy.act(each)) for each in (seen, dict(reversed(seen.items()))))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_near_tie_is_settled_as_in_a_batch() -> None:
    """Two options with one logit: the first, alone and in any batch."""
    policy = policy_of(*PAIRS["cart"])
    (*inner, (weight, bias)) = policy.weights.actor
    tied = attrs.evolve(policy.weights, actor=(*inner, (np.repeat(weight[:, :1], 2, 1), np.repeat(bias[:1], 2))))
    policy = attrs.evolve(policy, weights=tied)
    seen = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    assert [0] * 300 == [policy.act(each) for each in seen] == policy.act(seen).tolist()


def test_a_mask_forbids_options_of_each_head() -> None:
    """Of one observation, and of each in a batch; a mask of another shape is refused."""
    policy = policy_of(*PAIRS["heads"])
    mask = np.zeros(15, np.bool_)
    mask[[1, 3 + 4, 8 + 6]] = True
    seen = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    assert [1, 4, 6] == policy.act(seen[0], action_mask=mask).tolist()
    assert [[1, 4, 6]] * 4 == policy.act(seen, np.tile(mask, (4, 1))).tolist()
    assert [-1e9] * 12 == sorted(policy.logits(seen[0], mask).tolist())[:12]
    for unfit in (mask[:14], np.ones((3, 15), np.bool_)):
        with pytest.raises(BadInputError, match=r"mask has shape .* 15 options for each of 4 observations"):
            policy.act(seen, unfit)


def test_logits_means_and_values_have_the_axes_of_the_observation() -> None:
    """One, or a batch; what a policy does not have is refused with what it has."""
    cart, wheel = policy_of(*PAIRS["cart"]), policy_of(*PAIRS["wheel"])
    assert ((2,), (7, 2)) == (cart.logits(np.zeros(4)).shape, cart.logits(np.zeros((7, 4))).shape)
    assert ((2,), (7, 2), (2,)) == (
        wheel.mean(np.zeros(3)).shape,
        wheel.mean(np.zeros((7, 3))).shape,
        wheel.log_std.shape,
    )
    values = cart.value(np.zeros((7, 4)))
    assert (7,) == values.shape
    assert values[0] == pytest.approx(cart.value(np.zeros(4)), abs=1e-5)
    with pytest.raises(BadInputError, match="no discrete head"):
        wheel.logits(np.zeros(3))
    with pytest.raises(BadInputError, match="no box head"):
        cart.mean(np.zeros(4))


def town_like(width: int = 4) -> Policy:
    """Return a policy of features and columns, as the town's are."""
    policy = policy_of(spaces.Box(-9, 9, (width,)), spaces.Discrete(3))
    return attrs.evolve(policy, weights=attrs.evolve(policy.weights, metadata=attrs.evolve(policy.spec, spaces=None)))


UNFIT = [None, "x", {}, [0.0] * 3, [10**400] * 4, [[1], [1, 2]], np.zeros(4, complex), np.array(list("1111")), {1, 2}]


@pytest.mark.parametrize("observation", UNFIT, ids=repr)
def test_what_is_no_row_of_features_is_refused_without_spaces_too(observation: Any) -> None:
    """In one sentence, by every method."""
    for policy in (town_like(), policy_of(*PAIRS["cart"])):
        for method in (policy.act, policy.logits, policy.value):
            with pytest.raises(BadInputError, match="observation"):
                method(observation)


def test_one_choice_of_features_is_a_number() -> None:
    """As in an environment of Gymnasium; a batch is an array, an empty one too."""
    policy = town_like()
    assert isinstance(policy.act(np.zeros(4)), np.int64)
    assert isinstance(policy.act(np.zeros(4), np.ones(3)), np.int64)
    assert ((2, 5), (0,)) == (policy.act(np.zeros((2, 5, 4))).shape, policy.act(np.zeros((0, 4))).shape)


def test_what_is_no_generator_seed_mask_or_mode_is_refused() -> None:
    """With the policy's name and what was expected."""
    policy, seen = policy_of(*PAIRS["cart"]), np.zeros(4)
    for rng in (None, 3, np.random.RandomState(1)):
        with pytest.raises(BadInputError, match=r"rng=numpy\.random\.default_rng"):
            policy.act(seen, deterministic=False, rng=rng)  # type: ignore[arg-type]
    for seed in (-1, "x", 1.5):
        with pytest.raises(BadInputError, match="seed is"):
            policy.predictor(seed)  # type: ignore[arg-type]
    for mask in ("yes", [None, None], [[1], [1, 0]], object(), ["0", "1"]):
        with pytest.raises(BadInputError, match="the mask"):
            policy.act(seen, mask)
    with pytest.raises(BadInputError, match="expected 'greedy' or 'stochastic'"):
        policy.teacher("fast")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="home is None"):
        townlet.load_policy("latest", home=None)  # type: ignore[arg-type]


def test_a_predictor_has_the_signature_of_stable_baselines3() -> None:
    """It draws with its own seed, and passes the state on."""
    policy, seen = policy_of(*PAIRS["cart"]), np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    actions, state = policy.predictor().predict(seen, state="kept", deterministic=True)
    assert (policy.act(seen).tolist(), "kept") == (actions.tolist(), state)
    drawn = [policy.predictor(seed).predict(seen)[0].tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    masks = np.tile([False, True], (50, 1))
    assert [1] * 50 == policy.predictor().predict(seen, action_masks=masks)[0].tolist()


def test_it_is_a_teacher() -> None:
    """What a schedule of Python may learn from."""
    assert isinstance(policy_of(*PAIRS["cart"]).teacher(), townlet.Teacher)


def test_it_is_loaded_from_a_file_and_from_the_folder_of_a_bundle(tmp_path: Path) -> None:
    """The same policy, by a path or its text; what is no policy is refused with what was tried."""
    policy = policy_of(*PAIRS["dict"])
    file = tmp_path / "policy.safetensors"
    file.write_bytes(policy.weights.to_bytes())
    for source in (file, str(file), tmp_path):
        loaded = townlet.load_policy(source)
        assert (policy.digest, policy.spec) == (loaded.digest, loaded.spec)
    for word in (tmp_path / "absent", "registry:absent@champion", "teacher:scripted", "x" * 5_000, "a\0b", None):
        with pytest.raises(BadInputError):
            townlet.load_policy(word, home=tmp_path)  # type: ignore[arg-type]
    file.write_bytes(b"x" * 100)
    with pytest.raises(BadInputError, match=r"policy\.safetensors"):
        townlet.load_policy(file)


def test_loading_and_acting_import_neither_torch_nor_numba_nor_scipy(tmp_path: Path) -> None:
    """A program that only acts pays for no training."""
    file = tmp_path / "policy.safetensors"
    file.write_bytes(policy_of(*PAIRS["wheel"]).weights.to_bytes())
    program = (
        "import sys, numpy, townlet; policy = townlet.load_policy(sys.argv[1]); policy.act(numpy.zeros(3)); "
        "policy.value(numpy.zeros((2, 3))); print([name for name in ('torch', 'numba', 'scipy', 'gymnasium', "
        "'ruamel', 'transitions') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.parametrize("field", ["features", "parts"])
def test_spaces_that_are_not_those_of_the_features_are_refused(field: str) -> None:
    """A file whose spaces say something else than its names is no policy."""
    metadata = policy_of(*PAIRS["dict"]).spec
    assert metadata.spaces is not None
    other = policy_of(*PAIRS["tuple"]).spec.spaces if field == "parts" else metadata.spaces
    assert other is not None
    features = metadata.features if field == "parts" else metadata.features[::-1]
    with pytest.raises(ValueError, match="spaces: the parts are not those"):
        attrs.evolve(metadata, spaces=other, features=features)
