"""What a guard could detect, what pairing was worth, and which KPIs moved without a guard: from tables made by hand."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from cases import CHAMPION, OTHER, PLAN, QUEUES, RETURN, asked, compared, known, table, waves
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray
from plans import METRICS

from townlet.confidence.skewness import wider_bounds
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.fields import Direction
from townlet.dto.guards import GuardReport, PairedComparisonSpec, Verdict
from townlet.dto.limitations import GuardLimitation, KpiMove
from townlet.estimate import unpaired_bounds
from townlet.machine.audit.comparison_limits import Contrasts, Kpi, guard_limitation, kpi_moves, pair_facts
from townlet.machine.guards.look_errors import look_errors

KPIS = {spec.name: Kpi(unit=spec.unit, direction=spec.direction) for spec in METRICS}
ERRORS = look_errors(PLAN.schedule.evidence["full"], PLAN, 1, 3)
FLOATS = some.floats(-100, 100)
GUARDS = [
    compared("better_by", evidence=True, absolute=0),
    compared("better_by", evidence=True, relative="10%", floor=0.5),
    compared("not_worse_than", evidence=True, relative="10%", floor=0.5),
    compared("not_worse_than", QUEUES, evidence=True, relative="10%", floor=0.5, absolute=0.2),
    compared("worse_by", QUEUES, evidence=True, relative="5%", floor=1.0),
    compared("worse_by", evidence=True, absolute=0.3),
]


def limitation(guard: Any, found: EvidenceTable, **changes: Any) -> GuardLimitation:
    """Return what a guard could detect in a table."""
    kpi = changes.pop("kpi", KPIS[guard.metric.partition(".")[2]])
    return guard_limitation(evolve(asked(guard, known(table=found)), **changes), guard, kpi, found, ERRORS)


def normal(rng: np.random.Generator, *, exact: bool) -> NDArray[np.float64]:
    """Return two samples of 40 normal numbers, `exact`: with means 0, deviations 1 and no correlation."""
    numbers = rng.normal(size=(40, 2))
    if exact:
        numbers = np.linalg.qr(numbers - numbers.mean(axis=0))[0] * math.sqrt(39)
    return numbers


@given(some.sampled_from(GUARDS), some.lists(some.tuples(FLOATS, FLOATS), min_size=40, max_size=40))
def test_contrasts_are_those_of_the_guard(guard: PairedComparisonSpec, pairs: list[tuple[float, float]]) -> None:
    """The bounds that follow from them are the report's, for every kind of margin and both directions."""
    metric = guard.metric.partition(".")[2]
    found = table([x for x, _ in pairs], [b for _, b in pairs], metric)
    report = asked(guard, known(table=found))
    if report.p_value is None:  # all contrasts are equal
        return
    contrasts = Contrasts.of(report, guard, KPIS[metric], found)
    low, high = (each - contrasts.shift for each in wider_bounds(contrasts.differences, ERRORS.each[report.look - 1]))
    expected = (low, high) if KPIS[metric].sign > 0 else (-high, -low)
    assert expected == pytest.approx((report.low, report.high), rel=1e-6, abs=1e-6)
    assert KPIS[metric].sign * (contrasts.limit - contrasts.shift) == pytest.approx(report.limit)


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_passes_with_the_stated_chance_where_the_truth_is_the_detectable_difference(
    guard: PairedComparisonSpec,
) -> None:
    """Four fifths of 300 tables drawn there pass, more or less three standard errors."""
    metric, rng = guard.metric.partition(".")[2], np.random.default_rng(5)

    def drawn(mean: float, *, exact: bool = False) -> EvidenceTable:
        noise, baseline = normal(rng, exact=exact).T
        return table((5 + baseline + mean + noise).tolist(), (5 + baseline).tolist(), metric)

    undecided = max(
        (drawn(mean, exact=True) for mean in (-0.3, 0.2)), key=lambda each: asked(guard, known(table=each)).look
    )
    facts = limitation(guard, undecided)
    assert facts.passes_at is not None
    passed = [asked(guard, known(table=drawn(facts.passes_at))).verdict is Verdict.PASS for _ in range(300)]
    assert 0.73 < sum(passed) / 300 < 0.88


