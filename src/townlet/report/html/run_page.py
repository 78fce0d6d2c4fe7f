"""The report of a run as one HTML page: a pure function of `ReportFacts`."""

from collections.abc import Iterator, Sequence

from attrs import frozen
from markupsafe import Markup

from townlet.canonical import canonical_json
from townlet.dto.codec import unstructure
from townlet.dto.fields import Direction
from townlet.dto.guards import GuardReport
from townlet.dto.metric_name import MetricName
from townlet.dto.policy_ref import short_ref
from townlet.dto.recording import RecordedPair
from townlet.escapes import printable
from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.report_facts import Decision, ReportFacts
from townlet.numerals import number, plain_numbers, unit_label, unit_words
from townlet.report.following import Following
from townlet.report.glossary import GLOSSARY
from townlet.report.guard_numbers import guard_amount, operand_line
from townlet.report.guard_sides import passing_sides
from townlet.report.headline import headline
from townlet.report.html.drawing.curves import curve_sketch
from townlet.report.html.drawing.differences import difference_drawing
from townlet.report.html.drawing.machine import machine_drawing
from townlet.report.html.drawing.strip import guard_strip
from townlet.report.html.drawing.timeline import timeline_drawing
from townlet.report.html.episodes import episodes_section
from townlet.report.html.page import render_page
from townlet.report.html.run_panels import evaluation_panels, learning_panels
from townlet.report.html.viewer import SCRIPTS
from townlet.report.journal_text import overridden_values, record_summary
from townlet.report.limitations import limitation_sections
from townlet.report.next_steps import resume_steps, undo_commands, undo_sentences
from townlet.report.path_sentences import edge_sentences, span_sentence, time_sentence
from townlet.report.reward_terms import TermRow, reward_term_rows, reward_term_sentence, term_caption, term_cells
from townlet.report.run_curves import other_numbers
from townlet.report.run_identity import identity_rows
from townlet.report.run_sentences import (
    baseline_name,
    changed_sentences,
    compared_sentences,
    deciding_limitations,
    declared_metric,
    kpi_change,
    kpi_name,
    level_sentence,
    objective_sentences,
)
from townlet.report.verdicts import verdict_sentence

__all__ = ["run_page"]

_MOST_RECORDS, _MOST_LETTERS = 1500, 5000
"""Records that the page holds, and letters of one; `townlet audit show` has the rest."""
_MOST_DIFFERENCES = 12
"""KPIs whose differences are drawn."""


@frozen
class _GuardRow:
    report: GuardReport
    sentence: str
    operands: str
    strip: Markup


@frozen(kw_only=True)
class _EdgeGroup:
    title: str
    is_taken: bool
    promotes: bool
    rows: tuple[_GuardRow, ...]
    above: str = ""


@frozen
class _KpiRow:
    metric: str
    unit: str
    better: str
    change: str
    cells: tuple[str, ...]


@frozen
class _Record:
    seq: int
    at: str
    kind: str
    summary: str
    body: str


