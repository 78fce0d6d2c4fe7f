"""Rounds and the promotion snapshot: a run in the shape that scripts of earlier releases read."""

from typing import Literal

from attrs import frozen

from townlet.dto.codec import Record

__all__ = ["BCRound", "PPORound", "PromotionPass", "PromotionSnapshot", "Status"]

Status = Literal["PASS", "HOLD", "FAIL"]
"""PASS: promoted. FAIL: the clone was refused or the last weights were rolled back. HOLD: anything else."""


@frozen(kw_only=True)
class BCRound(Record):
    """One visit to a state that clones."""

    cycle: int
    """Rounds of ppo finished before it."""
    mode: Literal["bc"] = "bc"
    """Kind of the stage."""
    accuracy: float
    """Held-out accuracy."""
    loss: float
    """Training loss."""
    threshold: float | None
    """What the accuracy was held against; none where no guard asked."""
    passed: bool | None
    """Whether it passed; none where no guard decided."""
    bc_weight: float
    """Weight of the demonstrations in the loss: 1, bc learns from nothing else."""
    rolled_back: bool
    """True where the clone was refused: its accuracy failed."""


@frozen(kw_only=True)
class PPORound(Record):
    """One visit to a state that fine-tunes, with the flags of its round."""

    cycle: int
    """Round, from 1."""
    mode: Literal["ppo"] = "ppo"
    """Kind of the stage."""
    loss_total: float
    """What was minimised, last iterations."""
    loss_policy: float
    """Clipped surrogate."""
    loss_value: float
    """Value loss."""
    queue_conflict_events: float
    """Conflicts of the training episodes."""
    queue_conflict_intensity_sum: float
    """Their sizes added up."""
    anneal_loss_flag: bool | None
    """True where a guard on the value loss tripped; none where none decided."""
    anneal_queue_flag: bool | None
    """True where a guard on evaluate's conflicts tripped; none where none decided."""
    anneal_intensity_flag: bool | None
    """True where a guard on evaluate's queue intensity tripped; none where none decided."""


@frozen(kw_only=True)
class PromotionPass(Record):
    """One judged evaluation, or one move of the alias."""

    tick: int
    """Sequence number of the journal record it was read from."""
    event: Literal["pass", "fail", "promoted"]
    """What happened."""
    candidate: str | None
    """Digest of the weights that were judged or promoted."""
    release: str | None
    """Weights digest in force afterwards; none for the teacher."""


@frozen(kw_only=True)
class PromotionSnapshot(Record):
    """State of promotion, complete, so that `restore` loses nothing. Ticks are sequence numbers of the journal."""

    schema_version: Literal[1] = 1
    """Of this layout."""
    state: Literal["monitoring", "ready", "promoted"] = "monitoring"
    """`ready`: enough passes in a row; `promoted`: the alias moved to the last candidate."""
    pass_streak: int = 0
    """Passes in a row."""
    required_passes: int = 1
    """Passes that make a candidate ready."""
    candidate_ready: bool = False
    """Whether the streak is long enough."""
    candidate_ready_tick: int | None = None
    """When it became so."""
    last_result: Literal["pass", "fail"] | None = None
    """Of the last evaluation that was judged."""
    last_evaluated_tick: int | None = None
    """When that was."""
    current_release: str | None = None
    """Weights digest in force; none for the teacher."""
    initial_release: str | None = None
    """Weights digest in force when the run began; none for the teacher."""
    candidate: str | None = None
    """Weights digest last evaluated."""
    begun: bool = False
    """True once a visit has recorded the weights in force."""
    history: tuple[PromotionPass, ...] = ()
    """Every judged evaluation and every move, oldest first."""
