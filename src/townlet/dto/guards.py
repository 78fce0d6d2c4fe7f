"""Guards as data: questions, answers with their numbers, and what may be known."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Record, converter
from townlet.dto.quantities import Percent

__all__ = [
    "AllOf",
    "AnyOf",
    "Condition",
    "EvidenceTable",
    "GuardReport",
    "GuardSpec",
    "MarginSpec",
    "NotOf",
    "PairedMetric",
    "Verdict",
    "When",
]


class Verdict(StrEnum):
    """What a guard answers."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@frozen(kw_only=True)
class MarginSpec(Record):
    """A distance from a baseline."""

    baseline: str
    """Name of the baseline."""
    relative: Percent | None = None
    """Share of max(|baseline|, floor)."""
    absolute: float | None = None
    """In the metric's unit; with `relative` too, the looser applies."""
    floor: float | None = None
    """Least scale of a relative tolerance, so that tiny or negative baselines cannot flip its sign."""

    def __attrs_post_init__(self) -> None:
        if self.relative is None and self.absolute is None:
            raise ValueError("expected relative or absolute (absolute: 0 for a plain comparison)")
        if self.relative is not None and (self.floor is None or self.floor <= 0):
            raise ValueError("a relative tolerance needs a floor above 0")
        if self.absolute is not None and self.absolute < 0:
            raise ValueError(f"expected absolute of at least 0, found {self.absolute}")
        if self.relative is None and self.floor is not None:
            raise ValueError("a floor belongs to a relative tolerance")


@frozen(kw_only=True)
class GuardSpec(Record):
    """One question: a threshold on a metric, a comparison with a baseline, or a count of visits."""

    metric: str | None = None
    """``STATE.NAME``, or ``STATE[SCENARIO].NAME`` for a suite."""
    at_least: float | None = None
    """The metric's lower limit, inclusive."""
    at_most: float | None = None
    """The metric's upper limit, inclusive."""
    not_worse_than: MarginSpec | None = None
    """Not worse than the baseline by more than the margin, in the metric's better direction."""
    better_by: MarginSpec | None = None
    """Better than the baseline by more than the margin."""
    worse_by: MarginSpec | None = None
    """Worse than the baseline by more than the margin."""
    evidence: str | None = None
    """Judge paired episodes of this evidence, with confidence, instead of two numbers."""
    without_baseline: Literal["unknown", "skip"] = "unknown"
    """`skip`: where the baseline does not exist the guard is SKIPPED and counts as a pass."""
    visits_to: str | None = None
    """State whose visits in this run are counted."""
    below: int | None = None
    """The count must be below this."""

    def __attrs_post_init__(self) -> None:
        questions = [
            name
            for name in ("at_least", "at_most", "not_worse_than", "better_by", "worse_by", "below")
            if getattr(self, name) is not None
        ]
        if len(questions) != 1:
            raise ValueError(
                "expected exactly one of at_least, at_most, not_worse_than, better_by, worse_by, below; "
                f"found {', '.join(questions) or 'none'}"
            )
        if (self.below is not None) != (self.visits_to is not None):
            raise ValueError("visits_to and below belong together")
        if (self.below is None) != (self.metric is not None):
            raise ValueError("expected a metric" if self.below is None else "a counter takes no metric")
        if self.margin is None and (self.evidence is not None or self.without_baseline != "unknown"):
            raise ValueError("evidence and without_baseline belong to a comparison with a baseline")

    @property
    def margin(self) -> MarginSpec | None:
        """The comparison's margin; none for thresholds and counters."""
        return self.not_worse_than or self.better_by or self.worse_by


@frozen(kw_only=True)
class AllOf(Record):
    """All parts hold."""

    all: tuple["When", ...]
    """Parts."""


@frozen(kw_only=True)
class AnyOf(Record):
    """At least one part holds."""

    any: tuple["When", ...]
    """Parts."""


@frozen(kw_only=True)
class NotOf(Record):
    """The part does not hold."""

    not_: "When"
    """Part."""


Condition = AllOf | AnyOf | NotOf
When = str | AllOf | AnyOf | NotOf
attrs.resolve_types(AllOf)
attrs.resolve_types(AnyOf)
attrs.resolve_types(NotOf)


def _structure_when(value: Any, _: Any) -> When:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        kinds: dict[str, type[AllOf | AnyOf | NotOf]] = {"all": AllOf, "any": AnyOf, "not": NotOf}
        kind = kinds.get(next(iter(value)))
        if kind is not None:
            return converter.structure(value, kind)
    raise ValueError(f"expected a guard's name, {{all: […]}}, {{any: […]}} or {{not: x}}; found {value!r}")


converter.register_structure_hook_func(lambda kind: kind == When, _structure_when)
converter.register_unstructure_hook_func(
    lambda kind: kind == When, lambda value: value if isinstance(value, str) else converter.unstructure(value)
)


@frozen(kw_only=True)
class PairedMetric(Record):
    """One metric of the candidate and of each baseline over the same episodes."""

    metric: str
    """``NAME``, or ``[SCENARIO].NAME`` in a suite."""
    values: Mapping[str, tuple[float | None, ...]]
    """Per policy (`candidate` or a baseline's name), each episode's ratio; none where it had no exposure."""


@frozen(kw_only=True)
class EvidenceTable(Record):
    """Everything a gate may know, stored as a blob so that every verdict can be derived again."""

    evidence: str
    """Name in the schedule."""
    candidate: str
    """Digest of the weights under test."""
    baselines: Mapping[str, str]
    """What each baseline's name was pinned to: a weights digest, or ``teacher:NAME``."""
    seed: int
    """Seed that keys the episodes; episode i is world i."""
    looks: tuple[int, ...]
    """Episodes at each look that was taken."""
    metrics: tuple[PairedMetric, ...]
    """One row per metric; the lists are as long as the last look."""


@frozen(kw_only=True)
class GuardReport(Record):
    """A guard's answer with everything it was derived from."""

    guard: str
    """Name in the schedule."""
    verdict: Verdict
    """The answer."""
    metric: str = ""
    """What was judged."""
    value: float | None = None
    """The metric's value, or the mean paired difference."""
    baseline: float | None = None
    """The baseline's value, or its mean over the pairs."""
    limit: float | None = None
    """What the value was held against."""
    low: float | None = None
    """Lower end of the interval, where there is one."""
    high: float | None = None
    """Upper end of the interval, where there is one."""
    pairs: int = 0
    """Pairs with exposure on both sides."""
    dropped: int = 0
    """Pairs without."""
    look: int = 0
    """Look at which the verdict froze, counted from 1."""
    tolerance: str = ""
    """Which tolerance applied: `relative`, `floor` or `absolute`."""
    sentence: str
    """The answer in words."""