def test_a_detectable_difference_is_in_the_direction_in_which_the_guard_passes() -> None:
    """Of a KPI where lower is better `better` passes below; `worse_by` passes where the candidate is worse."""
    found = table(waves(-0.3, 40), [0.0] * 40, QUEUES)
    better = limitation(compared("better_by", QUEUES, evidence=True, absolute=0), found)
    worse = limitation(compared("worse_by", QUEUES, evidence=True, absolute=0), found)
    assert better.passes_at == pytest.approx(-(worse.passes_at or 0.0))
    assert (False, True) == (better.passes_above, worse.passes_above)
    assert better.passes_at is not None
    assert better.passes_at < 0


def test_nothing_is_detectable_where_nothing_was_compared() -> None:
    """All contrasts equal, or a guard that is UNKNOWN: there is no such number."""
    guard = compared("better_by", evidence=True, absolute=0)
    assert limitation(guard, table([1.0] * 40, [0.5] * 40)).detectable_sd is None
    assert limitation(guard, table(waves(0.1, 20))).detectable_sd is None
    without = limitation(guard, table([*waves(0.1, 39), None], [0.0] * 40))
    assert (None, 1, 0, None) == (
        without.detectable_sd,
        without.candidate_missing,
        without.baseline_missing,
        without.missing,
    )


def test_without_a_direction_distances_are_in_standard_deviations() -> None:
    """The environment could not be asked; what needs it is left out, the rest stands."""
    facts = limitation(GUARDS[0], table(waves(0.1, 40)), kpi=Kpi(unit="1/agent-day"))
    assert facts.detectable_sd == pytest.approx(limitation(GUARDS[0], table(waves(0.1, 40))).detectable_sd)
    assert (None, None) == (facts.detectable, facts.passes_at)


def test_the_worst_episode_is_the_worst_difference_in_the_better_direction() -> None:
    """Where lower is better it is the largest; where the episodes are not pairs, the candidate's worst value."""
    row = PairedMetric(metric=QUEUES, values={"candidate": (1.0, 5.0, 6.0, None), "champion": (1.0, 1.0, 9.0, 0.0)})
    facts = pair_facts(row, "champion", KPIS[QUEUES], unpaired=False)
    assert (3, 1, 5.0, 1.0) == (facts.pairs, facts.worst_episode, facts.candidate, facts.paired_value)
    alone = pair_facts(row, "champion", KPIS[QUEUES], unpaired=True)
    assert (2, 6.0, None, None, None) == (
        alone.worst_episode, alone.candidate, alone.paired_value, alone.correlation, alone.gain,
    )  # fmt: skip
    assert pair_facts(row, "champion", Kpi(), unpaired=False).worst_episode is None
    invalid = pair_facts(evolve(row, invalid={"champion": (2,)}), "champion", KPIS[QUEUES], unpaired=False)
    assert (None, None, False) == (invalid.correlation, invalid.gain, invalid.all_equal)
    same = PairedMetric(metric=QUEUES, values={"candidate": (0.1 + 0.2, 3.0), "champion": (0.3, 3.0)})
    assert pair_facts(same, "champion", KPIS[QUEUES], unpaired=False).all_equal


def moved(found: EvidenceTable) -> tuple[tuple[KpiMove, ...], tuple[str, ...], int]:
    """Return the moves of all rows of a table."""
    return kpi_moves(found, found.metrics, {row.metric: KPIS.get(row.metric, Kpi()) for row in found.metrics})


def row(metric: str, shift: float) -> PairedMetric:
    """Return 40 episodes that differ by `shift` ± 1 from the champion's, and by `shift` + 2 ± 1 from the teacher's."""
    values = {"candidate": tuple(waves(shift, 40)), "champion": (0.0,) * 40, "accepted": (0.0,) * 40}
    return PairedMetric(metric=metric, values={**values, "teacher": (-2.0,) * 40})


