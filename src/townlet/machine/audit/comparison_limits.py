"""What a comparison of episodes can detect, and which KPIs moved without a guard: facts from one evidence table.

``docs/reference/evidence.md`` shows the formulas on one page.
"""

import math
from collections.abc import Mapping
from itertools import zip_longest

from attrs import evolve, frozen

from townlet.confidence.skewness import wider_bounds, wider_unpaired_bounds
from townlet.dto.evidence import CANDIDATE, EvidenceTable, PairedMetric
from townlet.dto.fields import Direction
from townlet.dto.guards import EvidenceGuardSpec, GuardReport, PairedComparisonSpec, Relation, TailSpec
from townlet.dto.limitations import GuardLimitation, KpiMove, PairFacts
from townlet.dto.metric_name import MetricName
from townlet.estimate import (
    MIN_PAIRS,
    common_value,
    correlation,
    detectable_difference,
    missing_episodes,
    pair_sizes,
    paired,
    pairing_gain,
    worst_case_pairs,
)
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.look_errors import LookErrors
from townlet.machine.guards.mean_test import relative_share

__all__ = [
    "POWER",
    "Contrasts",
    "Kpi",
    "guard_limitation",
    "kpi_moves",
    "pair_facts",
    "row_of",
    "tail_limitation",
]

POWER = 0.8
"""Chance with which a difference counts as detectable."""
_ALPHA = 0.025
"""Error of each side of the intervals of KPIs without a guard, for all of them together."""
_LEAST_LEVEL = 1e-12
"""A look of a smaller error decides extreme differences only, and scipy's noncentral t does not end there."""


Values = tuple[float | None, ...]
"""A side's value in each episode; None without exposure."""


@frozen(kw_only=True)
class Kpi:
    """What is known of a KPI."""

    unit: str = ""
    """Its unit."""
    direction: Direction = Direction.NONE
    """Which way it improves; none too where the environment cannot be asked."""
    low: float | None = None
    """Least value it can have; none where there is no such value, or where the environment cannot be asked."""
    high: float | None = None
    """Largest value it can have."""

    def bound_before(self, value: float, *, above: bool) -> float | None:
        """Return the largest value, or the least unless `above`, where `value` lies beyond it; none where not."""
        bound = self.high if above else self.low
        is_beyond = bound is not None and (value > bound if above else value < bound)
        return bound if is_beyond else None

    @property
    def sign(self) -> float:
        """+1 where higher is better, −1 where lower is, 0 where neither is, or nobody knows."""
        return {Direction.HIGHER: 1.0, Direction.LOWER: -1.0, Direction.NONE: 0.0}[self.direction]


@frozen(kw_only=True)
class Contrasts:
    """The two sides that a guard compared, oriented; a relative margin is part of the baseline's side."""

    own: list[float]
    """Candidate's values, times the orientation."""
    other: list[float]
    """Baseline's values, times the orientation, and what a relative margin adds to them."""
    limit: float
    """Limit of the mean contrast."""
    shift: float
    """What a relative margin adds to the mean difference."""
    unpaired: bool
    """Whether the episodes are not pairs."""

    @classmethod
    def of(cls, report: GuardReport, guard: PairedComparisonSpec, kpi: Kpi, table: EvidenceTable) -> "Contrasts":
        """Return the contrasts behind a report, as `machine.guards.mean_test` makes them."""
        values, baseline, episodes = row_of(table, guard).values, guard.margin.baseline, table.looks[report.look - 1]
        sides = values[CANDIDATE][:episodes], values[baseline][:episodes]
        unpaired = table.is_unpaired(baseline)
        if table.is_recorded(baseline):
            sides = sides[0], values[baseline]
        own, other = _samples(*sides, unpaired=unpaired)
        if guard.missing == "worst":
            filled = worst_case_pairs(*sides, kpi.sign)
            own, other = [x for x, _ in filled], [b for _, b in filled]
        margin = BaselineMargin(
            name=report.guard, guard=guard, baseline_name=baseline, direction=kpi.direction, rule=report.rule
        )
        mean = paired(other).mean
        distance, tolerance = margin.distance(mean)
        limit = margin.limit(distance)
        share = relative_share(margin, mean, limit) if tolerance == "relative" else 0.0
        return cls(
            own=[kpi.sign * x for x in own],
            other=[kpi.sign * b - share * b for b in other],
            limit=0.0 if tolerance == "relative" else limit,
            shift=share * mean,
            unpaired=unpaired,
        )

    @property
    def differences(self) -> list[float]:
        """The contrasts."""
        return [x - b for x, b in zip(self.own, self.other, strict=True)]

    @property
    def sd(self) -> float:
        """Their standard deviation, √(s²ₓ + s²_b) where the episodes are not pairs; 0 where all are equal."""
        if self.unpaired:
            return math.hypot(paired(self.own).sd, paired(self.other).sd)
        equal = common_value(self.differences, pair_sizes(self.own, self.other), self.limit)
        return paired(self.differences).sd if equal is None else 0.0


