"""What the reward of candidate and baselines consists of, and of training iterations: rows of a table, and words."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import number, unit_words
from townlet.report.run_curves import Curve, reported_terms, term_curves
from townlet.report.run_sentences import kpi_name

__all__ = ["TermRow", "reward_term_rows", "reward_term_sentence", "term_caption", "term_cells"]


@frozen(kw_only=True)
class TermRow:
    """One term of the reward."""

    name: str
    """Its name, and its scenario in a suite."""
    comparisons: tuple[KpiComparison | None, ...]
    """The candidate against each policy, in their order; None where it was not recorded."""
    curves: Mapping[str, Curve]
    """Means of training iterations by state."""


def reward_term_rows(facts: ReportFacts, policies: Sequence[str]) -> tuple[TermRow, ...]:
    """Return a row for each term of the reward against each of the policies; none where nothing was recorded."""
    by_key = {(row.metric, row.policy): row for row in reversed(facts.term_comparisons)}
    compared = tuple(dict.fromkeys(row.metric for row in facts.term_comparisons))
    own = f"[{facts.schedule.environment.scenario}]."
    return tuple(
        TermRow(
            name=kpi_name(name),
            comparisons=tuple(by_key.get((name, policy)) for policy in policies),
            curves=dict(term_curves(facts, name.removeprefix(own))),
        )
        for name in compared or reported_terms(facts)
    )


def term_cells(row: TermRow) -> tuple[str, ...]:
    """Return the candidate's mean, then each policy's with the difference and its interval; empty for unknown ones."""
    known = [each for each in row.comparisons if each is not None and each.own]
    cells = [number(sum(known[0].own) / len(known[0].own)) if known else ""]
    for each in row.comparisons:
        if each is None or each.means is None:
            cells += ["", ""]
            continue
        own, other = each.means
        cells += [number(other), f"{number(own - other)} [{number(each.low)}, {number(each.high)}]"]
    return tuple(cells)


def term_caption(facts: ReportFacts, training: str) -> str:
    """Return what the numbers of the table are; `training` says what it has of training iterations."""
    unit = f" {unit_words(facts.term_unit)}" if facts.term_unit else ""
    words = [f"Means{unit}, which add up to the reward"]
    if facts.term_comparisons:
        words.append("differences are candidate − baseline, with two-sided 95% intervals of each alone")
    if reported_terms(facts):
        words.append(f"{training}, in which the policy explores")
    return f"{'; '.join(words)}."


def reward_term_sentence(facts: ReportFacts) -> str:
    """Return why there is no term of the reward to show; empty where there is one."""
    if facts.term_comparisons or reported_terms(facts):
        return ""
    if facts.reward_terms == ():
        return "This environment declares no terms of its reward."
    if facts.reward_terms is None:
        return (
            "No terms of the reward are recorded: the environment declares none, or an earlier version of Townlet "
            "made the run."
        )
    if not facts.gathered and not any("reward" in point.numbers for point in facts.points):
        return "The run neither trained by reward nor compared policies so far, so no terms of the reward are recorded."
    return "The terms of the reward were not recorded: an earlier version of Townlet made the run."
