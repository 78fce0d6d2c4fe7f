"""Terminal tables: forecasts, schedules, strategies, registries, comparisons.

`townlet.report.layout` fits them to the terminal, `townlet.numerals` writes their numbers.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.comparison import ComparisonResult
from townlet.dto.evidence import EvidenceTable
from townlet.dto.policy_ref import short_ref
from townlet.dto.registry import AliasMove, Version
from townlet.machine.audit.evidence_comparisons import KpiComparison, compare_kpis
from townlet.machine.audit.run_list import RunListing
from townlet.machine.catalogue import StrategyCatalogue, StrategyEntry
from townlet.machine.guards.paired_test import mean_warning
from townlet.machine.schedule.forecast import Forecast
from townlet.machine.schedule.option_list import StrategyOption
from townlet.numerals import age, number, plain_reason, size
from townlet.report.layout import Column, Grid

__all__ = [
    "ScheduleRow",
    "comparison_table",
    "evidence_rows",
    "evidence_table",
    "forecast_tables",
    "history_table",
    "options_table",
    "runs_table",
    "schedules_table",
    "strategies_table",
    "versions_table",
]


@frozen(kw_only=True)
class ScheduleRow(Record):
    """One shipped schedule, as `townlet schedules` lists it."""

    name: str
    """Its name on the command line."""
    summary: str
    """One sentence."""
    environment: str
    """Environment id and scenario, such as ``town/small_town``."""
    torch: bool
    """True where a state needs torch."""
    wall_clock: float | None
    """Seconds that a run may take; none where the schedule sets no bound."""
    agent_steps: int | None
    """Agent-steps that a run may play; none where the schedule sets no bound."""


def _text(name: str, *, optional: bool = False) -> Column:
    return Column(name, is_optional=optional)


def _number(name: str, *, optional: bool = False) -> Column:
    return Column(name, is_number=True, is_optional=optional)


def forecast_tables(forecast: Forecast) -> tuple[Grid, ...]:
    """Return tables: what a run can visit and cost at most, what its guards can detect, and what its looks exclude."""
    states = Grid(
        f"{forecast.name}: at most {forecast.agent_steps:,} agent-steps, {forecast.disk / 2**20:,.0f} MiB; "
        f"may end in {', '.join(forecast.ends)}",
        (_text("state"), _text("strategy"), _number("visits ≤"), _number("agent-steps each"), _text("leads to")),
    )
    for state in forecast.states:
        states.add_row(
            state.state, state.strategy, str(state.most_visits), f"{state.agent_steps:,}", ", ".join(state.leads_to)
        )
    most = max((guard.pairs or 0 for guard in forecast.guards), default=0)
    guards = Grid(
        f"guards: {mean_warning(most)}" if most else "guards",
        (
            _text("guard"),
            _text("evaluated in"),
            _text("decides"),
            _number("detectable (sd)"),
            _number("equal policy passes"),
            _number("passes from", optional=True),
        ),
    )
    for guard in forecast.guards:
        guards.add_row(
            guard.guard,
            ", ".join(guard.asked_at),
            ", ".join(guard.decides),
            number(guard.detectable),
            number(guard.equal_passes),
            "" if guard.passes_from is None else f"{guard.passes_from} episodes",
        )
    excluded = Grid(
        "shares of bad episodes that are excluded where none is seen",
        (_text("evidence"), _number("episodes"), _number("by a tail guard"), _number("alone, at 95%", optional=True)),
    )
    for look in forecast.exclusions:
        shares = (f"{number(100 * share)}%" for share in (look.share, look.share_alone))
        excluded.add_row(look.evidence, str(look.episodes), *shares)
    return (states, guards, excluded) if forecast.exclusions else (states, guards)


def schedules_table(rows: Iterable[ScheduleRow]) -> Grid:
    """Return the shipped schedules, what each does and what it needs."""
    table = Grid("schedules", (_number("name"), _text("what it does"), _text("environment"), _text("needs")))
    for row in rows:
        needs = ["torch"] if row.torch else []
        needs += [] if row.wall_clock is None else [f"at most {row.wall_clock / 60:.0f} min"]
        needs += [] if row.agent_steps is None else [f"{row.agent_steps:,} agent-steps"]
        table.add_row(row.name, row.summary, row.environment, ", ".join(needs))
    return table


def strategies_table(catalogue: StrategyCatalogue) -> Grid:
    """Return every strategy, whether it can run, and what to install where it cannot."""
    table = Grid("strategies", (_number("name"), _text("can run"), _text("what it does")))
    for entry in catalogue.entries.values():
        can_run = catalogue.torch_available or not entry.requires_torch
        table.add_row(entry.name, "yes" if can_run else "no: pip install 'townlet[torch]'", entry.doc)
    return table


def options_table(entry: StrategyEntry, options: Iterable[StrategyOption]) -> Grid:
    """Return the options of a strategy, one row each."""
    table = Grid(
        f"{entry.name}: {entry.doc}",
        (_number("option"), _text("type"), _text("default"), _text("bounds"), _text("meaning")),
    )
    for option in options:
        default = "(must be given)" if option.default is None else option.default
        table.add_row(option.name, option.type, default, option.bounds, option.meaning)
    return table


def versions_table(versions: tuple[Version, ...]) -> Grid:
    """Return the registered versions, one row each."""
    table = Grid(
        "versions",
        (
            _text("name"),
            _number("version"),
            _number("weights"),
            _text("run"),
            _number("evidence", optional=True),
            _number("created", optional=True),
        ),
    )
    for version in versions:
        table.add_row(
            version.name,
            str(version.version),
            version.weights[:12],
            version.run,
            (version.evidence or "")[:12],
            _minute(version.created_at),
        )
    return table


def history_table(moves: tuple[AliasMove, ...]) -> Grid:
    """Return the moves of all aliases, oldest first."""
    table = Grid(
        "history",
        (
            _text("alias"),
            _number("move"),
            _number("version"),
            _number("weights"),
            _text("by"),
            _number("at"),
            _number("before", optional=True),
            _number("evidence", optional=True),
            _number("journal head", optional=True),
        ),
    )
    for move in moves:
        table.add_row(
            f"{move.name}@{move.alias}",
            move.kind,
            str(move.version),
            move.weights[:12],
            move.actor,
            _minute(move.at),
            (move.previous or "nothing")[:12],
            (move.evidence or "")[:12],
            (move.head or "")[:12],
        )
    return table


def runs_table(runs: Iterable[RunListing], now: datetime) -> Grid:
    """Return the runs of a home, one row each; rehearsals, copies and damaged runs say that they are such."""
    table = Grid(
        "runs (size: the run's directory; blobs belong to the home)",
        (
            _number("id"),
            _text("schedule", optional=True),
            _text("state"),
            _text("result"),
            _text("in force"),
            _number("age"),
            _number("size", optional=True),
        ),
    )
    for run in runs:
        result = plain_reason(run.result)
        if run.is_open:
            result = f"{result}, last record {age(_seconds_since(run.latest, now))} ago"
        if run.is_rehearsal:
            result = f"{result} (rehearsal)"
        if run.copy_of is not None:
            result = f"{result} (a copy, in {run.path})"
        old = age(_seconds_since(run.created, now)) if run.created else ""
        table.add_row(run.id, run.schedule, run.state, result, ", ".join(run.in_force), old, size(run.size))
    return table


def comparison_table(result: ComparisonResult) -> Grid:
    """Return every KPI of two policies, with the one-sided bounds of their paired difference."""
    length = "" if result.days is None else f" of {result.days} days"
    table = Grid(
        f"{result.scenario}: {short_ref(result.candidate)} against {short_ref(result.baseline)}, {result.episodes} "
        f"paired episodes{length}, {result.actions} actions, "
        f"one-sided bounds at {number(100 * result.confidence)}%",
        (
            _number("metric"),
            _number("candidate"),
            _number("baseline"),
            _number("difference"),
            _number("low"),
            _number("high"),
            _number("better"),
            _text("unit", optional=True),
            _number("pairs", optional=True),
            _number("worst difference", optional=True),
            _number("P(improvement)", optional=True),
            _number("IQM", optional=True),
            _number("baseline IQM", optional=True),
        ),
    )
    for row in result.metrics:
        numbers = (row.candidate, row.baseline, row.difference, row.low, row.high)
        more = (row.worst, row.probability_of_improvement, row.candidate_iqm, row.baseline_iqm)
        known = map(number, numbers) if not row.problem else ("unknown", "", "", "", "")
        table.add_row(row.metric, *known, row.direction, row.unit, str(row.pairs), *map(number, more))
    return table


def evidence_table(digest: str, evidence: EvidenceTable) -> Grid:
    """Return the paired evidence behind a promotion: means, and the two-sided 95 % interval of the differences."""
    table = Grid(
        f"evidence {digest[:12]}: {evidence.looks[-1]} episodes, candidate {evidence.candidate[:12]}",
        (
            _number("metric"),
            _text("against"),
            _number("candidate"),
            _number("baseline"),
            _number("difference"),
            _number("95% interval"),
            _number("pairs", optional=True),
        ),
    )
    for row in evidence_rows(evidence):
        table.add_row(*row)
    return table


def evidence_rows(evidence: EvidenceTable) -> Iterator[tuple[str, ...]]:
    """Yield metric, baseline, both means, their difference, its two-sided 95 % interval and the pairs, as cells."""
    for row in compare_kpis(evidence):
        yield row.metric, f"{row.baseline} ({short_ref(row.policy)})", *_compared(row)


def _compared(row: KpiComparison) -> tuple[str, ...]:
    """Return the cells of one metric against one baseline: both means, their difference, its interval, the pairs."""
    if not row.is_known:
        return "", "", "", "unknown", f"{row.both} of {len(row.values)}"
    counted = str(len(row.own)) if row.is_paired else f"{len(row.own)} and {len(row.other)}"
    means = row.means
    if means is None:
        return "", "", "", "", counted
    return (*map(number, (*means, means[0] - means[1])), f"[{number(row.low)}, {number(row.high)}]", counted)


def _seconds_since(moment: str, now: datetime) -> float:
    """Return how long ago a time in ISO 8601 was; one without a zone, which no run of ours writes, counts as UTC."""
    parsed = datetime.fromisoformat(moment)
    return (now - (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))).total_seconds()


def _minute(moment: str) -> str:
    """Return a time in ISO 8601 without seconds."""
    return moment[:16].replace("T", " ")
