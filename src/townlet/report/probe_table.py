"""The terminal table of a probe of an environment."""

from townlet.dto.environment_probe import EnvironmentProbe
from townlet.report.layout import Column, Grid

__all__ = ["probe_table"]


def probe_table(probe: EnvironmentProbe) -> Grid:
    """Return what was found in an environment, one thing a row, and what to do about it."""
    table = Grid(
        f"environment {probe.environment}/{probe.scenario}", (Column("what"), Column("found"), Column("advice"))
    )
    for row in probe.rows:
        table.add_row(row.what, row.found, row.advice)
    return table
