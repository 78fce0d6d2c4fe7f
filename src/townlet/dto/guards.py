"""Guards as records: one class per kind of guard, and the report on a guard."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Literal, TypeGuard

import attrs
from attrs import frozen

from townlet.dto.codec import Record, converter
from townlet.dto.constraints import Limits, check_presence
from townlet.dto.evolution import evolved
from townlet.dto.quantities import Percent

__all__ = [
    "GUARD_KINDS",
    "BetweenSpec",
    "ComparisonSpec",
    "EvidenceGuardSpec",
    "GuardReport",
    "GuardSpec",
    "LimitSpec",
    "MarginSpec",
    "MetricGuardSpec",
    "PairedComparisonSpec",
    "Relation",
    "ShareLimitSpec",
    "ShareMarginSpec",
    "TailSpec",
    "ThresholdSpec",
    "Verdict",
    "VisitCountSpec",
]


class Verdict(StrEnum):
    """The result of a guard."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


_not_negative = Limits(least=0, words="at least 0")
_positive = Limits(above=0, words="more than 0")
_share = Limits(above=0, below=1, words="more than 0% and less than 100%")


@frozen(kw_only=True)
class MarginSpec(Record):
    """A distance from a baseline."""

    baseline: str
    """Name of the baseline."""
    relative: Percent | None = None
    """Share of max(|baseline|, floor)."""
    absolute: float | None = attrs.field(default=None, validator=attrs.validators.optional(_not_negative))
    """In the metric's unit, 0 for a plain comparison; with `relative` too, the looser applies."""
    floor: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    """Least scale of a relative tolerance, so that tiny or negative baselines cannot flip its sign."""

    AT_LEAST_ONE: ClassVar[tuple[str, ...]] = ("relative", "absolute")
    NEEDS: ClassVar[Mapping[str, str]] = {"relative": "floor", "floor": "relative"}

    def __attrs_post_init__(self) -> None:
        check_presence(self)


class Relation(StrEnum):
    """How a comparison relates a metric to its baseline; each is a key of the schedule."""

    NOT_WORSE_THAN = "not_worse_than"
    BETTER_BY = "better_by"
    WORSE_BY = "worse_by"


@frozen(kw_only=True)
class GuardSpec(Record, ABC):
    """A guard of a schedule: a condition on metrics or visits. Each kind is a subclass listed in `GUARD_KINDS`."""

    TAGS: ClassVar[tuple[str, ...]] = ()
    """Keys that select the kind; a guard has exactly one of them."""

    def __attrs_post_init__(self) -> None:
        _check_tags([tag for tag in self.TAGS if getattr(self, tag) is not None], self.TAGS)

    @property
    @abstractmethod
    def subject(self) -> str:
        """What sentences are about: a metric, or the visits to a state."""


@frozen(kw_only=True)
class MetricGuardSpec(GuardSpec):
    """A guard on one metric of the candidate."""

    metric: str
    """``STATE.NAME``, or ``STATE[SCENARIO].NAME`` for a suite."""

    @property
    def subject(self) -> str:
        """The metric."""
        return self.metric

    @property
    def kpi(self) -> str:
        """Name of the metric, without its state and scenario."""
        return self.metric.rpartition(".")[2]

    @property
    def baseline(self) -> str | None:
        """Name of the baseline that it compares with; none for a guard with fixed limits."""
        return None


@frozen(kw_only=True)
class LimitSpec(MetricGuardSpec):
    """A guard that compares one metric with fixed limits. A kind of it is a subclass with these three members."""

    @abstractmethod
    def holds(self, value: float) -> bool:
        """Return whether the value is within the limits."""

    @abstractmethod
    def nearest_limit(self, value: float) -> float:
        """Return the limit that a report shows beside the value."""

    @property
    @abstractmethod
    def phrase(self) -> str:
        """The limits in words, such as ``at least 3``."""


