"""Verdicts as a person reads them: the journal's sentence, with numbers that belong together.

The sentences in the journal are hashed and stay as they were written; only what is shown differs.
"""

import re

from townlet.dto.guards import GuardReport
from townlet.numerals import number, plain_numbers

__all__ = ["other_bound", "shown_bounds", "verdict_sentence"]

_BOUND = re.compile(r"bound (\S+) (above|below|at) limit (\S+?)(?=,| \()")
_BOUNDS = re.compile(r"bounds (\S+) and (\S+) on both sides of limit (\S+?)(?=,| \()")
_TOLERANCE = re.compile(r"tolerance (\d\S*) (relative|floor)(?= \()")
_TOLERANCES = {"relative": "baseline", "floor": "floor"}
"""What a tolerance is a share of."""
_EARLIER_PHRASES = {
    " may or may not be not worse than ": " may be worse than ",
    " may or may not be better than ": " may not be better than ",
    " may or may not be worse than ": " may be worse than ",
}
"""How earlier versions wrote an undecided verdict."""


def verdict_sentence(report: GuardReport) -> str:
    """Return a report's sentence with numbers as people write them, bounds and limit those of the difference."""
    sentence = report.sentence
    for earlier, phrase in _EARLIER_PHRASES.items():
        sentence = sentence.replace(earlier, phrase)
    shift = _shift(report)
    if shift and report.low is not None and report.high is not None and report.limit is not None:
        low, high, limit = (number(x - shift) for x in (report.low, report.high, report.limit))
        is_low = (match := _BOUND.search(sentence)) is not None and match[1] == f"{report.low:.4g}"
        sentence = _BOUND.sub(rf"bound {low if is_low else high} \2 limit {limit}", sentence)
        sentence = _BOUNDS.sub(f"bounds {low} and {high} on both sides of limit {limit}", sentence)
    sentence = _TOLERANCE.sub(
        lambda match: f"tolerance {number(100 * float(match[1]))}% of the {_TOLERANCES[match[2]]}", sentence
    )
    return plain_numbers(sentence)


def other_bound(report: GuardReport) -> str:
    """Return the bound of a paired difference that the sentence does not name; empty where it names both, or none.

    A share of bad episodes has one that matters.
    """
    match = _BOUND.search(report.sentence)
    if match is None or report.test == "share" or report.low is None or report.high is None:
        return ""
    bound = report.high if match[1] == f"{report.low:.4g}" else report.low
    return f"other bound {number(bound - _shift(report))}"


def shown_bounds(report: GuardReport) -> tuple[float | None, float | None, float | None]:
    """Return both ends of a report's interval and its limit, all of the difference, as the sentence has them."""
    shift = _shift(report)
    low, high, limit = (None if each is None else each - shift for each in (report.low, report.high, report.limit))
    return low, high, limit


def _shift(report: GuardReport) -> float:
    """Return what a relative tolerance added to each difference: r·b̄, by which the journal's bounds are moved.

    The bounds are symmetric about the mean of what was tested, x − b ± r·b; the difference is the mean of x − b. From
    rule 4 on the journal holds bounds of the difference.
    """
    if report.rule > 3 or report.tolerance != "relative":
        return 0.0
    if report.low is None or report.high is None or report.value is None:
        return 0.0
    return (report.low + report.high) / 2 - report.value
