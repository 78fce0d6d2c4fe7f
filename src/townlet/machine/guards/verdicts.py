"""Three-valued logic of verdicts, and the edge that a state takes.

UNKNOWN absorbs: an expression that contains one is UNKNOWN, and the engine holds there. Otherwise `all`, `any` and
`not` are Kleene's over PASS, UNDECIDED and FAIL; SKIPPED counts as a pass.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from townlet.dto.conditions import AllOf, AnyOf, When
from townlet.dto.guards import Verdict
from townlet.dto.schedule import EdgeSpec, ScheduleSpec
from townlet.errors import BadInputError

__all__ = ["EdgeChoice", "all_of", "any_of", "choose", "evaluate_condition", "guards_of", "names", "not_of"]

_NOT = {
    Verdict.PASS: Verdict.FAIL,
    Verdict.UNDECIDED: Verdict.UNDECIDED,
    Verdict.FAIL: Verdict.PASS,
    Verdict.UNKNOWN: Verdict.UNKNOWN,
    Verdict.SKIPPED: Verdict.UNKNOWN,  # refused at load; should one get here, nobody knows what it means
}


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return PASS where every part passes or is skipped; of nothing, PASS."""
    return _first_of((Verdict.UNKNOWN, Verdict.FAIL, Verdict.UNDECIDED), verdicts, otherwise=Verdict.PASS)


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return PASS where one part passes or is skipped and none is UNKNOWN; of nothing, FAIL."""
    combined = _first_of(
        (Verdict.UNKNOWN, Verdict.PASS, Verdict.SKIPPED, Verdict.UNDECIDED), verdicts, otherwise=Verdict.FAIL
    )
    return Verdict.PASS if combined == Verdict.SKIPPED else combined


def not_of(verdict: Verdict) -> Verdict:
    """Return the opposite; UNDECIDED and UNKNOWN have none, and SKIPPED becomes UNKNOWN."""
    return _NOT[verdict]


def _first_of(order: Sequence[Verdict], verdicts: Iterable[Verdict], *, otherwise: Verdict) -> Verdict:
    present = frozenset(verdicts)
    return next((verdict for verdict in order if verdict in present), otherwise)


def evaluate_condition(condition: When, verdicts: Mapping[str, Verdict]) -> Verdict:
    """Return the verdict of a condition, given the verdict of each guard by name."""
    if isinstance(condition, str):
        return verdicts[condition]
    if isinstance(condition, AllOf):
        return all_of(evaluate_condition(part, verdicts) for part in condition.all)
    if isinstance(condition, AnyOf):
        return any_of(evaluate_condition(part, verdicts) for part in condition.any)
    return not_of(evaluate_condition(condition.not_, verdicts))


def names(condition: When) -> Iterator[str]:
    """Yield the names of a condition's guards, in order and with repetitions."""
    if isinstance(condition, str):
        yield condition
    elif isinstance(condition, AllOf | AnyOf):
        for part in condition.all if isinstance(condition, AllOf) else condition.any:
            yield from names(part)
    else:
        yield from names(condition.not_)


def guards_of(schedule: ScheduleSpec, state: str) -> tuple[str, ...]:
    """Return the guards named on any edge of a state, once each, in the order of the schedule's guards."""
    named = {name for edge in schedule.states[state].next for part in edge.when for name in names(part)}
    return tuple(name for name in schedule.guards if name in named)


@frozen(kw_only=True)
class EdgeChoice:
    """The edge that the verdicts choose."""

    edge: int
    """Index among the state's edges."""
    unknown: tuple[str, ...] = ()
    """Guards on it that are UNKNOWN; where there are any, the run holds before the edge."""


def choose(edges: Sequence[EdgeSpec], verdicts: Mapping[str, Verdict]) -> EdgeChoice:
    """Return the first edge, in document order, whose condition passes, or the first that is UNKNOWN.

    BadInputError where no edge passes, which an unconditional last edge rules out.
    """
    for index, edge in enumerate(edges):
        verdict = all_of(evaluate_condition(part, verdicts) for part in edge.when)
        if verdict == Verdict.PASS:
            return EdgeChoice(edge=index)
        if verdict == Verdict.UNKNOWN:
            named = dict.fromkeys(name for part in edge.when for name in names(part))
            unknown = tuple(name for name in named if verdicts[name] == Verdict.UNKNOWN)
            return EdgeChoice(edge=index, unknown=unknown or tuple(named))
    raise BadInputError("no edge can be taken; expected the last edge of the state to have no `when`")