@frozen(kw_only=True)
class ThresholdSpec(LimitSpec):
    """A lower or an upper limit of one metric."""

    TAGS = ("at_least", "at_most")

    at_least: float | None = None
    """The metric's lower limit, inclusive."""
    at_most: float | None = None
    """The metric's upper limit, inclusive."""

    def holds(self, value: float) -> bool:
        """Return whether the value is on the right side of the limit, or on it."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def nearest_limit(self, value: float) -> float:
        """Return the limit."""
        return next(limit for limit in (self.at_least, self.at_most) if limit is not None)

    @property
    def phrase(self) -> str:
        """``at least 3`` or ``at most 3``."""
        return f"at most {self.at_most:.4g}" if self.at_least is None else f"at least {self.at_least:.4g}"


@frozen(kw_only=True)
class BetweenSpec(LimitSpec):
    """A lower and an upper limit of one metric."""

    TAGS = ("between",)

    between: tuple[float, float]
    """The metric's lower and upper limit, both inclusive."""

    def __attrs_post_init__(self) -> None:
        low, high = self.between
        if low > high:
            raise ValueError(f"expected between as [low, high] with low of at most high, found [{low:.4g}, {high:.4g}]")

    def holds(self, value: float) -> bool:
        """Return whether the value is between the limits, or on one."""
        low, high = self.between
        return low <= value <= high

    def nearest_limit(self, value: float) -> float:
        """Return the limit nearest to the value, the lower one halfway."""
        return min(self.between, key=lambda limit: abs(value - limit))

    @property
    def phrase(self) -> str:
        """``between 1 and 3``."""
        low, high = self.between
        return f"between {low:.4g} and {high:.4g}"


@frozen(kw_only=True)
class ComparisonSpec(MetricGuardSpec):
    """A comparison of the candidate's value with the baseline's."""

    TAGS = tuple(Relation)

    not_worse_than: MarginSpec | None = None
    """Not worse than the baseline by more than the margin, in the metric's better direction."""
    better_by: MarginSpec | None = None
    """Better than the baseline by more than the margin."""
    worse_by: MarginSpec | None = None
    """Worse than the baseline by more than the margin."""
    without_baseline: Literal["unknown", "skip"] = "unknown"
    """`skip`: where the baseline does not exist the guard is SKIPPED and counts as a pass."""

    def _margins(self) -> Iterator[tuple[Relation, MarginSpec]]:
        margins = (self.not_worse_than, self.better_by, self.worse_by)
        return ((relation, margin) for relation, margin in zip(Relation, margins, strict=True) if margin is not None)

    @property
    def relation(self) -> Relation:
        """What is asserted about the candidate."""
        return next(self._margins())[0]

    @property
    def margin(self) -> MarginSpec:
        """The baseline, and the distance from it."""
        return next(self._margins())[1]

    @property
    def baseline(self) -> str:
        """Name of the baseline."""
        return self.margin.baseline


@frozen(kw_only=True)
class PairedComparisonSpec(ComparisonSpec):
    """A comparison over paired episodes, with confidence."""

    evidence: str
    """Compare paired episodes of this evidence, with confidence, instead of two numbers."""
    missing: Literal["worst", "drop"] | None = None
    """What an episode counts as in which only one side has exposure: `worst`, the worst of all values for the candidate
    and the best for the baseline; `drop`, nothing. Without it such an episode makes the guard UNKNOWN."""
    test: Literal["mean", "count"] = "mean"
    """What decides: `mean`, bounds of the mean difference; `count`, the exact conditional test of two rates of events,
    for a metric that counts events."""


@frozen(kw_only=True)
class ShareLimitSpec(Record):
    """The largest share of episodes that may lie on the wrong side of a limit."""

    limit: float
    """In the metric's unit; an episode at the limit is not on the wrong side."""
    at_most: Percent = attrs.field(validator=_share)
    """The largest share of such episodes."""


