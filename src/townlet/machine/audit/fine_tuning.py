"""How the fine-tuning visits of a run went: where each hands over from the clone, and what its cliff watch found."""

from collections.abc import Iterator, Sequence

from attrs import frozen

from townlet.dto.codec import structure
from townlet.dto.journal import VisitStarted
from townlet.dto.run_data import VisitPoint
from townlet.dto.strategies import PPOSpec
from townlet.errors import BadInputError
from townlet.machine.audit.run_data import RunData

__all__ = ["HandOff", "WatchLook", "hand_offs", "watch_looks"]


@frozen(kw_only=True)
class HandOff:
    """Where a fine-tuning visit hands over from the clone: up to here the actor learns at less than its full rate."""

    state: str
    """State."""
    visit: int
    """Which visit."""
    begins: float
    """Agent-steps of the visit at which the actor begins to learn."""
    ends: float
    """Agent-steps at which it learns at its full rate."""


@frozen(kw_only=True)
class WatchLook:
    """One look of the cliff watch: the weights in training against those that the visit started from."""

    state: str
    """State."""
    visit: int
    """Which visit."""
    agent_steps: int
    """Agent-steps of the visit at which it was taken."""
    difference: float
    """Mean paired difference of the objective."""
    low: float | None
    """Lower one-sided bound of it; None where there were fewer than two pairs, and in runs of earlier versions."""
    high: float | None
    """Upper one-sided bound, by which the watch decides: below 0 is a cliff."""
    pairs: int | None
    """Episodes that were compared; None in runs of earlier versions."""
    confidence: float | None
    """Confidence of each bound; None where the schedule in force does not tell it."""


def watch_looks(run: RunData, points: Sequence[VisitPoint]) -> Iterator[WatchLook]:
    """Yield the looks of all visits among the points of the metric stream, in their order."""
    for point in points:
        numbers = point.numbers
        if "watched_difference" not in numbers:
            continue
        pairs = numbers.get("watched_pairs")
        yield WatchLook(
            state=point.state,
            visit=point.visit,
            agent_steps=point.agent_steps,
            difference=numbers["watched_difference"],
            low=numbers.get("watched_low"),
            high=numbers.get("watched_high"),
            pairs=None if pairs is None else int(pairs),
            confidence=_confidence(run, point.state),
        )


def _confidence(run: RunData, state: str) -> float | None:
    options = _options(run, state)
    watch = None if options is None else options.watch
    evidence = None if watch is None else run.schedule.evidence.get(watch.evidence)
    return None if evidence is None else evidence.confidence


def hand_offs(run: RunData) -> Iterator[HandOff]:
    """Yield where each visit to ppo hands over; a visit whose actor learns at its full rate at once has none."""
    ramp = 0
    for entry in run.journal:
        record = entry.record
        if not isinstance(record, VisitStarted) or record.attempt != 1 or record.state not in run.schedule.states:
            continue
        strategy = run.catalogue.entry(run.schedule.states[record.state].strategy)
        if strategy.discards:
            ramp = 0
        options = _options(run, record.state)
        if options is None:
            continue
        points = options.ramps[min(ramp, len(options.ramps) - 1)].actor if options.ramps else ()
        ramp += 1
        begins = max((at for at, factor in points if factor == 0), default=0.0)
        top = max((factor for _, factor in points), default=0.0)
        ends = next((at for at, factor in points if factor == top), 0.0)
        if ends > 0 and begins < ends:
            yield HandOff(state=record.state, visit=record.visit, begins=begins, ends=ends)


def _options(run: RunData, state: str) -> PPOSpec | None:
    """Return the options of a state that runs ppo; None for any other."""
    spec = run.schedule.states.get(state)
    if spec is None or run.catalogue.entry(spec.strategy).spec is not PPOSpec:
        return None
    try:
        return structure(dict(spec.with_), PPOSpec)
    except BadInputError:
        return None
