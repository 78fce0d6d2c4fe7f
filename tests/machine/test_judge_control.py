"""Control variates in a comparison: further episodes of the baseline, on cases worked by hand."""

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from cases import CANDIDATE, CHAMPION, RETURN, asked, compared, known, waves
from plans import SCHEDULE, make_plan

from townlet.confidence.skewness import wider_unpaired_bounds
from townlet.dto.codec import CodecError
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.guards import GuardReport, GuardSpec, Verdict
from townlet.machine.guards.baseline_margin import RULE
from townlet.machine.guards.look_errors import look_errors

BETTER = compared("better_by", evidence=True, absolute=0)


def judged(
    spec: GuardSpec, own: Sequence[float], other: Sequence[float], alone: Sequence[float], coefficient: float
) -> GuardReport:
    """Return the report on 40 pairs beside episodes that the champion played alone."""
    evidence = {"full": {**SCHEDULE["evidence"]["full"], "control": {"episodes": 100, "coefficient": coefficient}}}
    row = PairedMetric(
        metric=RETURN, values={"candidate": tuple(own), "champion": tuple(other)}, control={"champion": tuple(alone)}
    )
    stored = EvidenceTable(
        evidence="full", candidate=CANDIDATE, baselines={"champion": CHAMPION}, seed=1, looks=(20, 40), metrics=(row,)
    )
    return asked(spec, known(table=stored, plan=make_plan(evidence=evidence)))


def drawn(mean: float, episodes: int, key: int) -> list[float]:
    """Return values of standard deviation 1 around a mean."""
    source = random.Random(key)
    return [source.gauss(mean, 1.0) for _ in range(episodes)]


def test_bounds_are_those_of_two_samples() -> None:
    """Pairs without what the baseline explains, against its episodes alone."""
    own, other, alone = drawn(0.2, 40, 1), drawn(0.0, 40, 2), drawn(0.0, 400, 3)
    report = judged(BETTER, own, other, alone, -0.5)
    level = look_errors(make_plan().schedule.evidence["full"], make_plan(), 1, RULE).each[1]
    pairs = [x - b + 0.5 * b for x, b in zip(own, other, strict=True)]
    assert wider_unpaired_bounds(pairs, [0.5 * b for b in alone], level) == (report.low, report.high)
    assert "(40 pairs, 400 further episodes of the baseline, look 2 of 2" in report.sentence


def test_what_pairs_do_not_share_is_found_with_fewer_episodes() -> None:
    """Without correlation and with −1 only the candidate's own spread is left: intervals are narrower by a quarter."""
    own, other, alone = drawn(0.3, 40, 4), drawn(0.0, 40, 5), drawn(0.0, 2000, 6)
    plain, controlled = (judged(BETTER, own, other, alone, beta) for beta in (0.0, -1.0))
    assert (2, 2) == (plain.look, controlled.look)
    widths = [(report.high or 0.0) - (report.low or 0.0) for report in (plain, controlled)]
    assert widths[1] < 0.8 * widths[0]


def test_the_value_is_corrected_by_how_far_the_baseline_was_off() -> None:
    """The champion's 40 episodes had a mean of 1, all of its others 0: the candidate's advantage is larger by β."""
    report = judged(BETTER, waves(3.0, 40, size=2.0), waves(1.0, 40), waves(0.0, 100), -1.0)
    assert (pytest.approx(3.0), pytest.approx(1.0)) == (report.value, report.baseline)


def test_lower_is_better_is_the_mirror_image() -> None:
    """Everything times −1 gives the same verdict and mirrored bounds."""
    own, other, alone = drawn(0.5, 40, 7), drawn(0.0, 40, 8), drawn(0.0, 200, 9)
    up = judged(BETTER, own, other, alone, -0.7)
    plan_metric = known().metrics[RETURN]
    mirrored = [[-x for x in each] for each in (own, other, alone)]
    flipped = judged(compared("worse_by", evidence=True, absolute=0), *mirrored, -0.7)
    assert plan_metric.direction == "higher"
    assert (pytest.approx(-up.high), pytest.approx(-up.low)) == (flipped.low, flipped.high)
    assert up.p_value == pytest.approx(flipped.p_value)


@pytest.mark.parametrize(
    "change", [{"episodes": 19}, {"coefficient": math.nan}, {"coefficient": math.inf}, {"coefficient": 1e7}]
)
def test_a_control_that_cannot_help_is_refused(change: dict[str, float]) -> None:
    """Too few episodes to know a mean, or a coefficient that is no number."""
    control = {"episodes": 100, "coefficient": -1, **change}
    with pytest.raises(CodecError):
        make_plan(evidence={"full": {**SCHEDULE["evidence"]["full"], "control": control}})


def test_a_covariate_takes_the_place_of_the_baselines_value() -> None:
    """What the first observation shows explains all of the difference, so the bounds meet at what is left of it."""
    hunger = drawn(0.0, 40, 1)
    stored = EvidenceTable(
        evidence="full", candidate=CANDIDATE, baselines={"champion": CHAMPION}, seed=1, looks=(20, 40),
        metrics=(PairedMetric(
            metric=RETURN, values={"candidate": tuple(0.3 + 2 * c for c in hunger), "champion": (0.0,) * 40}
        ),),
        covariates={"small_town": tuple(hunger)}, further_covariates={"small_town": (0.0,) * 20},
    )  # fmt: skip
    control = {"episodes": 20, "coefficient": 2.0, "covariate": "hunger"}
    plan = make_plan(evidence={"full": {**SCHEDULE["evidence"]["full"], "control": control}})
    report = asked(BETTER, known(table=stored, plan=plan))
    assert [pytest.approx(0.3)] * 3 == [report.value, report.low, report.high]
    assert "(20 pairs, 20 further episodes, look 1 of 2" in report.sentence


@pytest.mark.parametrize("alone", [(), (1.0,), (1.0,) * 19])
def test_too_few_further_episodes_are_unknown(alone: tuple[float, ...]) -> None:
    """Nothing is judged as if no control had been declared."""
    report = judged(BETTER, drawn(0.5, 40, 1), drawn(0.0, 40, 2), alone, -1.0)
    assert (Verdict.UNKNOWN, True) == (report.verdict, "further episodes of the control variate" in report.sentence)


def test_pairs_without_exposure_are_unknown() -> None:
    """What explains the others would have another mean than that of the further episodes."""
    own: list[Any] = [None, *drawn(0.5, 39, 1)]
    other: list[Any] = [None, *drawn(0.0, 39, 2)]
    report = judged(BETTER, own, other, drawn(0.0, 100, 3), -1.0)
    assert (Verdict.UNKNOWN, True) == (report.verdict, "a control variate needs all" in report.sentence)


def test_rounding_is_no_difference_beside_a_control() -> None:
    """0.1 + 0.2 against 0.3 in every pair: equal, whatever the baseline did alone."""
    report = judged(BETTER, [0.1 + 0.2] * 40, [0.3] * 40, drawn(0.3, 100, 3), 0.0)
    assert (Verdict.FAIL, True) == (report.verdict, "all 40 differences equal" in report.sentence)
