"""`townlet runs`: the runs of a home."""

from townlet.commands.arguments import HOME, Home, Json, Wide

__all__ = ["runs"]


def runs(*, wide: Wide = False, home: Home = HOME, json: Json = False) -> int:
    """List the runs of a home, the youngest first: schedule, state, result, what of it is in force, age, size."""
    from datetime import UTC, datetime

    from townlet.machine.audit.run_list import list_runs
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import tables, terminal

    listed = list_runs(home, catalogue())
    if json:
        terminal.show_json([run.model_dump() for run in listed])
    elif listed:
        terminal.show(tables.runs_table(listed, datetime.now(UTC)), wide=wide)
    else:
        terminal.show(f"{home.absolute()}: there is no run yet; start one with: townlet run SCHEDULE")
    return 0
