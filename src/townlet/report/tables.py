"""Tables for people: forecasts, strategies, registries, comparisons."""

from rich.table import Table

from townlet.dto.comparison import ComparisonResult
from townlet.dto.guards import EvidenceTable
from townlet.dto.policy_ref import short_ref
from townlet.dto.registry import AliasMove, Version
from townlet.estimate import bounds
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.schedule.forecast import Forecast

__all__ = [
    "comparison_table",
    "evidence_table",
    "forecast_tables",
    "history_table",
    "strategies_table",
    "versions_table",
]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def forecast_tables(forecast: Forecast) -> tuple[Table, Table]:
    """Return what a run may visit and cost, and what its guards can see."""
    states = _table(
        f"{forecast.name}: at most {forecast.agent_steps:,} agent-steps, {forecast.disk / 2**20:,.0f} MiB; "
        f"may end in {', '.join(forecast.ends)}",
        "state", "strategy", "visits ≤", "agent-steps each", "leads to",
    )  # fmt: skip
    for state in forecast.states:
        states.add_row(
            state.state, state.strategy, str(state.most_visits), f"{state.agent_steps:,}", ", ".join(state.leads_to)
        )
    guards = _table("guards", "guard", "asked at", "decides", "detectable (sd)", "equal policy passes")
    for guard in forecast.guards:
        guards.add_row(
            guard.guard, ", ".join(guard.asked_at), ", ".join(guard.decides), _number(guard.detectable),
            _number(guard.equal_passes),
        )  # fmt: skip
    return states, guards


def strategies_table(catalogue: StrategyCatalogue) -> Table:
    """Return what is available here and what to install for the rest."""
    table = _table("strategies", "name", "here", "what it does")
    for entry in catalogue.entries.values():
        here = "yes" if catalogue.torch_available or not entry.requires_torch else "no: pip install 'townlet[torch]'"
        table.add_row(entry.name, here, entry.doc)
    return table


def versions_table(versions: tuple[Version, ...]) -> Table:
    """Return registered versions."""
    table = _table("versions", "name", "version", "weights", "evidence", "run", "created")
    for version in versions:
        table.add_row(
            version.name, str(version.version), version.weights[:12], (version.evidence or "")[:12], version.run,
            version.created_at,
        )  # fmt: skip
    return table


def history_table(moves: tuple[AliasMove, ...]) -> Table:
    """Return the moves of aliases, oldest first."""
    table = _table("history", "alias", "move", "version", "weights", "before", "evidence", "journal head", "by", "at")
    for move in moves:
        table.add_row(
            f"{move.name}@{move.alias}", move.kind, str(move.version), move.weights[:12],
            (move.previous or "nothing")[:12], (move.evidence or "")[:12], (move.head or "")[:12], move.actor, move.at,
        )  # fmt: skip
    return table


def comparison_table(result: ComparisonResult) -> Table:
    """Return every KPI of two policies with the bounds of the paired difference."""
    table = _table(
        f"{result.scenario}: {result.candidate[:20]} against {result.baseline[:20]}, {result.episodes} paired episodes "
        f"of {result.days} days, {result.actions} actions, one-sided bounds at {result.confidence:.1%}",
        "metric", "unit", "better", "candidate", "baseline", "difference", "low", "high", "IQM", "baseline IQM",
        "P(improvement)", "pairs",
    )  # fmt: skip
    for row in result.metrics:
        numbers = (
            row.candidate, row.baseline, row.difference, row.low, row.high, row.candidate_iqm, row.baseline_iqm,
            row.probability_of_improvement,
        )  # fmt: skip
        table.add_row(row.metric, row.unit, row.direction, *map(_number, numbers), str(row.pairs))
    return table


def evidence_table(digest: str, evidence: EvidenceTable) -> Table:
    """Return the paired evidence a promotion stands on: means, and the two-sided 95 % interval of the differences."""
    table = _table(
        f"evidence {digest[:12]}: {evidence.looks[-1]} episodes, candidate {evidence.candidate[:12]}",
        "metric", "against", "candidate", "baseline", "difference", "95% interval", "pairs",
    )  # fmt: skip
    for row in evidence.metrics:
        for name, policy in evidence.baselines.items():
            pairs = [
                (mine, theirs)
                for mine, theirs in zip(row.values["candidate"], row.values[name], strict=True)
                if mine is not None and theirs is not None
            ]
            if len(pairs) < 2:
                continue
            differences = [mine - theirs for mine, theirs in pairs]
            low, high = bounds(differences, 0.025)
            means = (sum(column) / len(pairs) for column in ([m for m, _ in pairs], [t for _, t in pairs], differences))
            shown = short_ref(policy)
            table.add_row(
                row.metric, f"{name} ({shown})", *map(_number, means), f"[{low:.4g}, {high:.4g}]".replace("[", "\\["),
                str(len(pairs)),
            )  # fmt: skip
    return table
