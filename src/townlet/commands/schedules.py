"""`townlet schedules` and `townlet schema`: the shipped schedules, and the JSON Schema that editors check one with."""

from cyclopts import App

from townlet.commands.arguments import Json

__all__ = ["add_schedule_commands"]


def schedules(*, json: Json = False) -> int:
    """List the shipped schedules: what each does and what it needs. A name works wherever a schedule is expected."""
    from townlet.machine.schedule.shipped import shipped_schedules
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import tables, terminal

    entries = catalogue().entries
    rows = []
    for shipped in shipped_schedules():
        spec = PolicyTrainingOrchestrator(shipped.path).plan().schedule
        rows.append(
            tables.ScheduleRow(
                name=shipped.name,
                summary=shipped.summary,
                environment=f"{spec.environment.id}/{spec.environment.scenario}",
                torch=any(entries[state.strategy].requires_torch for state in spec.states.values()),
                wall_clock=spec.budget.wall_clock,
                agent_steps=spec.budget.agent_steps,
            )
        )
    if json:
        terminal.show_json([row.model_dump() for row in rows])
    else:
        terminal.show(tables.schedules_table(rows))
    return 0


def schema() -> int:
    """Print the JSON Schema of schedules, with the options of every strategy that is installed."""
    from townlet.machine.schedule.json_schema import schedule_schema_text
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal

    terminal.show_plain(schedule_schema_text({name: entry.spec for name, entry in catalogue().entries.items()}))
    return 0


def add_schedule_commands(app: App) -> None:
    """Register both commands with the app."""
    app.command(schedules)
    app.command(schema)
