"""Terminal tables of replications and of recipes."""

from townlet.machine.replication.recipes import RecipeComparison
from townlet.machine.replication.summary import Replication
from townlet.numerals import number, plain_reason
from townlet.report.layout import Column, Grid

__all__ = ["recipes_table", "replication_table"]


def replication_table(replication: Replication) -> Grid:
    """Return one row for each seed: its run, its end, and its first guarded KPI beside the baseline's."""
    kpi = next((replicate.gains[0] for replicate in replication.replicates if replicate.gains), None)
    table = Grid(
        f"{replication.schedule}: {kpi.metric} against {kpi.against}" if kpi else replication.schedule,
        (
            Column("seed", is_number=True),
            Column("state"),
            Column("promoted"),
            Column("candidate", is_number=True),
            Column("baseline", is_number=True),
            Column("difference", is_number=True),
            Column("error", is_number=True),
            Column("seconds", is_number=True, is_optional=True),
            Column("agent-steps", is_number=True, is_optional=True),
            Column("run", is_number=True, is_optional=True),
        ),
    )
    for each in replication.replicates:
        gain = each.gains[0] if each.gains else None
        numbers = (None,) * 4 if gain is None else (gain.candidate, gain.baseline, gain.gain, gain.error)
        state = each.state if each.state == "done" or not each.reason else f"{each.state}: {plain_reason(each.reason)}"
        table.add_row(
            str(each.seed),
            state,
            "yes" if each.promoted else "no" if each.has_ended else "",
            *map(number, numbers),
            f"{each.seconds:.0f}",
            f"{each.agent_steps:,}",
            each.run,
        )
    return table


def recipes_table(comparison: RecipeComparison) -> Grid:
    """Return one row for each KPI and recipe; chances are those of an episode against one of the first recipe."""
    first = comparison.recipes[0].name
    table = Grid(
        f"{', '.join(recipe.name for recipe in comparison.recipes)}: 95% bootstrap intervals, chances against {first}",
        (
            Column("metric", is_number=True),
            Column("recipe", is_number=True),
            Column("runs", is_number=True),
            Column("IQM", is_number=True),
            Column("interval", is_number=True),
            Column("P(improvement)", is_number=True),
            Column("its interval", is_number=True),
            Column("mean", is_number=True, is_optional=True),
            Column("better", is_number=True, is_optional=True),
            Column("unit", is_optional=True),
            Column("episodes", is_number=True, is_optional=True),
            Column("left out", is_number=True, is_optional=True),
        ),
    )
    for kpi in comparison.kpis:
        is_known = kpi.iqm is not None
        table.add_row(
            kpi.metric,
            kpi.recipe,
            str(kpi.runs),
            number(kpi.iqm) if is_known else "unknown",
            _interval(kpi.iqm_low, kpi.iqm_high),
            number(kpi.improvement),
            _interval(kpi.improvement_low, kpi.improvement_high),
            number(kpi.mean),
            kpi.direction,
            kpi.unit,
            str(kpi.episodes),
            str(kpi.left_out) if kpi.left_out else "",
        )
    return table


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None else f"[{number(low)}, {number(high)}]"