def guard_limitation(
    report: GuardReport, guard: PairedComparisonSpec, kpi: Kpi, table: EvidenceTable, errors: LookErrors
) -> GuardLimitation:
    """Return what a guard on evidence could detect at the look of its report.

    The distance from the limit is the one that this look finds alone, so all looks up to it find it at least as often.
    There is none where nothing was compared or all contrasts are equal; there is none in the metric's unit where the
    table or the better direction is not known.
    """
    level = errors.each[report.look - 1] if report.look and guard.test == "mean" else 0.0
    distance, contrasts = None, None
    if report.value is not None and level >= _LEAST_LEVEL:
        known = kpi.sign and guard.margin.baseline in row_of(table, guard).values
        contrasts = Contrasts.of(report, guard, kpi, table) if known else None
        if contrasts is None or contrasts.sd:
            distance = detectable_difference(report.pairs, level, POWER)
    side, in_unit = _side(guard.relation is not Relation.WORSE_BY), None
    if distance is not None and contrasts is not None:
        in_unit = distance * contrasts.sd
    passes_at, above = None, kpi.sign * side > 0
    if contrasts is not None and in_unit is not None:
        passes_at = kpi.sign * (contrasts.limit - contrasts.shift + side * in_unit)
    is_known = passes_at is not None and report.baseline is not None
    return GuardLimitation(
        guard=report.guard,
        metric=report.metric,
        unit=kpi.unit,
        verdict=report.verdict,
        pairs=report.pairs,
        power=POWER,
        detectable_sd=distance,
        detectable=in_unit,
        passes_at=passes_at,
        passes_above=above,
        bound=kpi.bound_before((report.baseline or 0.0) + (passes_at or 0.0), above=above) if is_known else None,
        is_count=guard.test == "count",
        difference=report.value,
        skewness=report.skewness,
        dropped=report.dropped,
        candidate_missing=len(report.candidate_missing),
        baseline_missing=len(report.baseline_missing),
        missing=guard.missing,
    )


def tail_limitation(report: GuardReport, guard: TailSpec, kpi: Kpi) -> GuardLimitation:
    """Return which share of bad episodes a tail guard could not exclude at the look of its report."""
    return GuardLimitation(
        guard=report.guard,
        metric=report.metric,
        unit=kpi.unit,
        verdict=report.verdict,
        pairs=report.pairs,
        power=POWER,
        bad_share=report.high,
        dropped=report.dropped,
        candidate_missing=len(report.candidate_missing),
        baseline_missing=len(report.baseline_missing),
        missing=guard.missing,
    )


def pair_facts(row: PairedMetric, baseline: str, kpi: Kpi, *, unpaired: bool) -> PairFacts:
    """Return what all episodes of a table say of one KPI against one baseline.

    Fewer than two episodes with exposure on both sides, or an invalid number, say nothing.
    """
    values, baselines = row.values.get(CANDIDATE, ()), row.values.get(baseline, ())
    own, other = _samples(values, baselines, unpaired=unpaired)
    facts = PairFacts(metric=row.metric, unit=kpi.unit, baseline=baseline, pairs=min(len(own), len(other)))
    if facts.pairs < 2 or _is_invalid(row, baseline):
        return facts
    if kpi.sign:
        facts = _with_worst(facts, values, () if unpaired else baselines, kpi.sign)
    if unpaired:
        return facts
    gain = pairing_gain(own, other)
    is_equal = math.isinf(gain)
    return evolve(facts, correlation=correlation(own, other), gain=None if is_equal else gain, all_equal=is_equal)


