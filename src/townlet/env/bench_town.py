"""How fast towns are: agent-ticks and agent-steps a second, and how much of the memory's speed that is.

What is timed is real play: the script plays once, its actions are kept, and the same decisions are played again from
the same snapshot, back to back. It is timed in three parts: the rules alone, with observations, and `TownBatch.step`,
which checks actions and returns records.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record
from townlet.dto.scenarios import scenario as preset
from townlet.dto.town import TownSpec
from townlet.errors import BadInputError
from townlet.processors import usable_processors
from townlet.world.teachers import TEACHERS

if TYPE_CHECKING:
    from townlet.world.batch import TownBatch

__all__ = ["Speed", "TownBench", "bench", "bench_table"]

_WARM_UP, _CHOICE, _LARGEST, _LEAST_SECONDS = 240, 6, 1 << 18, 0.1
"""Ticks before the measured ones, ticks from one choice of the script to the next among them, agents of the largest
batch, seconds of the shortest measurement."""
PARTS = ("rules", "observed", "step")
"""What is timed: the rules alone, with observations, and with checks and records as well."""


@frozen(kw_only=True)
class Speed(Record):
    """One measurement."""

    worlds: int
    """W."""
    agents: int
    """N per world."""
    threads: int
    """Most threads that shared the worlds; a small batch takes one."""
    ticks_per_decision: int
    """Ticks that one action lasts."""
    part: str
    """What was timed: ``rules``, ``observed`` or ``step``."""
    agent_ticks: float
    """Agent-ticks per second of wall time; the best of the rounds."""
    agent_steps: float
    """Agent-steps (decisions of one agent) per second."""
    agent_steps_processor: float
    """Agent-steps per second of processor time, all threads together, which other programs hardly move."""
    bytes_per_step: float
    """Bytes an agent-step moves: its share of the state read and written, features, mask and terms written."""
    of_copy: float
    """Bytes moved per second, as a share of what a plain copy of as many bytes moves on as many threads."""
    of_one: float
    """Times as fast as on the first number of threads asked for; the median over paired rounds."""


@frozen(kw_only=True)
class TownBench(Record):
    """All measurements of one run."""

    scenario: str
    """Preset whose rules were played."""
    processors: int
    """Processors of the machine."""
    first_call: float
    """Seconds until the first decision was played; compiles where the kernels were not cached."""
    compiled: bool
    """Whether the first call had to compile."""
    plain: float
    """Times as fast as one thread two of them hash bytes: what this machine's second processor is worth."""
    speeds: tuple[Speed, ...]
    """In the order of agents, ticks, worlds, parts, threads."""


def bench(
    *,
    scenario: str = "small_town",
    worlds: Iterable[int] = (1, 64, 1024, 16_384),
    agents: Iterable[int] = (8, 64),
    ticks: Iterable[int] = (1, 6),
    threads: Iterable[int] = (1, 2),
    rounds: int = 3,
) -> TownBench:
    """Measure towns of a scenario in every combination of sizes that fits into memory comfortably.

    BadInputError where `rounds` or a size is below 1.
    """
    sizes = [tuple(values) for values in (worlds, agents, ticks, threads)]
    if rounds < 1 or any(value < 1 for values in sizes for value in values):
        raise BadInputError(f"bench: expected sizes and rounds of at least 1, found {sizes} and {rounds}")
    from townlet.compiled import is_cold  # numba loads with it

    base, cold, began = preset(scenario), is_cold(), time.perf_counter()
    _run(base, worlds=1, threads=(1,), rounds=1)
    first_call = time.perf_counter() - began
    speeds = [
        speed
        for n in sizes[1]
        for tick in sizes[2]
        for w in sizes[0]
        if w * n <= _LARGEST
        for speed in _run(evolve(base, agents=n, ticks_per_decision=tick), worlds=w, threads=sizes[3], rounds=rounds)
    ]
    return TownBench(
        scenario=scenario, processors=usable_processors(), first_call=first_call, compiled=cold, plain=_plain(rounds),
        speeds=tuple(speeds),
    )  # fmt: skip


def bench_table(result: TownBench) -> str:
    """Return the measurements as a table of text, a line for each, numbers per second in millions."""
    lines = [
        f"town {result.scenario} on {result.processors} processors; first decision after {result.first_call:.1f} s "
        f"({'compiled' if result.compiled else 'from the cache'}); two threads of plain hashing are worth "
        f"{result.plain:.2f} of one",
        f"{'worlds':>7} {'agents':>6} {'ticks':>5} {'threads':>7} {'part':>8} "
        f"{'M ticks/s':>10} {'M steps/s':>10} {'by cpu':>7} {'bytes/step':>10} {'of copy':>8} {'of one':>7}",
    ]
    lines += [
        f"{s.worlds:>7} {s.agents:>6} {s.ticks_per_decision:>5} {s.threads:>7} {s.part:>8} "
        f"{s.agent_ticks / 1e6:>10.2f} {s.agent_steps / 1e6:>10.2f} {s.agent_steps_processor / 1e6:>7.2f} "
        f"{s.bytes_per_step:>10.0f} {s.of_copy:>8.0%} "
        f"{s.of_one:>7.2f}"
        for s in result.speeds
    ]
    return "\n".join(lines)