def run_page(
    facts: ReportFacts, pairs: Sequence[RecordedPair] = (), problem: str = "", *, following: Following | None = None
) -> str:
    """Return the report of a run as one self-contained HTML text; equal facts and episodes give equal bytes.

    `pairs` are the episodes that the page plays, `problem` says why there are none where that is to be said. The page
    of a run that goes on reads itself again while it is `following` it.
    """
    policies = _policies(facts)
    terms = reward_term_rows(facts, [policy for policy, _ in policies])
    training = tuple(dict.fromkeys(state for row in terms for state in row.curves))
    episodes = episodes_section(facts.run, pairs, problem) if pairs or problem else None
    return render_page(
        "report.html.j2",
        styles=["report.css", *(["viewer.css"] if pairs else [])],
        scripts=["report.js", *(SCRIPTS if pairs else [])],
        following=following,
        facts=facts,
        headline=headline(facts),
        tone="pass" if facts.promotion is not None and not facts.created.rehearsal else "undecided",
        when=time_sentence(facts),
        compared=(*compared_sentences(facts), *objective_sentences(facts)),
        edges=tuple(edge_sentences(facts)),
        changed=tuple(changed_sentences(facts)),
        reservations=(*facts.reservations, *facts.inexact, *facts.problems, *_journal_problems(facts)),
        overridden=overridden_values(facts.entries),
        levels=level_sentence(facts),
        groups=() if facts.decision is None else tuple(_groups(facts, facts.decision)),
        earlier=[(each, tuple(_rows(facts, each.reports))) for each in facts.decisions if each != facts.decision],
        limits=tuple(_limits(facts, deciding=True)),
        earlier_limits=tuple(_limits(facts, deciding=False)),
        going_on=resume_steps(facts),
        undo=tuple(undo_sentences(facts)),
        undo_commands=undo_commands(facts),
        policies=policies,
        kpis=tuple(_kpis(facts, policies)),
        kpi_columns=("candidate", *(column for _, name in policies for column in (name, "difference"))),
        differences=tuple(_differences(facts)),
        terms=[(row.name, term_cells(row), _sketches(row, training)) for row in terms],
        training=training,
        term_caption=term_caption(facts, "curves, with their last value, are of training iterations"),
        no_terms=reward_term_sentence(facts),
        episodes=episodes,
        machine=machine_drawing(facts.edges, facts.state.visits, facts.state.state),
        timeline=timeline_drawing(facts.spans),
        spans=[(span, span_sentence(span)) for span in facts.spans],
        panels=(*learning_panels(facts), *evaluation_panels(facts)),
        other_numbers=other_numbers(facts),
        identity=tuple(identity_rows(facts)),
        records=tuple(_records(facts)),
        glossary=GLOSSARY,
        records_left_out=max(0, len(facts.entries) - _MOST_RECORDS),
    )


def _journal_problems(facts: ReportFacts) -> Iterator[str]:
    if not facts.is_clean:
        yield "the journal ends in a torn line, or its head file is one record old: resume repairs both"


def _groups(facts: ReportFacts, decision: Decision) -> Iterator[_EdgeGroup]:
    """Yield the guards of a decision below the edges that ask for them, each guard once."""
    reports = decision.reports
    rows = {row.report.guard: row for row in _rows(facts, reports)}
    for edge in facts.edges:
        if edge.source != decision.state or not edge.order:
            continue
        above = set(edge.guards) - set(rows)
        condition = f"if {edge.condition}" if edge.condition else "otherwise"
        reason = f" — {edge.why}" if edge.why else ""
        yield _EdgeGroup(
            title=f"{edge.order}. to {edge.target} {condition}{reason}",
            is_taken=edge.order == decision.edge,
            promotes=edge.target in facts.promoting,
            rows=tuple(rows.pop(guard) for guard in edge.guards if guard in rows),
            above=", ".join(f"{each.guard} ({each.verdict.value})" for each in reports if each.guard in above),
        )
    if rows:
        title = "asked by no edge of the schedule in force"
        yield _EdgeGroup(title=title, is_taken=False, promotes=False, rows=tuple(rows.values()))


def _rows(facts: ReportFacts, reports: Sequence[GuardReport]) -> Iterator[_GuardRow]:
    sides = passing_sides(facts)
    for report in reports:
        strip = guard_strip(report, passes_above=sides(report), amount=guard_amount(facts, report))
        yield _GuardRow(report, verdict_sentence(report), operand_line(facts, report), strip)


