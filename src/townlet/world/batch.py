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

from townlet.dto.boundary import ObservationBatchDTO, RewardBreakdownDTO, StepResult
from townlet.dto.town import DAY, KINDS, TownSpec
from townlet.errors import BadInputError
from townlet.ports import Tallies
from townlet.rng import mix
from townlet.world.features import RULES_VERSION, TERMS, USE, features
from townlet.world.kpis import tally
from townlet.world.observe import OFFERS
from townlet.world.rules import rules_of, sky
from townlet.world.state import allocate
from townlet.world.step import OPEN, PLAY, SHOW, Command, StepBuffers, visit

__all__ = ["TownBatch"]

_SNAPSHOT = b"townlet-town/1\n"
_WORLDS_PER_THREAD = 64
_SLICES = 8
"""Slices of worlds for each thread."""


class TownBatch:
    """W worlds of one spec; world i of a seed plays the same episodes in whatever batch and on however many threads.

    Nothing happens before the first `reset`. Kernels run without the interpreter's lock, so that worlds are shared
    out among plain threads.
    """

    def __init__(
        self, spec: TownSpec, *, worlds: int, seed: int, days: int, first_world: int = 0, threads: int | None = None
    ) -> None:
        """Lay out `worlds` worlds with the ids first_world, first_world + 1, …; episodes last `days` days.

        `threads` None takes as many as there are processors and 64 worlds for each to be busy with.
        """
        for name, value, least, most in (
            ("worlds", worlds, 1, 1 << 20),
            ("seed", seed, 0, (1 << 64) - 1),
            ("days", days, 1, 10_000),
            ("first_world", first_world, 0, 1 << 40),
            ("threads", 1 if threads is None else threads, 1, 256),
        ):
            if not least <= value <= most:
                raise BadInputError(f"TownBatch: {name} is {value}, expected {least} to {most}")
        self.spec, self.worlds, self.seed, self.days, self.first_world = spec, worlds, seed, days, first_world
        self._threads = min(threads or max(1, worlds // _WORLDS_PER_THREAD), os.cpu_count() or 1, worlds)
        self._pool: ThreadPoolExecutor | None = None
        self._rules = rules_of(spec)
        self._buffer, self._state = allocate(worlds, spec.agents, len(spec.objects))
        self._state.things["kind"] = [KINDS.index(kind) for kind in spec.objects]
        ids = np.arange(first_world, first_world + worlds, dtype=np.uint64)
        self._world_keys = mix(np.uint64(seed), ids)
        slots, wide = spec.agents, len(features(spec.object_slots))
        self._seen = StepBuffers(
            observations=np.zeros((worlds, slots, wide), np.float32),
            action_mask=np.zeros((worlds, slots, USE + spec.object_slots), np.bool_),
            alive=np.zeros((worlds, slots), np.bool_),
            keys=np.zeros(worlds, np.uint64),
            rewards=np.zeros((worlds, slots), np.float32),
            terms=np.zeros((len(TERMS), worlds, slots), np.float32),
            terminations=np.zeros((worlds, slots), np.bool_),
            truncations=np.zeros(worlds, np.bool_),
            boards=np.zeros((worlds, wide), np.float32),
            offers=np.zeros((worlds, OFFERS, len(spec.objects)), np.float32),
            sky=sky(),
        )
        self._nowhere, self._nothing = np.zeros(worlds, np.bool_), np.zeros((worlds, slots), np.int64)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; BadInputError for another shape or dtype."""
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        if not isinstance(chosen, np.ndarray) or chosen.dtype != np.bool_ or chosen.shape != (self.worlds,):
            raise BadInputError(f"reset: expected a bool array of shape ({self.worlds},), found {_shown(chosen)}")
        if np.any(~chosen & (self._state.clocks["episode"] == 0)):
            raise BadInputError("reset: a world that has no episode yet cannot be left out; reset all worlds first")
        self._visit(OPEN, chosen=chosen)
        return self._observations()

    def observe(self) -> ObservationBatchDTO:
        """Return what everyone sees now."""
        self._begun("observe")
        return self._observations()

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Play one decision, actions int64 [W, N]; BadInputError for anything else, with the state untouched."""
        self._begun("step")
        shape, count = self._seen.alive.shape, self._seen.action_mask.shape[2]
        if not isinstance(actions, np.ndarray) or actions.dtype != np.int64 or actions.shape != shape:
            raise BadInputError(f"step: expected an int64 array of shape {shape}, found {_shown(actions)}")
        if actions.min() < 0 or actions.max() >= count:
            raise BadInputError(
                f"step: actions lie between {actions.min()} and {actions.max()}, expected 0 to {count - 1}"
            )
        self._visit(PLAY, actions=actions)
        return StepResult(
            observations=self._observations(),
            rewards=self._seen.rewards.copy(),
            terminations=self._seen.terminations.copy(),
            truncations=self._seen.truncations.copy(),
        )

    def replay(self, script: Sequence[NDArray[np.int64]], *, observed: bool) -> None:
        """Play legal decisions [W, N] one after the other and hand nothing out; unobserved, nobody even looks.

        It is what measurements time: the step as it is, without checks and copies at the boundary.
        """
        self._begun("replay")
        if not observed:
            self._seen.action_mask[:] = True  # masks would be stale, and these decisions were legal when made
        for actions in script:
            self._visit(PLAY, actions=actions, blind=not observed)

    def bytes_per_step(self, *, observed: bool) -> float:
        """Return the bytes that one agent's decision moves: state read and written, terms, and what is seen."""
        seen = self._seen
        written = seen.terms.nbytes + seen.rewards.nbytes + seen.terminations.nbytes
        if observed:
            written += seen.observations.nbytes + seen.action_mask.nbytes + seen.alive.nbytes
        return (2 * self._buffer.nbytes + written) / (self.worlds * self.spec.agents)

    def breakdown(self) -> RewardBreakdownDTO:
        """Return the terms of the last decision's rewards; zero right after a reset or restore."""
        return RewardBreakdownDTO(names=TERMS, terms=self._seen.terms.copy())

    def tallies(self) -> Tallies:
        """Return each world's KPI sums and exposures over its running or just finished episode."""
        state = self._state
        sums, exposures = tally(self.spec, state.clocks, state.ledgers, state.agents, state.things)
        return Tallies(sums=sums, exposures=exposures)

    def look(self, world: int) -> tuple[Any, NDArray[Any], NDArray[Any]]:
        """Return a world's clock, agents [N] and objects [O] as they are now: views, for pictures, not for changes."""
        return self._state.clocks[world], self._state.agents[world], self._state.things[world]

    def snapshot(self) -> bytes:
        """Return all state: a line that says what it is of, and the buffer."""
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
        for array in (self._seen.terms, self._seen.rewards, self._seen.terminations):
            array[...] = 0
        if np.all(self._state.clocks["episode"] > 0):
            self._visit(SHOW)

    def world_hashes(self) -> tuple[str, ...]:
        """Return one digest per world, the same in whatever batch the world stands."""
        return tuple(
            sha256(b"".join(np.ascontiguousarray(block[w]).tobytes() for block in self._state)).hexdigest()
            for w in range(self.worlds)
        )

    def state_hash(self) -> str:
        """Return one digest over all worlds, in order."""
        return sha256("".join(self.world_hashes()).encode()).hexdigest()

    def _identity(self) -> dict[str, object]:
        spec = sha256(json.dumps(self.spec.model_dump(), sort_keys=True).encode()).hexdigest()
        return {
            "days": self.days,
            "first_world": self.first_world,
            "rules": RULES_VERSION,
            "seed": self.seed,
            "spec": spec,
            "worlds": self.worlds,
        }

    def _begun(self, verb: str) -> None:
        if not self._state.clocks["episode"].all():
            raise BadInputError(f"{verb}: no episode has begun; call reset first")

    def _observations(self) -> ObservationBatchDTO:
        # the features are large and stay a view, as the record says; the rest is small enough to be handed over
        return ObservationBatchDTO(
            observations=self._seen.observations,
            action_mask=self._seen.action_mask.copy(),
            alive=self._seen.alive.copy(),
            keys=self._seen.keys.copy(),
        )

    def _visit(
        self,
        task: int,
        *,
        chosen: NDArray[np.bool_] | None = None,
        actions: NDArray[np.int64] | None = None,
        blind: bool = False,
    ) -> None:
        """Carry out one task in all worlds; absent arrays are stood in for, so that the kernel is compiled once."""
        order = Command(
            task=task,
            blind=blind,
            length=self.days * DAY,
            chosen=np.ascontiguousarray(self._nowhere if chosen is None else chosen),
            world_keys=self._world_keys,
            actions=np.ascontiguousarray(self._nothing if actions is None else actions),
        )
        self._share(lambda a, b: visit(self._state, self._rules, self._seen, order, a, b))

    def _share(self, work: Callable[[int, int], None]) -> None:
        """Do `work` on [0, W), cut into slices that the threads take one after the other, the caller's among them.

        There are more slices than threads, so that a thread that the machine holds up does not keep the others waiting.
        """
        with np.errstate(over="ignore"):  # the plain-Python kernels wrap around on purpose
            if self._threads == 1:
                work(0, self.worlds)
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="town")
            parts = max(self._threads, min(_SLICES * self._threads, self.worlds // _WORLDS_PER_THREAD))
            cuts = [self.worlds * part // parts for part in range(parts + 1)]
            slices = iter(list(pairwise(cuts)))  # the iterator of a list hands out each element once, whoever asks

            def take() -> None:
                for a, b in slices:
                    work(a, b)

            others = [self._pool.submit(take) for _ in range(self._threads - 1)]
            take()
            for other in others:
                other.result()


def _shown(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__
