"""What goes into a step of many worlds and what comes out, as arrays that stay where they are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.dto.town import TownSpec
from townlet.world.features import TERMS, USE, features
from townlet.world.observe import OBJECT_TABLE_ROWS
from townlet.world.rules import Rules, build_rules, time_of_day
from townlet.world.state import State, allocate

__all__ = ["BatchArrays", "StepBuffers", "allocate_buffers", "example"]


class StepBuffers(NamedTuple):
    """Arrays that a decision reads and writes."""

    actions: NDArray[np.int64]
    """[W, N], the actions of a decision."""
    chosen: NDArray[np.bool_]
    """[W], the worlds to reset."""
    world_keys: NDArray[np.uint64]
    """[W], random key of each world."""
    observations: NDArray[np.float32]
    """[W, N, F]."""
    action_mask: NDArray[np.bool_]
    """[W, N, A]."""
    alive: NDArray[np.bool_]
    """[W, N]."""
    keys: NDArray[np.uint64]
    """[W], random key of each world and decision, for policies."""
    rewards: NDArray[np.float32]
    """[W, N]."""
    terms: NDArray[np.float32]
    """[K, W, N]."""
    terminations: NDArray[np.bool_]
    """[W, N]."""
    truncations: NDArray[np.bool_]
    """[W, N]."""
    over: NDArray[np.bool_]
    """[W]."""
    shared_rows: NDArray[np.float32]
    """[W, F], scratch for the shared features: each slice uses the row of its first world."""
    object_table: NDArray[np.float32]
    """[W, 3 + needs, O], scratch likewise."""
    time_of_day: NDArray[np.float32]
    """[DAY, 2], sine and cosine of the time of day."""


def allocate_buffers(worlds: int, agents: int, objects: int, object_slots: int) -> StepBuffers:
    """Return the buffers of W worlds of N agents and O objects in so many slots; all zero but the time of day."""
    wide = len(features(object_slots))
    return StepBuffers(
        actions=np.zeros((worlds, agents), np.int64),
        chosen=np.zeros(worlds, np.bool_),
        world_keys=np.zeros(worlds, np.uint64),
        observations=np.zeros((worlds, agents, wide), np.float32),
        action_mask=np.zeros((worlds, agents, USE + object_slots), np.bool_),
        alive=np.zeros((worlds, agents), np.bool_),
        keys=np.zeros(worlds, np.uint64),
        rewards=np.zeros((worlds, agents), np.float32),
        terms=np.zeros((len(TERMS), worlds, agents), np.float32),
        terminations=np.zeros((worlds, agents), np.bool_),
        truncations=np.zeros((worlds, agents), np.bool_),
        over=np.zeros(worlds, np.bool_),
        shared_rows=np.zeros((worlds, wide), np.float32),
        object_table=np.zeros((worlds, OBJECT_TABLE_ROWS, objects), np.float32),
        time_of_day=time_of_day(),
    )


class BatchArrays(NamedTuple):
    """All that the kernel of a batch of worlds reads and writes."""

    state: State
    """The worlds."""
    rules: Rules
    """Their rules."""
    buffers: StepBuffers
    """What goes in and comes out."""


def example() -> BatchArrays:
    """Return a batch of one world, for the types of its parts."""
    spec = TownSpec(name="example", agents=1, objects=("fridge",))
    objects = len(spec.objects)
    buffers = allocate_buffers(1, spec.agents, objects, spec.object_slots)
    return BatchArrays(allocate(1, spec.agents, objects)[1], build_rules(spec), buffers)