@frozen(kw_only=True)
class ShareMarginSpec(MarginSpec):
    """The largest share of episodes that may be worse than the baseline's same episode by more than the distance."""

    at_most: Percent = attrs.field(validator=_share)
    """The largest share of such episodes."""


@frozen(kw_only=True)
class TailSpec(MetricGuardSpec):
    """A limit on the share of bad episodes, with confidence: what a mean cannot see."""

    TAGS = ("share_below", "share_above", "share_worse")

    share_below: ShareLimitSpec | None = None
    """Episodes with a value below a limit."""
    share_above: ShareLimitSpec | None = None
    """Episodes with a value above a limit."""
    share_worse: ShareMarginSpec | None = None
    """Episodes that are worse than the baseline's same episode by more than a distance."""
    evidence: str
    """The episodes that are counted."""
    missing: Literal["worst", "drop"] | None = None
    """What an episode without exposure counts as: `worst`, a bad one; `drop`, nothing. In `share_worse` an episode
    without exposure on both sides counts as nothing. Without it such an episode makes the guard UNKNOWN."""
    without_baseline: Literal["unknown", "skip"] = "unknown"
    """`skip`: where the baseline does not exist the guard is SKIPPED and counts as a pass."""

    @property
    def tag(self) -> str:
        """The key that says which episodes are bad."""
        return next(tag for tag in self.TAGS if getattr(self, tag) is not None)

    @property
    def limits(self) -> ShareLimitSpec | ShareMarginSpec:
        """Which episodes are bad, and the largest share of them."""
        found: ShareLimitSpec | ShareMarginSpec = getattr(self, self.tag)
        return found

    @property
    def baseline(self) -> str | None:
        """Name of the baseline; none where episodes are compared with a fixed limit."""
        return None if self.share_worse is None else self.share_worse.baseline


def is_tolerance(guard: GuardSpec) -> TypeGuard[ComparisonSpec]:
    """Tell whether a guard lets the candidate be worse than a baseline, within a tolerance."""
    return isinstance(guard, ComparisonSpec) and guard.relation is Relation.NOT_WORSE_THAN


EvidenceGuardSpec = PairedComparisonSpec | TailSpec
"""Kinds of guards that are decided by stored episodes, look by look."""


@frozen(kw_only=True)
class VisitCountSpec(GuardSpec):
    """An upper limit on the visits to a state in this run."""

    TAGS = ("below",)

    visits_to: str
    """State whose visits in this run are counted."""
    below: int
    """The count must be below this."""

    @property
    def subject(self) -> str:
        """``visits to STATE``."""
        return f"visits to {self.visits_to}"


GUARD_KINDS: tuple[type[GuardSpec], ...] = (
    ThresholdSpec,
    BetweenSpec,
    ComparisonSpec,
    PairedComparisonSpec,
    TailSpec,
    VisitCountSpec,
)
"""Every kind of guard a schedule may contain; the reader and the JSON Schema are made from this list."""


def _check_tags(present: Sequence[str], tags: Sequence[str]) -> None:
    if len(present) != 1:
        raise ValueError(f"expected exactly one of {', '.join(tags)}; found {', '.join(present) or 'none'}")


def _required(kind: type) -> frozenset[str]:
    return frozenset(field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING)


def _optional(field: "attrs.Attribute[Any]") -> Any:
    kind: Any = field.type
    if field.default is attrs.NOTHING:
        return attrs.field(default=None, type=kind | None)
    return attrs.field(default=field.default, type=kind)


@cache
def _keys_of_all_kinds() -> type:
    """Return a record with the keys of all kinds, each optional.

    A guard is read with it first, so that each wrong key or value is reported at its own position, whatever its kind.
    """
    fields = {field.name: _optional(field) for kind in GUARD_KINDS for field in attrs.fields(kind)}
    return attrs.make_class("Guard", fields, frozen=True, kw_only=True)