def _limits(facts: ReportFacts, *, deciding: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a heading and sentences for the visit that decided, or for each other whose evidence had limits."""
    own = tuple(deciding_limitations(facts))
    found = facts.limitations
    if found is None:
        return
    for visit in own if deciding else [each for each in found.visits if each not in own]:
        for heading, sentences in limitation_sections(found, visit):
            short = heading.removeprefix("What this run could not see, ")
            yield f"{short[:1].upper()}{short[1:]}", sentences


def _policies(facts: ReportFacts) -> tuple[tuple[str, str], ...]:
    """Return the baselines' policies, each once, with the names under which the candidate was compared with them."""
    names: dict[str, list[str]] = {}
    if facts.evidence is not None:
        for name, policy in facts.evidence.table.baselines.items():
            names.setdefault(policy, []).append(name)
    return tuple((policy, f"{', '.join(own)} ({short_ref(policy)})") for policy, own in names.items())


def _kpis(facts: ReportFacts, policies: Sequence[tuple[str, str]]) -> Iterator[_KpiRow]:
    """Yield a row for each KPI: candidate, then each policy with the difference and its interval."""
    by_key = {(row.metric, row.policy): row for row in reversed(facts.comparisons)}
    for metric in dict.fromkeys(row.metric for row in facts.comparisons):
        spec = declared_metric(facts, metric)
        rows = [by_key.get((metric, policy)) for policy, _ in policies]
        first = next((row for row in rows if row is not None), None)
        own = None if first is None or not first.own else sum(first.own) / len(first.own)
        cells = [number(own)]
        for row in rows:
            cells += _cells(row)
        changes = [kpi_change(row, spec) for row in rows if row is not None]
        better = "" if spec is None or spec.direction is Direction.NONE else spec.direction.value
        change = next((each for each in ("worse", "better") if each in changes), "")
        yield _KpiRow(metric, "" if spec is None else unit_label(spec.unit), better, change, tuple(cells))


def _cells(row: KpiComparison | None) -> tuple[str, str]:
    if row is None or row.means is None:
        return "unknown", ""
    own, other = row.means
    return number(other), f"{number(own - other)} [{number(row.low)}, {number(row.high)}]"


def _sketches(row: TermRow, states: Sequence[str]) -> Iterator[tuple[str, Markup]]:
    """Yield for each state the mean of the last iteration and the drawing of all; empty where it reported none."""
    for state in states:
        curve = row.curves.get(state)
        yield ("", Markup()) if curve is None else (number(curve.y[-1]), curve_sketch(curve))


def _differences(facts: ReportFacts) -> Iterator[tuple[str, Markup, str]]:
    """Yield the drawing of the differences per episode of each KPI that a guard compares, each policy once."""
    reports = () if facts.decision is None else facts.decision.reports
    asked = {name.row for report in reports if (name := MetricName.parse(report.metric)) is not None}
    seen: set[tuple[str, str]] = set()
    for row in facts.comparisons:
        if (row.metric, row.policy) in seen or row.metric not in asked or len(seen) == _MOST_DIFFERENCES:
            continue
        spec = declared_metric(facts, row.metric)
        below = None if spec is None or spec.direction is Direction.NONE else spec.direction is Direction.LOWER
        unit = "" if spec is None else unit_words(spec.unit)
        picture = difference_drawing(row, is_better_below=below, unit=unit)
        if picture:
            seen.add((row.metric, row.policy))
            yield f"{kpi_name(row.metric)} against {baseline_name(row)}", picture, _difference_caption(row, below)


def _difference_caption(row: KpiComparison, below: bool | None) -> str:
    if not row.is_paired:
        return f"{len(row.own)} and {len(row.other)} episodes, which are not pairs: both sides are sorted."
    losses = [x for x in row.differences.values() if below is not None and x != 0 and (x > 0) == below]
    worse = "" if below is None else f"; the candidate is worse in {len(losses) or 'none'}"
    better = "" if below is None else f" Better is {'below' if below else 'above'} 0."
    return f"{row.both} pairs, sorted{worse}.{better}"


def _records(facts: ReportFacts) -> Iterator[_Record]:
    for entry in facts.entries[:_MOST_RECORDS]:
        body = canonical_json(unstructure(entry.record)).decode()
        cut = "" if len(body) <= _MOST_LETTERS else f"… ({len(body) - _MOST_LETTERS:,} more letters)"
        at = f"{entry.at[:10]} {entry.at[11:19]}"
        summary = plain_numbers(record_summary(entry.record))
        yield _Record(entry.seq, at, entry.record.kind, summary, f"{printable(body[:_MOST_LETTERS])}{cut}")