def test_baselines_of_one_policy_are_compared_once() -> None:
    """The error is divided by the KPIs times the distinct policies; their names stand together."""
    found = evolve(
        table(waves(0.0, 40)),
        metrics=(row(RETURN, 0.0), row(QUEUES, 1.0)),
        baselines={"champion": CHAMPION, "teacher": OTHER, "accepted": CHAMPION},
    )
    moves, not_compared, comparisons = moved(found)
    expected = [(RETURN, "teacher"), (QUEUES, "champion, accepted"), (QUEUES, "teacher")]
    assert (4, (), expected) == (comparisons, not_compared, [(move.metric, move.baseline) for move in moves])
    _, queues, _ = moves
    low, high = wider_bounds(waves(1.0, 40), 0.025 / 4)
    assert (queues.low, queues.high) == pytest.approx((low, high))
    assert Direction.LOWER is queues.direction


def test_equal_kpis_are_wrongly_said_to_move_in_one_table_of_twenty_at_most() -> None:
    """Ten KPIs of normal differences without a mean, 400 tables: 5 % of these, and three standard errors."""
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(400):
        rows = tuple(
            PairedMetric(
                metric=f"k{i}", values={"candidate": tuple(rng.normal(size=40).tolist()), "champion": (0.0,) * 40}
            )
            for i in range(10)
        )
        wrong += bool(moved(evolve(table(waves(0.0, 40)), metrics=rows))[0])
    assert wrong < 400 * 0.05 + 3 * math.sqrt(400 * 0.05 * 0.95)


def test_a_kpi_with_missing_episodes_or_invalid_numbers_is_not_compared() -> None:
    """Fewer than 20 pairs, exposure on one side only, an invalid number: none of them says that nothing moved."""
    whole = row(QUEUES, 1.0)
    one_sided = evolve(whole, metric="a", values={**whole.values, "candidate": (*waves(1.0, 39), None)})
    few = PairedMetric(metric="b", values={"candidate": (1.0,) * 19, "champion": (0.0,) * 19})
    invalid = evolve(whole, metric="c", invalid={"candidate": (3,)})
    elsewhere = evolve(whole, metric="d", invalid={"teacher": (3,)})
    moves, not_compared, comparisons = moved(
        evolve(table(waves(0.0, 40)), metrics=(one_sided, few, invalid, elsewhere))
    )
    assert (("a", "b", "c"), ["d"], 4) == (not_compared, [move.metric for move in moves], comparisons)


def test_a_baseline_of_another_number_of_episodes_is_compared_without_pairs() -> None:
    """Where the episodes are not pairs each side counts for itself."""
    values = {"candidate": tuple(waves(1.0, 40)), "champion": tuple(waves(0.0, 30))}
    longer = PairedMetric(metric=QUEUES, values=values)
    assert 30 == pair_facts(longer, "champion", KPIS[QUEUES], unpaired=True).pairs
    ((move,), _, _) = moved(evolve(table(waves(0.0, 40)), metrics=(longer,), unpaired=True))
    assert move.difference == pytest.approx(1.0)
    assert (move.low, move.high) == pytest.approx(unpaired_bounds(values["candidate"], values["champion"], 0.025))


def test_a_report_without_numbers_has_its_verdict_all_the_same() -> None:
    """A guard of an earlier journal, without a look."""
    report = GuardReport(guard="g", verdict=Verdict.UNKNOWN, metric=f"evaluate.{RETURN}", sentence="not known")
    guard = GUARDS[0]
    assert isinstance(guard, PairedComparisonSpec)
    facts = guard_limitation(report, guard, KPIS[RETURN], table(waves(0.1, 40)), ERRORS)
    assert (Verdict.UNKNOWN, None) == (facts.verdict, facts.detectable_sd)


def test_a_difference_that_no_policy_can_reach_is_marked() -> None:
    """The baseline is so near to the least value that no fall is large enough; without a least value nothing is."""
    rng = np.random.default_rng(3)
    guard = compared("not_worse_than", QUEUES, evidence=True, relative="10%", floor=0.001)
    metric = guard.metric.partition(".")[2]
    found = table(rng.uniform(0, 0.2, 40).tolist(), rng.uniform(0, 0.2, 40).tolist(), metric)

    near = limitation(guard, found, kpi=evolve(KPIS[metric], low=0.09))
    far = limitation(guard, found, kpi=evolve(KPIS[metric], low=-5.0))
    assert near.passes_at is not None
    assert near.passes_at < 0
    assert (0.09, None, None) == (near.bound, far.bound, limitation(guard, found).bound)
