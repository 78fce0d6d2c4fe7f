"""Where a whole number is meant, floats, texts and bools are refused; numpy's integers are taken."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from townlet.dto.scenarios import scenario
from townlet.env.lane import TownLaneEnv
from townlet.env.parallel import TownParallelEnv
from townlet.env.town import TownProvider
from townlet.errors import BadInputError
from townlet.rng import derive
from townlet.world.batch import TownBatch

HOSTILE = [1.5, 1.0, "3", True, None, np.float64(2.0), np.array([1, 2]), [1.5]]
NUMBERS = {"worlds": 1, "seed": 1, "days": 1, "first_world": 0}


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "make",
    [
        lambda **k: TownBatch(scenario("small_town"), **k),
        lambda days, **k: TownProvider().make("small_town", max_steps=days, **k),
    ],
)
def test_a_town_is_made_of_whole_numbers(make: Callable[..., object], name: str, value: Any) -> None:
    """Seed 1.5 would have played seed 1."""
    with pytest.raises(BadInputError, match=f"({name}|max_steps) is .*, expected a whole number"):
        make(**(NUMBERS | {name: value}))


def test_integers_of_numpy_are_whole_numbers() -> None:
    """They play the same town, and its snapshot is the same."""
    own, other = (
        TownBatch(scenario("small_town"), **{name: kind(value) for name, value in NUMBERS.items()})
        for kind in (int, np.int32)
    )
    for batch in (own, other):
        batch.reset()
    assert own.snapshot() == other.snapshot()


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_an_action_is_a_whole_number(value: Any) -> None:
    """1.9 would have been played as 1, and "3" as 3."""
    lane, parallel = TownLaneEnv(days=1), TownParallelEnv(days=1)
    lane.reset(seed=1)
    parallel.reset(seed=1)
    with pytest.raises(BadInputError, match="step: "):
        lane.step(value)
    with pytest.raises(BadInputError, match="step: "):
        parallel.step({"agent_0": value})
    for action in (2, np.int64(2), np.array(2)):
        lane.step(action)
        parallel.step({"agent_0": action})


@pytest.mark.parametrize("value", [1.5, "3", None])
def test_a_seed_of_an_episode_is_a_whole_number(value: Any) -> None:
    """PettingZoo's reset takes None for the next episode."""
    parallel = TownParallelEnv(days=1)
    if value is not None:
        with pytest.raises(BadInputError, match=r"seed is .*, expected a whole number"):
            parallel.reset(seed=value)
    with pytest.raises(TypeError):
        derive(value, "part")
    with pytest.raises(TypeError):
        derive(1, 1.5)  # type: ignore[arg-type]
