"""A town works whatever the caller's process has set, and in a forked child."""

import os
import subprocess
import sys

import numpy as np
import pytest

from townlet.dto.scenarios import scenario
from townlet.env.town import TownProvider
from townlet.world.batch import TownBatch

FORK = """
import os, sys
import numpy as np
from townlet.dto.scenarios import scenario
from townlet.world.batch import TownBatch

batch = TownBatch(scenario("small_town"), worlds=128, seed=1, days=1, threads=2)
actions = np.zeros((128, batch.spec.agents), np.int64)
batch.reset()
batch.step(actions)
child = os.fork()
batch.step(actions)
if child == 0:
    print(batch.state_hash(), flush=True)
    os._exit(0)
assert (child, 0) == os.waitpid(child, 0)
print(batch.state_hash())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_steps_the_towns_of_its_parent() -> None:
    """The threads of the parent's pool do not exist in the child; both go on with the same bits."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=300, check=True)
    first, second = done.stdout.split()
    assert first == second


def test_errors_of_floating_point_are_not_raised_in_a_town() -> None:
    """`np.seterr(all="raise")` changes nothing: not the teacher's actions, the town's state, or its tallies."""
    results = []
    for setting in ("warn", "raise"):
        with np.errstate(all=setting):
            batch = TownBatch(scenario("small_town"), worlds=4, seed=3, days=1)
            teacher, observations = TownProvider().teacher("small_town", "scripted"), batch.reset()
            for _ in range(40):
                observations = batch.step(teacher.act(observations)).observations
            results.append((batch.state_hash(), batch.tallies().sums.tobytes()))
    assert results[0] == results[1]
