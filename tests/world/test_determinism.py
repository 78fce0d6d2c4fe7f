"""Same seed, same bits: whatever the batch, the threads, the process or the interpreter."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest
from attrs import evolve

from townlet import rng as keyed
from townlet.compiled import entry_kernel
from townlet.dto.scenarios import scenario
from townlet.errors import BadInputError
from townlet.processors import usable_processors
from townlet.world import kernel_rng as inner
from townlet.world.batch import TownBatch
from townlet.world.step import STEP, run_worlds
from townlet.world.teachers import RandomTeacher, ScriptedTeacher

SPEC = scenario("small_town")
PLAY = """
import json, sys
from townlet.dto.scenarios import scenario
from townlet.world.batch import TownBatch
from townlet.world.step import STEP, run_worlds
from townlet.world.teachers import RandomTeacher
batch = TownBatch(scenario("small_town"), worlds=2, seed=7, days=1)
seen, teacher, total = batch.reset(), RandomTeacher(), 0.0
for _ in range(int(sys.argv[1])):
    result = batch.step(teacher.act(seen))
    seen, total = result.observations, total + float(result.rewards.sum(dtype="f8"))
import hashlib
print(json.dumps([batch.world_hashes(), hashlib.sha256(seen.observations.tobytes()).hexdigest(), total]))
"""


def _played(batch: TownBatch, decisions: int) -> tuple[str, ...]:
    seen = batch.reset()
    teachers = (RandomTeacher(), ScriptedTeacher())
    for decision in range(decisions):
        seen = batch.step(teachers[decision // 20 % 2].act(seen)).observations
    return batch.world_hashes()


@entry_kernel
def _mix_all(keys: np.ndarray, mixed: np.ndarray, shares: np.ndarray) -> None:
    for k in range(len(keys)):
        mixed[k], shares[k] = inner.mix(keys[k], np.uint64(3)), inner.uniform(keys[k])


def _elsewhere(decisions: int, **environment: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(decisions)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


@pytest.fixture
def eager_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the smallest batch be worth as many threads and slices as it has worlds."""
    monkeypatch.setattr("townlet.world.batch._LEAST_SHARE", 1)
    monkeypatch.setattr("townlet.world.batch._LEAST_SLICE", 1)
    monkeypatch.setattr("townlet.world.batch.usable_processors", lambda: 8)


@pytest.mark.usefixtures("eager_threads")
def test_a_world_is_the_same_in_any_batch_and_on_any_threads() -> None:
    """Ten worlds at once equal four and six, and one or two threads make no difference, over a whole episode."""
    whole = _played(TownBatch(SPEC, worlds=10, seed=4, days=1, threads=1), 240)
    parts = _played(TownBatch(SPEC, worlds=4, seed=4, days=1), 240) + _played(
        TownBatch(SPEC, worlds=6, seed=4, days=1, first_world=4, threads=2), 240
    )
    assert whole == parts


