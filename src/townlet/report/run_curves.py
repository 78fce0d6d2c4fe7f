"""Which learning curves a report shows: those that people ask for first, state by state, as plain numbers."""

import math
from collections.abc import Iterator, Sequence

from attrs import frozen

from townlet.dto.run_data import VisitPoint
from townlet.machine.audit.evidence_comparisons import compare_kpis
from townlet.machine.audit.fine_tuning import WatchLook
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import unit_words
from townlet.report.run_sentences import baseline_name

__all__ = [
    "MEANINGS",
    "Band",
    "Curve",
    "Whisker",
    "evaluation_whiskers",
    "learning_curves",
    "look_sentence",
    "objective_unit",
    "other_numbers",
    "reported_terms",
    "term_curves",
]

MEANINGS = {
    "reward": "mean reward of a decision",
    "watched": "objective of the weights in training, played by the cliff watch",
    "watched_difference": "the same against the weights that the visit started from",
    "value_loss": "loss of the value function, in units of its normaliser",
    "entropy": "entropy of the policy, in nat",
    "approx_kl": "distance of an update from the policy before it, in nat",
    "anchor_kl": "distance from the weights that the visit started from, in nat; measured where it has a weight",
    "explained_variance": "share of the returns' variance that the value function explains",
    "train_loss": "loss of the clone on its training data",
    "heldout_accuracy": "share of held-out decisions at which the clone chooses what the teacher chose",
}
"""Numbers that are drawn, in this order, with what they mean."""
_UNITS = {
    "reward": "reward per decision",
    "entropy": "nat",
    "approx_kl": "nat",
    "anchor_kl": "nat",
    "explained_variance": "share",
    "train_loss": "nat",
    "heldout_accuracy": "share",
}
"""Units of their vertical axes; numbers without one stand for themselves, and looks have the unit of the objective."""
_WEIGHED = ("entropy", "approx_kl", "anchor_kl")
"""Numbers that are computed only where the actor learns, the last where its weight is above 0; elsewhere they are 0."""
_LOOKS = ("watched", "watched_difference")
_BOUNDS = {"watched_difference": ("watched_low", "watched_high")}
"""Numbers that have bounds, with the names of the lower and the upper one."""
_TERM = "reward_term_"
"""Before the name of a term of the reward."""
_SHOWN_ELSEWHERE = (_TERM, "watched_")
"""How numbers begin that stand in a table, or beside another number."""


@frozen(kw_only=True)
class Band:
    """A stretch of a panel that is shaded, with its name."""

    start: float
    """Where it begins, in the unit of x."""
    end: float
    """Where it ends."""


@frozen(kw_only=True)
class Curve:
    """The points of one panel."""

    name: str
    """What is measured."""
    x: tuple[float, ...]
    """Agent-steps, or iterations where a state plays none; ascending."""
    y: tuple[float, ...]
    """Values; NaN where one is not finite."""
    x_name: str
    """What x counts."""
    starts: tuple[float, ...] = ()
    """Where the second and later visits begin."""
    bands: tuple[Band, ...] = ()
    """Hand-offs."""
    unit: str = ""
    """What y counts, in words; empty for a number without a unit."""
    dots: bool = False
    """Whether every point is drawn: looks, which are few."""
    bounds: tuple[tuple[float, float] | None, ...] = ()
    """Lower and upper bound of each value, None where none was recorded; empty for a number that has none."""


