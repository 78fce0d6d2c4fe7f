"""A batch of worlds that are stepped together."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import announce_compilation
from townlet.dto.array_fields import trusted
from townlet.dto.boundary import ObservationBatchDTO, RewardBreakdownDTO, StepResult
from townlet.dto.quantities import whole_number
from townlet.dto.town import DAY, KINDS, MOST_DAYS, MOST_WORLDS, TownSpec
from townlet.errors import BadInputError
from townlet.ports import Tallies
from townlet.processors import usable_processors
from townlet.rng import mix
from townlet.world.buffers import BatchArrays, allocate_buffers
from townlet.world.features import RULES_VERSION, TERMS
from townlet.world.kpis import tally
from townlet.world.rules import build_rules
from townlet.world.state import allocate
from townlet.world.step import CHECK, OBSERVE, RESET, STEP, pack, run_worlds

__all__ = ["TownBatch"]

_SNAPSHOT = b"townlet-town/1\n"
_OBSERVING = 2
"""Ticks that take as long as observing once."""
_LEAST_SHARE = 2048
"""Agent-ticks of a decision, with observing, that are worth waking a thread: about .15 ms."""
_LEAST_SLICE = 512
"""Those that are worth a slice of their own."""
_SLICES = 8
"""Most slices of worlds for each thread."""


class TownBatch:
    """W worlds of one spec. World i of a seed plays the same episodes in any batch and on any number of threads.

    Call `reset` first. Kernels release the interpreter's lock, so that plain threads share the worlds.
    """

    def __init__(
        self,
        spec: TownSpec,
        *,
        worlds: int,
        seed: int | Sequence[int],
        days: int,
        ticks: int | None = None,
        first_world: int = 0,
        threads: int | None = None,
    ) -> None:
        """Allocate worlds with the ids first_world, first_world + 1, …; episodes last `days` days, or so many `ticks`.

        Of several seeds, one for each world, world w is the world `first_world` of its own. `threads` is the most that
        share the worlds, None for one per processor; fewer do where a thread would gain less than it costs to wake.
        """
        seeds = tuple(seed) if isinstance(seed, Sequence) else (seed,)
        if isinstance(seed, Sequence) and len(seeds) != worlds:
            raise BadInputError(f"TownBatch: seed lists {len(seeds)} numbers, expected one for each of {worlds} worlds")
        for name, value, least, most in (
            ("worlds", worlds, 1, MOST_WORLDS),
            *(("seed", each, 0, (1 << 64) - 1) for each in seeds),
            ("days", days, 1, MOST_DAYS),
            ("ticks", DAY if ticks is None else ticks, 1, MOST_DAYS * DAY),
            ("first_world", first_world, 0, 1 << 40),
            ("threads", 1 if threads is None else threads, 1, 256),
        ):
            if not least <= whole_number(value, f"TownBatch: {name}") <= most:
                raise BadInputError(f"TownBatch: {name} is {value}, expected {least} to {most}")
        # numpy's integers become Python's, which the snapshot's header needs
        worlds, days, first_world, seeds = int(worlds), int(days), int(first_world), tuple(map(int, seeds))
        self.ticks = None if ticks is None else int(ticks)
        self._length = days * DAY if ticks is None else int(ticks)
        seed = seeds if isinstance(seed, Sequence) else seeds[0]
        self.spec, self.worlds, self.seed, self.days, self.first_world = spec, worlds, seed, days, first_world
        self._most_threads = threads
        self._work = worlds * spec.agents * (spec.ticks_per_decision + _OBSERVING)
        self._threads = max(1, min(threads or 256, usable_processors(), worlds, self._work // _LEAST_SHARE))
        self._pool: ThreadPoolExecutor | None = None
        self._pool_process = 0
        self._rules = build_rules(spec)
        self._buffer, self._state = allocate(worlds, spec.agents, len(spec.objects))
        self._state.objects["kind"] = [KINDS.index(kind) for kind in spec.objects]
        ids = np.arange(first_world, first_world + worlds, dtype=np.uint64)
        if isinstance(seed, Sequence):
            ids[:] = first_world
        self._buffers = allocate_buffers(worlds, spec.agents, len(spec.objects), spec.object_slots)
        self._buffers.world_keys[:] = mix(np.array(seeds, np.uint64), ids)
        self._arrays = pack(BatchArrays(state=self._state, rules=self._rules, buffers=self._buffers))
        self._has_episodes = False
        announce_compilation()

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; BadInputError for another shape or dtype."""
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        if not isinstance(chosen, np.ndarray) or chosen.dtype != np.bool_ or chosen.shape != (self.worlds,):
            raise BadInputError(
                f"reset: expected a bool array of shape ({self.worlds},), found {_type_and_shape(chosen)}"
            )
        if np.any(~chosen & (self._state.clocks["episode"] == 0)):
            raise BadInputError("reset: a world that has no episode yet cannot be left out; reset all worlds first")
        self._buffers.chosen[:] = chosen
        self._run(RESET)
        self._has_episodes = True
        return self._observations()

    def observe(self) -> ObservationBatchDTO:
        """Return the observations of the present state."""
        self._require_episode("observe")
        return self._observations()

    def step(self, actions: NDArray[np.int64], after_tick: Callable[[], None] | None = None) -> StepResult:
        """Play one decision, actions int64 [W, N]; BadInputError for anything else, with the state untouched.

        `after_tick` is called after every tick of the decision, with the same bits as without; it may read the state.
        """
        self._require_episode("step")
        shape, count = self._buffers.alive.shape, self._buffers.action_mask.shape[2]
        if not isinstance(actions, np.ndarray) or actions.dtype != np.int64 or actions.shape != shape:
            raise BadInputError(f"step: expected an int64 array of shape {shape}, found {_type_and_shape(actions)}")
        buffers = self._buffers
        buffers.actions[:] = actions
        if not run_worlds(self._arrays, CHECK, self._length, (0, 0), (0, self.worlds), True):
            raise BadInputError(
                f"step: actions lie between {actions.min()} and {actions.max()}, expected 0 to {count - 1}"
            )
        if after_tick is None:
            self._run(STEP)
        else:
            for tick in range(self.spec.ticks_per_decision):
                self._run(STEP, ticks=(tick, tick + 1))
                after_tick()
        return trusted(
            StepResult,
            observations=self._observations(),
            rewards=buffers.rewards.copy(),
            terminations=buffers.terminations.copy(),
            truncations=buffers.truncations.copy(),
            over=buffers.over.copy(),
        )

    def play_actions(self, script: Sequence[NDArray[np.int64]], *, observed: bool) -> None:
        """Play legal actions [W, N], one array per decision, and return nothing; observations only if `observed`.

        Benchmarks time this: the step alone, without the checks and copies of `step`.
        """
        self._require_episode("play_actions")
        if not observed:
            self._buffers.action_mask[:] = (
                True  # the masks are stale, and these actions were legal when they were recorded
            )
        for actions in script:
            self._buffers.actions[:] = actions
            self._run(STEP, skip_observe=not observed)

    def bytes_per_step(self, *, observed: bool) -> float:
        """Return the bytes moved per agent-step: state, reward terms, and observations if `observed`."""
        buffers = self._buffers
        written = buffers.terms.nbytes + buffers.rewards.nbytes + buffers.terminations.nbytes
        if observed:
            written += buffers.observations.nbytes + buffers.action_mask.nbytes + buffers.alive.nbytes
        return (2 * self._buffer.nbytes + written) / (self.worlds * self.spec.agents)

    def breakdown(self) -> RewardBreakdownDTO:
        """Return the terms of the last decision's rewards; zero right after a reset or restore."""
        return RewardBreakdownDTO(names=TERMS, terms=self._buffers.terms.copy())

    def tallies(self) -> Tallies:
        """Return each world's KPI sums and exposures over its running or just finished episode."""
        state = self._state
        sums, exposures = tally(self.spec, state.clocks, state.ledgers, state.agents, state.objects)
        return Tallies(sums=sums, exposures=exposures)

    def relation_rows(self, world: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return views of a world's rivalry [N, N] and relations [N, N], for rendering; do not write to them."""
        return self._state.rivalry[world], self._state.relations[world]

    def world_rows(self, world: int) -> tuple[Any, NDArray[Any], NDArray[Any]]:
        """Return views of a world's clock, agents [N] and objects [O], for rendering; do not write to them."""
        return self._state.clocks[world], self._state.agents[world], self._state.objects[world]

    def snapshot(self) -> bytes:
        """Return all state as bytes: format line, JSON line that identifies the batch, buffer."""
        return _SNAPSHOT + json.dumps(self._identity(), sort_keys=True).encode() + b"\n" + self._buffer.tobytes()

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot of a batch of the same spec, seed and worlds; BadInputError for any other."""
        magic, _, rest = state.partition(b"\n")
        header, _, body = rest.partition(b"\n")
        expected = self._identity()
        if magic + b"\n" != _SNAPSHOT:
            raise BadInputError(
                f"restore: found {magic[:40]!r}, expected {_SNAPSHOT.strip()!r}; use the Townlet that wrote it"
            )
        if header != json.dumps(expected, sort_keys=True).encode():
            raise BadInputError(f"restore: expected a snapshot of {expected}, found {header[:200]!r}")
        if len(body) != self._buffer.nbytes:
            raise BadInputError(f"restore: expected {self._buffer.nbytes} bytes of state, found {len(body)}")
        self._buffer[:] = np.frombuffer(body, np.uint8)
        for array in (self._buffers.terms, self._buffers.rewards, self._buffers.terminations):
            array[...] = 0
        self._has_episodes = bool(np.all(self._state.clocks["episode"] > 0))
        if self._has_episodes:
            self._run(OBSERVE)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as arguments and arrays, which the copy's own kernels read and write."""
        options = {
            "worlds": self.worlds,
            "seed": self.seed,
            "days": self.days,
            "ticks": self.ticks,
            "first_world": self.first_world,
            "threads": self._most_threads,
        }
        return _copied, (self.spec, options, self._buffer, tuple(self._buffers))

    def world_hashes(self) -> tuple[str, ...]:
        """Return one SHA-256 per world; it does not depend on the batch that holds the world."""
        return tuple(
            sha256(b"".join(np.ascontiguousarray(block[w]).tobytes() for block in self._state)).hexdigest()
            for w in range(self.worlds)
        )

    def state_hash(self) -> str:
        """Return one SHA-256 over all worlds, in order."""
        return sha256("".join(self.world_hashes()).encode()).hexdigest()

    def _identity(self) -> dict[str, object]:
        spec = sha256(json.dumps(self.spec.model_dump(), sort_keys=True).encode()).hexdigest()
        length: dict[str, object] = {"days": self.days} if self.ticks is None else {"ticks": self.ticks}
        return length | {
            "first_world": self.first_world,
            "rules": RULES_VERSION,
            "seed": list(self.seed) if isinstance(self.seed, Sequence) else self.seed,
            "spec": spec,
            "worlds": self.worlds,
        }

    def _require_episode(self, verb: str) -> None:
        if not self._has_episodes:
            raise BadInputError(f"{verb}: no episode has begun; call reset first")

    def _observations(self) -> ObservationBatchDTO:
        # features are large and stay a view, as ObservationBatchDTO says; the other arrays are small and copied
        return trusted(
            ObservationBatchDTO,
            observations=self._buffers.observations.view(),
            action_mask=self._buffers.action_mask.copy(),
            alive=self._buffers.alive.copy(),
            keys=self._buffers.keys.copy(),
        )

    def _run(self, task: int, *, ticks: tuple[int, int] | None = None, skip_observe: bool = False) -> None:
        """Run one task in all worlds. STEP plays the `ticks` [first, end) of a decision, by default all of them.

        Observations are those after the last tick of a decision.
        """
        end = self.spec.ticks_per_decision
        ticks = (0, end) if ticks is None else ticks
        skip_observe = skip_observe or ticks[1] < end
        self._share(lambda a, b: run_worlds(self._arrays, task, self._length, ticks, (a, b), skip_observe))

    def _share(self, work: Callable[[int, int], object]) -> None:
        """Run `work` on [0, W), cut into slices; the threads, the caller's included, take the next slice when free.

        There are more slices than threads, so that one slow thread does not keep the others waiting; and a thread that
        has not woken before the slices are gone is not waited for.
        """
        if self._threads == 1:
            work(0, self.worlds)
            return
        if self._pool is None or self._pool_process != os.getpid():  # a forked child has none of its threads
            self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="town")
            self._pool_process = os.getpid()
        parts = max(self._threads, min(_SLICES * self._threads, self.worlds, self._work // _LEAST_SLICE))
        cuts = [self.worlds * part // parts for part in range(parts + 1)]
        slices = iter(list(pairwise(cuts)))  # the iterator of a list hands out each element once, whoever asks

        def work_off() -> None:
            for a, b in slices:
                work(a, b)

        others = [self._pool.submit(work_off) for _ in range(self._threads - 1)]
        work_off()
        for other in others:
            if not other.cancel():
                other.result()


def _copied(
    spec: TownSpec, options: dict[str, Any], buffer: NDArray[np.uint8], arrays: Sequence[NDArray[Any]]
) -> TownBatch:
    """Return a batch with the state and the buffers of another."""
    batch = TownBatch(spec, **options)
    batch._buffer[:] = buffer
    targets: Sequence[NDArray[Any]] = batch._buffers
    for own, array in zip(targets, arrays, strict=True):
        own[...] = array
    batch._has_episodes = bool(np.all(batch._state.clocks["episode"] > 0))
    return batch


def _type_and_shape(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__
