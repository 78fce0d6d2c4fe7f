"""Terminal tables of replications and of recipes."""

from townlet.machine.replication.summary import Replication
from townlet.numerals import number
from townlet.report.layout import Column, Grid

__all__ = ["replication_table"]


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
            Column("gain", is_number=True),
            Column("error", is_number=True),
            Column("seconds", is_number=True, is_optional=True),
            Column("agent-steps", is_number=True, is_optional=True),
            Column("run", is_number=True, is_optional=True),
        ),
    )
    for each in replication.replicates:
        gain = each.gains[0] if each.gains else None
        numbers = (None,) * 4 if gain is None else (gain.candidate, gain.baseline, gain.gain, gain.error)
        state = each.state if each.state == "done" or not each.reason else f"{each.state}: {each.reason}"
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