def _structure_guard(value: Any, _: Any) -> GuardSpec:
    """Return a guard of the kind that its keys select; ValueError where they select none, or do not fit together."""
    all_keys: Any = _keys_of_all_kinds()
    keys = converter.structure(value, all_keys)
    defaults = {field.name: field.default for field in attrs.fields(all_keys)}
    # A key at its default says nothing: Townlet wrote such keys when every guard had all of them.
    given = {name: item for name, default in defaults.items() if (item := getattr(keys, name)) != default}
    tags = tuple(dict.fromkeys(tag for kind in GUARD_KINDS for tag in kind.TAGS))
    present = [tag for tag in tags if tag in given]
    _check_tags(present, tags)
    # Kinds that share a tag differ in the keys they require; the one that requires the most of what is there is meant.
    kinds = [kind for kind in GUARD_KINDS if present[0] in kind.TAGS]
    kind = max((k for k in kinds if _required(k) <= given.keys()), key=lambda k: len(_required(k)), default=kinds[0])
    missing, names = _required(kind) - given.keys(), [field.name for field in attrs.fields(kind)]
    if missing:
        raise ValueError(f"{present[0]} needs {', '.join(sorted(missing))}")
    if foreign := [name for name in given if name not in names]:
        keys = [name for name in names if name not in tags]
        raise ValueError(f"{', '.join(foreign)} cannot stand beside {present[0]}; expected only {', '.join(keys)}")
    return kind(**given)


converter.register_structure_hook_func(
    lambda kind: isinstance(kind, type) and issubclass(kind, GuardSpec), _structure_guard
)


@frozen(kw_only=True)
class GuardReport(Record):
    """A guard's verdict with the numbers it was derived from."""

    guard: str
    """Name in the schedule."""
    verdict: Verdict
    """The verdict."""
    metric: str = ""
    """The metric, or the visits that were counted."""
    value: float | None = None
    """The metric's value, or the mean paired difference."""
    baseline: float | None = None
    """The baseline's value, or its mean over the pairs."""
    limit: float | None = None
    """The limit the value was compared with."""
    low: float | None = None
    """Lower end of the interval, where there is one."""
    high: float | None = None
    """Upper end of the interval, where there is one."""
    pairs: int = 0
    """Pairs that were compared."""
    dropped: int = 0
    """Pairs that were not: without exposure on one side or both."""
    look: int = 0
    """Look at which the verdict was reached, counted from 1."""
    tolerance: str = ""
    """Which tolerance applied: `relative`, `floor` or `absolute`."""
    sentence: str
    """The verdict in words."""
    candidate_missing: tuple[int, ...] = evolved(since=2, default=())
    """Episodes, counted from 0, in which the baseline has exposure and the candidate has none."""
    baseline_missing: tuple[int, ...] = evolved(since=2, default=())
    """Episodes in which the candidate has exposure and the baseline has none."""
    rule: int = evolved(since=2, default=1, semantic=False)
    """Version of the rule that the comparison was decided by; a verdict is derived again by the same."""
    p_value: float | None = evolved(since=3, default=None)
    """Stage-wise p-value of what the guard asserts, within the visit; none where all differences are equal."""
    skewness: float | None = evolved(since=3, default=None)
    """Skewness of the paired differences that were compared; none where the episodes are not pairs."""
    test: str = evolved(since=4, default="")
    """What decided: `mean`, `count` or `share`; empty for a guard without episodes, and in earlier versions."""
    check: str = evolved(since=4, default="")
    """Which other bounds were computed beside those that decided: `mean` beside a count, `betting` for a bounded
    metric; empty where none were."""
    check_low: float | None = evolved(since=4, default=None)
    """Lower bound by the other method, in the unit of `low`."""
    check_high: float | None = evolved(since=4, default=None)
    """Upper bound by the other method."""
    worst: float | None = evolved(since=4, default=None)
    """Difference of the pair that is worst for the candidate; for `share_below` and `share_above` the worst value."""
    worst_episode: int | None = evolved(since=4, default=None)
    """That episode, counted from 0."""
