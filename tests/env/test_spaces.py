"""Spaces of Gymnasium become features and heads, with names, and come back as they were."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from townlet.env.spaces import action_layout, observation_layout
from townlet.errors import BadInputError

NESTED = spaces.Dict(
    {
        "wheel": spaces.Box(-1.0, 3.0, (2,), np.float32),
        "gear": spaces.Discrete(3, start=-1),
        "lamps": spaces.MultiBinary(2),
        "arm": spaces.Tuple((spaces.MultiDiscrete([2, 4]), spaces.Box(0, 9, (1,), np.int64))),
    }
)
SPACES = [
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([3, 5, 7]),
    spaces.MultiDiscrete([[2, 3], [4, 5]]),
    spaces.MultiBinary((2, 2)),
    spaces.Box(-2.0, 5.0, (2, 3), np.float32),
    spaces.Box(np.array([-np.inf, 0.0]), np.array([np.inf, 1.0]), dtype=np.float64),
    spaces.Box(0, 30, (4,), np.int64),
    NESTED,
]


@pytest.mark.parametrize("space", SPACES, ids=str)
@given(seed=st.integers(0, 2**20))
def test_an_action_of_the_environment_comes_back(space: spaces.Space[Any], seed: int) -> None:
    """Columns of an action and back: the same action, to the rounding of its columns."""
    space.seed(seed)
    action, layout = space.sample(), action_layout(space, "e")
    columns = layout.from_native(action)
    assert (layout.spec.columns,) == columns.shape
    (back,) = layout.to_native(columns[None])
    assert space.contains(back)
    flat, again = (spaces.flatten(space, each) for each in (action, back))
    np.testing.assert_allclose(flat.astype(float), again.astype(float), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", SPACES, ids=str)
@given(seed=st.integers(0, 2**20))
def test_an_observation_becomes_named_features_and_comes_back(space: spaces.Space[Any], seed: int) -> None:
    """As many names as numbers; the script sees the environment's own structure."""
    space.seed(seed)
    observation, layout = space.sample(), observation_layout(space, "e")
    features = layout.flatten(observation)
    assert (np.float32, (len(set(layout.names)),)) == (features.dtype, features.shape)
    back = layout.unflatten(features)
    assert space.contains(back) or isinstance(space, spaces.Box)  # rounded to float32, a float64 may leave its bound
    np.testing.assert_allclose(features, layout.flatten(back))


@given(numbers=st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2))
def test_the_environment_never_sees_a_number_beyond_its_bounds(numbers: list[float]) -> None:
    """Columns far outside are clipped; whole numbers are rounded last."""
    box = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([5.0, 1.0], np.float32))
    (native,) = action_layout(box, "e").to_native(np.array([numbers], np.float32))
    assert box.contains(native)
    whole = spaces.Box(0, 30, (2,), np.int64)
    (native,) = action_layout(whole, "e").to_native(np.array([numbers], np.float32))
    assert whole.contains(native)


def test_bounds_are_minus_one_and_one() -> None:
    """The units of a box column."""
    layout = action_layout(spaces.Box(-2.0, 5.0, (1,), np.float32), "e")
    assert [[-2.0], [1.5], [5.0]] == [each.tolist() for each in layout.to_native(np.float32([[-1], [0], [1]]))]


def test_names_say_where_a_number_comes_from() -> None:
    """Keys in one order, whatever the order in which they were given."""
    one = spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Box(0, 1, (2,))})
    other = spaces.Dict({"a": spaces.Box(0, 1, (2,)), "b": spaces.Discrete(2)})
    layouts = [observation_layout(each, "e") for each in (one, other)]
    assert layouts[0].names == layouts[1].names == ("a[0]", "a[1]", "b=0", "b=1")
    observation = {"b": np.int64(1), "a": np.float32([0.25, 0.5])}
    assert all([0.25, 0.5, 0.0, 1.0] == layout.flatten(observation).tolist() for layout in layouts)
    assert ("arm/0[0]", "arm/0[1]", "gear", "lamps[0]", "lamps[1]") == tuple(
        head.name for head in action_layout(NESTED, "e").spec.discrete
    )


def test_a_mask_in_the_observation_is_no_feature() -> None:
    """It says what is legal, and a learner gets it as such."""
    space = spaces.Dict({"action_mask": spaces.MultiBinary(3), "seen": spaces.Box(0, 1, (2,))})
    layout = observation_layout(space, "e")
    assert ("seen[0]", "seen[1]") == layout.names
    assert (2,) == layout.flatten({"action_mask": np.ones(3, np.int8), "seen": np.zeros(2, np.float32)}).shape


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Text(5), "the whole space is Text"),
        (spaces.Dict({"a": spaces.Dict({"words": spaces.Sequence(spaces.Discrete(2))})}), "a/words is Sequence"),
        (spaces.Box(0, 255, (84, 84, 3), np.uint8), "holds 21168 numbers, expected 1 to 4096; wrap the environment"),
    ],
    ids=str,
)
def test_what_cannot_be_flat_is_refused(space: spaces.Space[Any], message: str) -> None:
    """With the environment, the key, and what to do."""
    with pytest.raises(BadInputError, match=f"^e: .*{message}"):
        observation_layout(space, "e")


@pytest.mark.parametrize("action", [[0.5, 1], [1], "left", None])
def test_an_action_that_is_none_is_refused(action: Any) -> None:
    """A script that answers with half an option, or with too few, is not rounded or padded."""
    with pytest.raises((ValueError, TypeError)):
        action_layout(spaces.MultiDiscrete([2, 3]), "e").from_native(action)
