"""The town as an environment: what `townlet.ports` asks for, over a `TownBatch`."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.boundary import ObservationBatchDTO, RewardBreakdownDTO, StepResult
from townlet.dto.codec import did_you_mean
from townlet.dto.quantities import whole_number
from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.dto.town import DAY, HORIZON, MOST_DAYS, MOST_WORLDS, TownSpec
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription, Tallies, Teacher
from townlet.world.features import RULES_VERSION, TERMS, actions, features
from townlet.world.kpis import metrics
from townlet.world.teachers import TEACHERS

if TYPE_CHECKING:
    from townlet.env.town_recording import TownRecorder

__all__ = ["MOST_RECORDED", "TownEnvironment", "TownProvider", "describe"]

MOST_RECORDED = 32 * 8 * DAY
"""Agent-ticks of the longest episode that is recorded: about 3 MB of a page for each policy."""


def _signature(spec: TownSpec) -> str:
    meaning = {
        "rules": RULES_VERSION,
        "spec": spec.model_dump(),
        "features": features(spec.object_slots),
        "actions": actions(spec.object_slots),
    }
    return sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def describe(spec: TownSpec) -> EnvironmentDescription:
    """Return what a policy and a checker must know of a town; no kernel is loaded."""
    return EnvironmentDescription(
        id="town",
        scenario=spec.name,
        scenarios=tuple(SCENARIOS),
        agents=spec.agents,
        features=features(spec.object_slots),
        actions=ActionSpec.one_of(*actions(spec.object_slots)),
        decisions_per_day=DAY // spec.ticks_per_decision,
        ticks_per_decision=spec.ticks_per_decision,
        discount=1 - spec.ticks_per_decision / HORIZON,
        metrics=metrics(spec),
        reward_terms=TERMS,
        objective="return_per_agent_day",
        teachers=tuple(TEACHERS),
        lives_end=False,
        most_worlds=MOST_WORLDS,
        most_steps=MOST_DAYS * (DAY // spec.ticks_per_decision),
        signature=_signature(spec),
    )


class TownEnvironment:
    """W towns as a `townlet.ports.Environment`."""

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
        """Lay out the worlds; see `TownBatch`."""
        from townlet.world.batch import TownBatch  # numba loads with it, which describing need not pay

        self.description = describe(spec)
        self.batch = TownBatch(
            spec, worlds=worlds, seed=seed, days=days, ticks=ticks, first_world=first_world, threads=threads
        )
        self.worlds = self.batch.worlds

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default."""
        return self.batch.reset(worlds)

    def observe(self) -> ObservationBatchDTO:
        """Return what everyone sees now; what a caller needs after `restore`."""
        return self.batch.observe()

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Play one decision, actions [W, N, 1]; a bad one raises BadInputError and changes nothing."""
        return self.batch.step(actions[..., 0] if actions.ndim == 3 else actions)

    def breakdown(self) -> RewardBreakdownDTO:
        """Return the terms of the last decision's rewards."""
        return self.batch.breakdown()

    def tallies(self) -> Tallies:
        """Return each world's KPI sums over its running or just finished episode."""
        return self.batch.tallies()

    def snapshot(self) -> bytes:
        """Return all state, such that `restore` goes on with the same bits."""
        return self.batch.snapshot()

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot of an equal environment; BadInputError for any other."""
        self.batch.restore(state)


class TownProvider:
    """Makes towns: the entry point ``town``."""

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description of a scenario; BadInputError for an unknown one."""
        return describe(_spec(scenario))

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> TownEnvironment:
        """Return `worlds` worlds with the ids first_world, first_world + 1, …; an episode has `max_steps` decisions."""
        spec = _spec(scenario)
        ticks = whole_number(max_steps, "TownProvider.make: max_steps") * spec.ticks_per_decision
        return TownEnvironment(
            spec,
            worlds=worlds,
            seed=seed,
            days=max(1, ticks // DAY),
            ticks=ticks if ticks % DAY else None,
            first_world=first_world,
        )

    def recorder(self, scenario: str, *, seed: int, max_steps: int, world: int, every: int | None) -> "TownRecorder":
        """Return the world with the id `world`, which records every tick; `every` is for pictures and changes nothing.

        BadInputError for an episode that is longer than a page can hold.
        """
        from townlet.env.town_recording import TownRecorder

        spec = _spec(scenario)
        ticks = whole_number(max_steps, "TownProvider.recorder: max_steps") * spec.ticks_per_decision
        if ticks * spec.agents > MOST_RECORDED:
            raise BadInputError(
                f"an episode of {ticks / DAY:g} days of {spec.agents} agents cannot be recorded: a page holds at most "
                f"{MOST_RECORDED // spec.agents // DAY} days of so many; ask for fewer days"
            )
        return TownRecorder(self.make(scenario, worlds=1, seed=seed, max_steps=max_steps, first_world=world))

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a scripted policy by name; BadInputError for an unknown one."""
        _spec(scenario)
        if name not in TEACHERS:
            raise BadInputError(f"unknown teacher {name!r}{did_you_mean(name, tuple(TEACHERS))}")
        return TEACHERS[name]()


def _spec(name: str) -> TownSpec:
    return scenario(name)