@pytest.mark.usefixtures("eager_threads")
def test_threads_share_the_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three threads play slices of a batch, each world once, with the bits of one thread."""
    names, worlds = set(), list[int]()

    def slow(batch: object, task: int, length: int, ticks: object, part: tuple[int, int], *rest: bool) -> bool:
        if task == STEP:
            names.add(threading.current_thread().name)
            worlds.extend(range(*part))
            time.sleep(0.01)
        return run_worlds(batch, task, length, ticks, part, *rest)

    monkeypatch.setattr("townlet.world.batch.run_worlds", slow)
    shared, alone = (TownBatch(SPEC, worlds=30, seed=4, days=1, threads=threads) for threads in (3, 1))
    assert _played(shared, 2) == _played(alone, 2)
    assert 3 == len(names)
    assert sorted(4 * [*range(30)]) == sorted(worlds)


@pytest.mark.usefixtures("eager_threads")
def test_a_thread_that_does_not_wake_is_not_waited_for() -> None:
    """The caller plays all slices where nobody takes one."""

    class Asleep:
        def submit(self, work: object) -> Future[None]:
            del work
            return Future()

    batch = TownBatch(SPEC, worlds=4, seed=4, days=1, threads=2)
    batch._pool, batch._pool_process = Asleep(), os.getpid()  # type: ignore[assignment]
    assert _played(TownBatch(SPEC, worlds=4, seed=4, days=1, threads=1), 2) == _played(batch, 2)


def test_a_small_batch_wakes_no_thread() -> None:
    """A step of 64 worlds at one tick a decision is over before a thread is awake; one of 1,024 is shared."""
    spec = evolve(SPEC, ticks_per_decision=1)
    small, large = (TownBatch(spec, worlds=worlds, seed=1, days=1, threads=2) for worlds in (64, 1024))
    assert (1, min(2, usable_processors())) == (small._threads, large._threads)


def test_other_seeds_and_episodes_are_other_towns() -> None:
    """Seed, world and episode all change the world."""
    batch = TownBatch(SPEC, worlds=2, seed=4, days=1)
    batch.reset()
    first = batch.world_hashes()
    batch.reset()
    other = TownBatch(SPEC, worlds=2, seed=5, days=1)
    other.reset()
    assert 6 == len({*first, *batch.world_hashes(), *other.world_hashes()})


def test_plain_python_computes_the_same_bits() -> None:
    """Without the compiler the same rules give the same state, observations and rewards; so does another process."""
    plain = _elsewhere(40, NUMBA_DISABLE_JIT="1")
    assert _elsewhere(40) == plain


def test_a_snapshot_goes_on_with_the_same_bits() -> None:
    """Restored in the middle of an episode, another batch plays on as the first would have."""
    batch = TownBatch(SPEC, worlds=3, seed=4, days=1)
    _played(batch, 100)
    saved = batch.snapshot()
    twin = TownBatch(SPEC, worlds=3, seed=4, days=1)
    twin.restore(saved)
    teacher, ours, theirs = ScriptedTeacher(), batch.observe(), twin.observe()
    for _ in range(60):
        assert ours == theirs
        ours, theirs = batch.step(teacher.act(ours)).observations, twin.step(teacher.act(theirs)).observations
    assert batch.state_hash() == twin.state_hash()
    assert batch.tallies().sums.tolist() == twin.tallies().sums.tolist()


@pytest.mark.parametrize("change", [{"seed": 5}, {"worlds": 4}, {"days": 2}, {"first_world": 1}])
def test_a_snapshot_of_another_batch_is_refused(change: dict[str, int]) -> None:
    """Seed, worlds, days and ids must agree, and the state stays as it was."""
    batch = TownBatch(SPEC, worlds=3, seed=4, days=1)
    batch.reset()
    before = batch.state_hash()
    other = TownBatch(SPEC, **{"worlds": 3, "seed": 4, "days": 1, **change})
    with pytest.raises(BadInputError, match="expected a snapshot of"):
        batch.restore(other.snapshot())
    with pytest.raises(BadInputError, match="bytes of state"):
        batch.restore(batch.snapshot()[:-1])
    assert before == batch.state_hash()


def test_the_kernels_randomness_is_the_house_randomness() -> None:
    """The scalar mixer and uniform give the bits of `townlet.rng`."""
    keys = np.arange(50, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed, shares = np.zeros(50, np.uint64), np.zeros(50, np.float32)
    with np.errstate(over="ignore"):
        _mix_all(keys, mixed, shares)
    assert keyed.mix(keys, 3).tolist() == mixed.tolist()
    assert keyed.uniform(keys).tolist() == shares.tolist()


def test_actions_may_not_be_guessed_at() -> None:
    """A wrong shape, dtype or value is refused by name and leaves the state untouched."""
    batch = TownBatch(SPEC, worlds=2, seed=4, days=1)
    with pytest.raises(BadInputError, match="call reset first"):
        batch.step(np.zeros((2, 8), np.int64))
    batch.reset()
    before = batch.state_hash()
    for actions in (np.zeros((2, 7), np.int64), np.zeros((2, 8), np.int32), np.full((2, 8), 14), np.full((2, 8), -1)):
        with pytest.raises(BadInputError, match="expected"):
            batch.step(actions)
    with pytest.raises(BadInputError, match="bool array"):
        batch.reset(np.zeros(3, np.bool_))
    assert before == batch.state_hash()
