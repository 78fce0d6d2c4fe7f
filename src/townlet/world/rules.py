"""The spec as the kernels read it: one row of constants, a row per affordance and per job."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.dto.town import DAY, HORIZON, KINDS, NEEDS, PERTURBATIONS, TownSpec
from townlet.world.rows import F32, I32, NOBODY, rows

__all__ = [
    "Affordance",
    "Job",
    "Need",
    "Perturbation",
    "RelationConstants",
    "Rules",
    "TownConstants",
    "build_rules",
    "time_of_day",
]


class TownConstants:
    """Constants of a town; the words are those of the spec."""

    width: I32
    height: I32
    ticks_per_decision: I32
    refuse_above: F32
    join_distance: I32
    age_weight: F32
    ghost_step_after: I32
    stall_patience: I32
    cooldown: I32
    rivalry_gain: F32
    rivalry_decay: F32
    avoid: F32
    urgent: F32
    grace: I32
    absent_after: I32
    late_fine: F32
    absent_fine: F32
    faint_at: F32
    faint_after: I32
    respawn_min: I32
    respawn_max: I32
    content: F32
    born_needs: F32
    born_wallet: F32
    savings: F32
    alive: F32
    needs: F32
    hungry: F32
    hungry_below: F32
    wage: F32
    conflict: F32
    late: F32
    lateness: F32
    absent: F32
    punctual: F32
    faint: F32
    chat: F32
    chat_trust: F32
    chat_familiarity: F32
    eviction: F32
    shaping: F32
    discount: F32
    absences: I32
    evictions: I32


class RelationConstants:
    """Constants of relations; the words are those of the spec."""

    chat_distance: I32
    chat_cooldown: I32
    chat_trust: F32
    chat_familiarity: F32
    chat_coolness: F32
    meal_trust: F32
    meal_familiarity: F32
    meal_distance: I32
    handover: F32
    handover_place: F32
    helped_trust: F32
    helped_familiarity: F32
    shift_trust: F32
    shift_rivalry: F32
    fade: F32


class Perturbation:
    """Constants of one kind of perturbation, named as in the spec; all 0 where it never happens."""

    every: I32
    least: I32
    most: I32
    cooldown: I32
    cap: I32
    low: F32
    high: F32


class Need:
    """Constants of a need; the words are those of the spec."""

    decay: F32
    weight: F32


class Affordance:
    """What a kind of object does."""

    serves: I32
    """Index of the need; NOBODY for none."""
    duration: I32
    """Ticks."""
    price: F32
    """Money."""
    stock: I32
    """Portions after a restock; 0 for none needed."""
    makes: I32
    """Meals a use puts into the nearest fridge."""
    room: I32
    """Most portions it holds."""
    power: I32
    """1 where it needs power."""
    water: I32
    """1 where it needs water."""


class Job:
    """A daily shift."""

    start: I32
    """Tick of the day."""
    end: I32
    """Tick of the day."""
    wage: F32
    """Money per tick."""
    x: I32
    """Column of the site."""
    y: I32
    """Row of the site."""


class Rules(NamedTuple):
    """All that a rule may look up."""

    constants: TownConstants
    """The constants."""
    relation_constants: RelationConstants
    """Those of relations."""
    needs: Sequence[Need]
    """[needs]."""
    affordances: Sequence[Affordance]
    """[kinds]."""
    effects: NDArray[np.float32]
    """[kinds, needs], what a use adds to each need."""
    perturbations: Sequence[Perturbation]
    """[P]."""
    jobs: Sequence[Job]
    """[jobs]."""


def _constants(spec: TownSpec) -> dict[str, float]:
    queues, rivalry, work, life, rewards = spec.queues, spec.rivalry, spec.work, spec.life, spec.rewards
    return {
        "width": spec.width, "height": spec.height, "ticks_per_decision": spec.ticks_per_decision,
        "refuse_above": spec.refuse_above,
        "join_distance": queues.join_distance, "age_weight": queues.age_weight,
        "ghost_step_after": queues.ghost_step_after, "stall_patience": queues.stall_patience,
        "cooldown": queues.cooldown,
        "rivalry_gain": rivalry.gain, "rivalry_decay": rivalry.decay, "avoid": rivalry.avoid, "urgent": rivalry.urgent,
        "grace": max(work.grace, spec.ticks_per_decision), "absent_after": work.absent_after,
        "late_fine": work.late_fine, "absent_fine": work.absent_fine,
        "faint_at": life.faint_at, "faint_after": life.faint_after, "respawn_min": life.respawn_min,
        "respawn_max": life.respawn_max, "content": life.content,
        "born_needs": life.needs, "born_wallet": life.wallet, "savings": life.savings,
        "alive": rewards.alive, "needs": rewards.needs, "hungry": rewards.hungry,
        "hungry_below": rewards.hungry_below, "wage": rewards.wage, "conflict": rewards.conflict,
        "late": rewards.late, "lateness": rewards.lateness, "absent": rewards.absent, "punctual": rewards.punctual,
        "faint": rewards.faint, "chat": rewards.chat, "chat_trust": rewards.chat_trust,
        "chat_familiarity": rewards.chat_familiarity, "eviction": rewards.eviction, "shaping": rewards.shaping,
        "discount": 1 - spec.ticks_per_decision / HORIZON, "absences": work.absences, "evictions": work.evictions,
    }  # fmt: skip


def _fill(row: Any, values: dict[str, Any]) -> None:
    for name in row.dtype.names:
        row[name] = values[name]


def build_rules(spec: TownSpec) -> Rules:
    """Return a spec as the arrays that kernels read."""
    constants, relation_constants = rows(TownConstants, 1), rows(RelationConstants, 1)
    needs, affordances, jobs = rows(Need, len(NEEDS)), rows(Affordance, len(KINDS)), rows(Job, len(spec.jobs))
    perturbations = rows(Perturbation, len(PERTURBATIONS))
    _fill(constants[0], _constants(spec))
    _fill(relation_constants[0], spec.relations.model_dump())
    for row, name in zip(needs, NEEDS, strict=True):
        _fill(row, spec.needs[name].model_dump())
    for row, kind in zip(affordances, KINDS, strict=True):
        affordance = spec.affordances[kind]
        served = NEEDS.index(affordance.serves) if affordance.serves else NOBODY
        _fill(row, {**affordance.model_dump(), "serves": served})
    effects = np.array([[spec.affordances[kind].effect(need) for need in NEEDS] for kind in KINDS], np.float32)
    for row, job in zip(jobs, spec.jobs, strict=True):
        _fill(row, {**job.model_dump(), "x": job.site_x, "y": job.site_y})
    for row, name in zip(perturbations, PERTURBATIONS, strict=True):
        if name in spec.perturbations:
            _fill(row, spec.perturbations[name].model_dump())
    tables: Any = (constants[0], relation_constants[0], needs, affordances, effects, perturbations, jobs)
    return Rules(*tables)  # numpy rows carry the fields of the row classes, which mypy cannot know


def time_of_day() -> NDArray[np.float32]:
    """Return sine and cosine of the time of day [DAY, 2]: a table, because compilers disagree in the last bit."""
    angle = 2 * np.pi * np.arange(DAY) / DAY
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