@frozen(kw_only=True)
class Whisker:
    """A mean difference with its interval."""

    name: str
    """What was compared."""
    middle: float
    """The difference."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def learning_curves(facts: ReportFacts) -> Iterator[tuple[str, Curve]]:
    """Yield state and curve for every number that is drawn; a suite of visits stands side by side on one axis."""
    for state in dict.fromkeys(point.state for point in facts.points):
        points = [point for point in facts.points if point.state == state]
        names = dict.fromkeys(name for point in points for name in point.numbers)
        for name in (each for each in MEANINGS if each in names and not _is_unmeasured(each, points)):
            yield state, _curve(facts, state, name, points)


def term_curves(facts: ReportFacts, term: str) -> Iterator[tuple[str, Curve]]:
    """Yield state and curve of a term of the reward, for every state whose iterations reported it."""
    name = f"{_TERM}{term}"
    for state in dict.fromkeys(point.state for point in facts.points if name in point.numbers):
        yield state, _curve(facts, state, name, [point for point in facts.points if point.state == state])


def reported_terms(facts: ReportFacts) -> tuple[str, ...]:
    """Return the terms of the reward that iterations reported, in their order."""
    names = dict.fromkeys(name for point in facts.points for name in point.numbers)
    return tuple(name.removeprefix(_TERM) for name in names if name.startswith(_TERM))


def _is_unmeasured(name: str, points: Sequence[VisitPoint]) -> bool:
    """Return whether a number is 0 throughout because nobody computed it, which a flat curve would hide.

    An update computes the distance from the parent only where its weight is above 0 and the actor learns.
    """
    return name in _WEIGHED and not any(point.numbers.get(name) for point in points)


def _curve(facts: ReportFacts, state: str, name: str, points: list[VisitPoint]) -> Curve:
    counts_steps = any(point.agent_steps for point in points)
    x, y, starts, offset, last = list[float](), list[float](), list[float](), 0.0, points[0]
    offsets, bounds = {points[0].visit: 0.0}, list[tuple[float, float] | None]()
    for point in points:
        if point.visit != last.visit:
            offset += _x(last, counts_steps=counts_steps)
            offsets[point.visit] = offset
            starts.append(offset)
        last = point
        if name in point.numbers:
            x.append(offset + _x(point, counts_steps=counts_steps))
            value = point.numbers[name]
            bounds.append(_bounds(name, point))
            y.append(math.nan if name in _WEIGHED and value == 0 else value)
    end = offset + _x(last, counts_steps=counts_steps)
    bands = (
        Band(start=offsets[each.visit], end=min(offsets[each.visit] + each.ends, end))
        for each in facts.hand_offs
        if each.state == state and each.visit in offsets and counts_steps
    )
    return Curve(
        name=name,
        x=tuple(x),
        y=tuple(y),
        x_name="agent-steps" if counts_steps else "iterations",
        unit=objective_unit(facts) if name in _LOOKS else _UNITS.get(name, ""),
        starts=tuple(starts),
        bands=tuple(bands),
        dots=name in _LOOKS or len(x) <= 12,
        bounds=tuple(bounds) if name in _BOUNDS else (),
    )


def _bounds(name: str, point: VisitPoint) -> tuple[float, float] | None:
    low, high = (point.numbers.get(each, math.nan) for each in _BOUNDS.get(name, ("", "")))
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _x(point: VisitPoint, *, counts_steps: bool) -> float:
    return float(point.agent_steps if counts_steps else point.step)


def look_sentence(looks: Sequence[WatchLook]) -> str:
    """Return what the bounds of looks are and on how many pairs they rest, or that they were not recorded."""
    bounded = [look for look in looks if look.high is not None]
    if not bounded:
        recorded = any(look.pairs is not None for look in looks)
        return "no look had two pairs, so none has bounds" if recorded else "bounds and pairs were not recorded"
    levels = sorted({f"{100 * look.confidence:.4g}%" for look in bounded if look.confidence is not None})
    pairs = [look.pairs for look in bounded if look.pairs is not None]
    count = " to ".join(dict.fromkeys(str(each) for each in (min(pairs, default=0), max(pairs, default=0))))
    return (
        f"{' '.join(['one-sided', *levels])} bounds on both sides, of {count} pairs a look; "
        "a look whose upper bound is below 0 ends the visit"
    )


def objective_unit(facts: ReportFacts) -> str:
    """Return the unit of the objective, the environment's first KPI, in words; empty where it cannot be asked."""
    return unit_words(facts.metrics[0].unit) if facts.metrics else ""


def other_numbers(facts: ReportFacts) -> tuple[str, ...]:
    """Return the names of numbers that iterations reported and no panel shows."""
    names = dict.fromkeys(name for point in facts.points for name in point.numbers)
    unmeasured = (
        f"{name} (0 throughout: not measured, because its weight in the loss or the rate of the actor is 0)"
        for name in _WEIGHED
        if name in names and _is_unmeasured(name, facts.points)
    )
    others = (name for name in names if name not in MEANINGS and not name.startswith(_SHOWN_ELSEWHERE))
    return (*sorted(others), *unmeasured)


def evaluation_whiskers(facts: ReportFacts) -> tuple[str, dict[str, list[Whisker]]]:
    """Return the objective, and by baseline its difference at every evaluation, with the 95 % interval."""
    whiskers: dict[str, list[Whisker]] = {}
    metric = ""
    for evidence in facts.gathered:
        policies: set[str] = set()
        for row in compare_kpis(evidence.table):
            metric = metric or row.metric
            if row.metric != metric or row.policy in policies or row.low is None or row.high is None:
                continue
            policies.add(row.policy)
            own, other = row.means or (0.0, 0.0)
            name = f"{evidence.state} {evidence.visit}"
            whisker = Whisker(name=name, middle=own - other, low=row.low, high=row.high)
            whiskers.setdefault(baseline_name(row), []).append(whisker)
    return metric, whiskers