def _run(spec: TownSpec, *, worlds: int, threads: tuple[int, ...], rounds: int) -> list[Speed]:
    """Return the speeds of each part on each number of threads, in rounds that take all of them in turn."""
    from townlet.world.batch import TownBatch

    batches = {
        count: TownBatch(spec, worlds=worlds, seed=1, days=14, threads=count) for count in threads if count <= worlds
    }
    start, script = _recorded(next(iter(batches.values())))
    steps = len(script) * worlds * spec.agents
    seconds = np.array(
        [[[_timed(batch, start, script, part) for batch in batches.values()] for part in PARTS] for _ in range(rounds)]
    )  # [rounds, parts, threads, clocks]
    gains, best = np.median(seconds[:, :, :1, 0] / seconds[..., 0], axis=0), seconds.min(axis=0)
    speeds = []
    for p, part in enumerate(PARTS):
        for b, (count, batch) in enumerate(batches.items()):
            moved, (least, processor) = batch.bytes_per_step(observed=part != "rules"), best[p, b]
            speeds.append(
                Speed(
                    worlds=worlds,
                    agents=spec.agents,
                    threads=count,
                    ticks_per_decision=spec.ticks_per_decision,
                    part=part,
                    agent_ticks=float(steps * spec.ticks_per_decision / least),
                    agent_steps=float(steps / least),
                    agent_steps_processor=float(steps / processor),
                    bytes_per_step=moved,
                    of_copy=float(moved * steps / least / _copy_speed(moved * worlds * spec.agents, count)),
                    of_one=float(gains[p, b]),
                )
            )
    return speeds


def _recorded(batch: "TownBatch") -> tuple[bytes, list[NDArray[np.int64]]]:
    """Return a moment of the script's play, and its next decisions: about a million agent-steps, but 4 to 200.

    The moment is the same for all sizes: what an agent-step costs depends on how many queue, quarrel and work.
    """
    teacher, observations = TEACHERS["scripted"](), batch.reset()
    ticks = batch.spec.ticks_per_decision
    actions = teacher.act(observations)
    for tick in range(0, _WARM_UP, ticks):
        if tick % _CHOICE == 0:
            actions = teacher.act(observations)
        observations = batch.step(actions).observations
    start, script = batch.snapshot(), []
    lanes = batch.worlds * batch.spec.agents
    for _ in range(min(max(1_000_000 // lanes, 4), 200)):
        script.append(teacher.act(observations))
        observations = batch.step(script[-1]).observations
    return start, script


def _timed(batch: "TownBatch", start: bytes, script: list[NDArray[np.int64]], part: str) -> tuple[float, float]:
    """Return the seconds and the processor seconds that a replay of the script takes; short ones are repeated."""
    total, count = np.zeros(2), 0
    while total[0] < _LEAST_SECONDS:
        batch.restore(start)
        began = _clocks()
        if part == "step":
            for actions in script:
                batch.step(actions)
        else:
            batch.play_actions(script, observed=part == "observed")
        total, count = total + _clocks() - began, count + 1
    wall, processor = total / count
    return float(wall), float(processor)


def _clocks() -> NDArray[np.float64]:
    """Return the moment [2] by the clock and by the processor time of all threads, in seconds."""
    return np.array((time.perf_counter(), time.process_time()))


def _copy_speed(size: float, threads: int) -> float:
    """Return the bytes per second, read and written, of copying arrays that move as many bytes as a decision does."""
    half = max(int(size) // 2 // threads, 1 << 12)
    pairs = [(np.ones(half, np.uint8), np.empty(half, np.uint8)) for _ in range(threads)]
    repeats = max(1, (1 << 27) // half)

    def copy(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
        for _ in range(repeats):
            np.copyto(pair[1], pair[0])

    with ThreadPoolExecutor(threads) as pool:
        best = np.inf
        for _ in range(3):
            began = time.perf_counter()
            list(pool.map(copy, pairs))
            best = min(best, time.perf_counter() - began)
    return 2 * half * threads * repeats / best


def _plain(rounds: int) -> float:
    """Return how many times as fast as one thread two of them hash a block that fits their caches; the median."""
    block = bytes(1 << 18)

    def speed(pool: ThreadPoolExecutor, threads: int) -> float:
        began = time.perf_counter()
        list(pool.map(lambda _: [sha256(block) for _ in range(200)], range(threads)))
        return threads / (time.perf_counter() - began)

    with ThreadPoolExecutor(2) as pool:
        return float(np.median([speed(pool, 2) / speed(pool, 1) for _ in range(2 * rounds + 1)]))