def _with_worst(facts: PairFacts, values: Values, baselines: Values, sign: float) -> PairFacts:
    """Return facts with the episode of the worst difference, or of the worst value where there are no baselines."""
    episodes = [
        (i, x, b)
        for i, (x, b) in enumerate(zip_longest(values, baselines))
        if x is not None and (b is not None or not baselines)
    ]
    episode, value, other = min(episodes, key=lambda each: sign * (each[1] - (each[2] or 0.0)))
    return evolve(facts, worst_episode=episode, candidate=value, paired_value=other)


def kpi_moves(
    table: EvidenceTable, rows: tuple[PairedMetric, ...], kpis: Mapping[str, Kpi]
) -> tuple[tuple[KpiMove, ...], tuple[str, ...], int]:
    """Return the KPIs of `rows` whose interval excludes 0, those that cannot be compared, and how many comparisons.

    The intervals hold together with 95 %: the error is divided by the comparisons (Bonferroni), one for each KPI and
    each distinct policy among the baselines. `kpis` has the KPI of each row.
    """
    policies: dict[str, list[str]] = {}
    for name, policy in table.baselines.items():
        policies.setdefault(policy, []).append(name)
    comparisons = len(rows) * len(policies)
    moves, not_compared = list[KpiMove](), dict[str, None]()
    for row in rows:
        for names in policies.values():
            interval = _interval(row, names[0], _ALPHA / comparisons, unpaired=table.is_unpaired(names[0]))
            if interval is None:
                not_compared[row.metric] = None
            elif interval[1] > 0 or interval[2] < 0:
                kpi, (difference, low, high) = kpis[row.metric], interval
                moves.append(
                    KpiMove(
                        metric=row.metric,
                        unit=kpi.unit,
                        direction=kpi.direction,
                        baseline=", ".join(names),
                        difference=difference,
                        low=low,
                        high=high,
                    )
                )
    return tuple(moves), tuple(not_compared), comparisons


def row_of(table: EvidenceTable, guard: EvidenceGuardSpec) -> PairedMetric:
    """Return the row of a table that a guard compares; one without values where the table has none."""
    metric = MetricName.parse(guard.metric)
    name = "" if metric is None else metric.row
    return next((row for row in table.metrics if row.metric == name), PairedMetric(metric=name, values={}))


def _interval(row: PairedMetric, baseline: str, alpha: float, *, unpaired: bool) -> tuple[float, float, float] | None:
    """Return the mean difference and both bounds of a KPI; None where it cannot be compared."""
    values, baselines = row.values.get(CANDIDATE, ()), row.values.get(baseline, ())
    own, other = _samples(values, baselines, unpaired=unpaired)
    if _is_invalid(row, baseline) or _is_one_sided(values, baselines) or min(len(own), len(other)) < MIN_PAIRS:
        return None
    if unpaired:
        low, high = wider_unpaired_bounds(own, other, alpha)
    else:
        differences = [x - b for x, b in zip(own, other, strict=True)]
        equal = common_value(differences, pair_sizes(own, other), 0.0)
        low, high = wider_bounds(differences, alpha) if equal is None else (equal, equal)
    return paired(own).mean - paired(other).mean, low, high


def _is_one_sided(values: Values, baselines: Values) -> bool:
    """Tell whether only one side has exposure in some episode that both played."""
    episodes = min(len(values), len(baselines))
    sides = values[:episodes], baselines[:episodes]
    return bool(missing_episodes(*sides) or missing_episodes(*reversed(sides)))


def _is_invalid(row: PairedMetric, baseline: str) -> bool:
    """Tell whether either side has an invalid number in some episode."""
    return bool(row.invalid.keys() & {CANDIDATE, baseline})


def _samples(values: Values, baselines: Values, *, unpaired: bool) -> tuple[list[float], list[float]]:
    """Return the episodes of both sides that both have exposure in; where they are not pairs, those of each side."""
    if unpaired and len(values) != len(baselines):
        return [x for x in values if x is not None], [b for b in baselines if b is not None]
    pairs = [(x, b) for x, b in zip(values, baselines, strict=False) if x is not None and b is not None]
    return [x for x, _ in pairs], [b for _, b in pairs]


def _side(holds: bool) -> float:
    return 1.0 if holds else -1.0
