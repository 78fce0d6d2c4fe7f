"""Terminal tables: forecasts, schedules, strategies, registries, comparisons."""

from collections.abc import Iterable

from attrs import frozen
from rich.table import Table

from townlet.dto.codec import Record
from townlet.dto.comparison import ComparisonResult
from townlet.dto.guards import EvidenceTable
from townlet.dto.policy_ref import short_ref
from townlet.dto.registry import AliasMove, Version
from townlet.estimate import bounds
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.schedule.forecast import Forecast

__all__ = [
    "ScheduleRow",
    "comparison_table",
    "evidence_table",
    "forecast_tables",
    "history_table",
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


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def forecast_tables(forecast: Forecast) -> tuple[Table, Table]:
    """Return two tables: what a run can visit and cost at most, and which differences its guards can detect."""
    states = _table(
        f"{forecast.name}: at most {forecast.agent_steps:,} agent-steps, {forecast.disk / 2**20:,.0f} MiB; "
        f"may end in {', '.join(forecast.ends)}",
        "state",
        "strategy",
        "visits ≤",
        "agent-steps each",
        "leads to",
    )
    for state in forecast.states:
        states.add_row(
            state.state, state.strategy, str(state.most_visits), f"{state.agent_steps:,}", ", ".join(state.leads_to)
        )
    guards = _table("guards", "guard", "evaluated in", "decides", "detectable (sd)", "equal policy passes")
    for guard in forecast.guards:
        guards.add_row(
            guard.guard,
            ", ".join(guard.asked_at),
            ", ".join(guard.decides),
            _number(guard.detectable),
            _number(guard.equal_passes),
        )
    return states, guards


def schedules_table(rows: Iterable[ScheduleRow]) -> Table:
    """Return the shipped schedules, what each does and what it needs."""
    table = _table("schedules", "name", "what it does", "environment", "needs")
    for row in rows:
        needs = ["torch"] if row.torch else []
        needs += [] if row.wall_clock is None else [f"at most {row.wall_clock / 60:.0f} min"]
        needs += [] if row.agent_steps is None else [f"{row.agent_steps:,} agent-steps"]
        table.add_row(row.name, row.summary, row.environment, ", ".join(needs))
    return table


def strategies_table(catalogue: StrategyCatalogue) -> Table:
    """Return every strategy, whether it can run, and what to install where it cannot."""
    table = _table("strategies", "name", "can run", "what it does")
    for entry in catalogue.entries.values():
        can_run = catalogue.torch_available or not entry.requires_torch
        table.add_row(entry.name, "yes" if can_run else "no: pip install 'townlet[torch]'", entry.doc)
    return table


def versions_table(versions: tuple[Version, ...]) -> Table:
    """Return the registered versions, one row each."""
    table = _table("versions", "name", "version", "weights", "evidence", "run", "created")
    for version in versions:
        table.add_row(
            version.name,
            str(version.version),
            version.weights[:12],
            (version.evidence or "")[:12],
            version.run,
            version.created_at,
        )
    return table


def history_table(moves: tuple[AliasMove, ...]) -> Table:
    """Return the moves of all aliases, oldest first."""
    table = _table("history", "alias", "move", "version", "weights", "before", "evidence", "journal head", "by", "at")
    for move in moves:
        table.add_row(
            f"{move.name}@{move.alias}",
            move.kind,
            str(move.version),
            move.weights[:12],
            (move.previous or "nothing")[:12],
            (move.evidence or "")[:12],
            (move.head or "")[:12],
            move.actor,
            move.at,
        )
    return table


def comparison_table(result: ComparisonResult) -> Table:
    """Return every KPI of two policies, with the one-sided bounds of their paired difference."""
    table = _table(
        f"{result.scenario}: {result.candidate[:20]} against {result.baseline[:20]}, {result.episodes} paired episodes "
        f"of {result.days} days, {result.actions} actions, one-sided bounds at {result.confidence:.1%}",
        "metric",
        "unit",
        "better",
        "candidate",
        "baseline",
        "difference",
        "low",
        "high",
        "IQM",
        "baseline IQM",
        "P(improvement)",
        "pairs",
    )
    for row in result.metrics:
        numbers = (
            row.candidate,
            row.baseline,
            row.difference,
            row.low,
            row.high,
            row.candidate_iqm,
            row.baseline_iqm,
            row.probability_of_improvement,
        )
        table.add_row(row.metric, row.unit, row.direction, *map(_number, numbers), str(row.pairs))
    return table


def evidence_table(digest: str, evidence: EvidenceTable) -> Table:
    """Return the paired evidence behind a promotion: means, and the two-sided 95 % interval of the differences."""
    table = _table(
        f"evidence {digest[:12]}: {evidence.looks[-1]} episodes, candidate {evidence.candidate[:12]}",
        "metric",
        "against",
        "candidate",
        "baseline",
        "difference",
        "95% interval",
        "pairs",
    )
    for row in evidence.metrics:
        for name, policy in evidence.baselines.items():
            pairs = [
                (candidate, baseline)
                for candidate, baseline in zip(row.values["candidate"], row.values[name], strict=True)
                if candidate is not None and baseline is not None
            ]
            if len(pairs) < 2:
                continue
            candidates, baselines = zip(*pairs, strict=True)
            differences = [candidate - baseline for candidate, baseline in pairs]
            low, high = bounds(differences, 0.025)
            means = (sum(column) / len(pairs) for column in (candidates, baselines, differences))
            table.add_row(
                row.metric,
                f"{name} ({short_ref(policy)})",
                *map(_number, means),
                f"\\[{low:.4g}, {high:.4g}]",
                str(len(pairs)),
            )
    return table
