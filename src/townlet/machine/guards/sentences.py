"""The sentence of a comparison over episodes: both values, the difference, the bound that decided, and how."""

import math

from townlet.dto.guards import GuardReport, Relation, Verdict
from townlet.machine.guards.paired_comparison import LookResult, PairedComparison

__all__ = ["comparison_sentence", "percent"]


def comparison_sentence(comparison: PairedComparison, report: GuardReport, tested: LookResult) -> str:
    """Return a report's sentence; the report has the numbers."""
    margin, errors = comparison.margin, comparison.errors
    value, baseline, limit, low, high = (
        math.nan if number is None else number
        for number in (report.value, report.baseline, report.limit, report.low, report.high)
    )
    opening = (
        f"{margin.guard.metric} {baseline + value:.4g} {margin.phrase(report.verdict)} {margin.baseline_name} "
        f"{baseline:.4g}: difference {value:.4g}"
    )
    levels = errors.exact if comparison.counts_events else errors.each
    confidence = percent(levels[report.look - 1], margin.rule)
    if tested.equal:
        middle = f"all {report.pairs} differences equal"
    elif report.verdict == Verdict.UNDECIDED:
        middle = f"{confidence} bounds {low:.4g} and {high:.4g} on both sides of limit {limit:.4g}"
    else:
        # PASS of better_by and not_worse_than and FAIL of worse_by follow from the oriented lower bound
        lower = (report.verdict == Verdict.PASS) != (margin.guard.relation == Relation.WORSE_BY)
        bound = low if lower == (margin.sign > 0) else high
        side = "above" if bound > limit else "below" if bound < limit else "at"
        middle = f"{confidence} bound {bound:.4g} {side} limit {limit:.4g}"
    relative = margin.guard.margin.relative
    scale = "" if report.tolerance == "absolute" else f", tolerance {relative:.3g} {report.tolerance}"
    one_sided = len(report.candidate_missing) + len(report.baseline_missing)
    missing = {"worst": "counted at the worst", "drop": "dropped"}.get(comparison.missing or "", "")
    note = f", {one_sided} with exposure on one side only {missing}" if one_sided and missing else ""
    counted = f"{report.pairs} pairs"
    if comparison.has_control:
        whose = "" if comparison.covariates else " of the baseline"
        counted = f"{report.pairs} pairs, {len(comparison.control)} further episodes{whose}"
    elif comparison.recorded:
        counted = f"unpaired, {report.pairs} episodes against {len(comparison.baseline)} recorded"
    elif comparison.unpaired:
        counted = f"unpaired, {report.pairs} episodes each"
    counted = f"{tested.events}, {counted}" if tested.events else counted
    chance = "" if report.p_value is None else f", p {report.p_value:.2g}"
    looks = f"look {report.look} of {len(errors.looks)}"
    return f"{opening}, {middle}{scale} ({counted}{note}, {looks}{chance})"


def percent(alpha: float, rule: int) -> str:
    """Return the confidence 1 − `alpha` as text, with two digits of what is missing to 100 %; earlier rules rounded."""
    return f"{100 * (1 - alpha):.4g}%" if rule < 3 else f"{100 - float(f'{100 * alpha:.2g}'):.10g}%"
