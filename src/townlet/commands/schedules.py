"""What a schedule can be made of: `townlet schedules`, `townlet strategies` and `townlet schema`."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import Json, Wide
from townlet.commands.overview import PLANNING

__all__ = ["add_schedule_commands"]


def schedules(
    name: Annotated[str | None, Parameter(help="A shipped schedule, to print it as the start of your own.")] = None,
    *,
    json: Json = False,
) -> int:
    """List the shipped schedules: what each does and what it needs. A name works wherever a schedule is expected."""
    from townlet.dto.codec import structure
    from townlet.dto.schedule import ScheduleSpec
    from townlet.machine.schedule.shipped import shipped_schedule, shipped_schedules
    from townlet.machine.schedule.yaml_source import read
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import tables, terminal

    if name is not None:
        terminal.show_plain(shipped_schedule(name).copy())
        return 0
    entries = catalogue().entries
    rows = []
    for shipped in shipped_schedules():
        spec = structure(read(shipped.path.read_bytes()).data, ScheduleSpec)
        rows.append(
            tables.ScheduleRow(
                name=shipped.name,
                summary=shipped.summary,
                environment=_place(spec.environment.id, spec.environment.scenario),
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


def _place(environment: str, scenario: str) -> str:
    """Return an environment with its scenario, where it has more than one."""
    return environment if scenario == "default" else f"{environment}/{scenario}"


def strategies(
    name: Annotated[str | None, Parameter(help="A strategy, to list its options.")] = None,
    *,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """List the strategies and whether each can run here; with a name, the options of that strategy."""
    from townlet.errors import BadInputError
    from townlet.machine.schedule.option_list import strategy_options
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import tables, terminal

    installed = catalogue()
    if name is not None:
        if name not in installed.entries:
            raise BadInputError(installed.problem(name))
        entry = installed.entries[name]
        options = strategy_options(entry.spec)
        if json:
            terminal.show_json([option.model_dump() for option in options])
        else:
            terminal.show(tables.options_table(entry, options), wide=wide)
    elif json:
        terminal.show_json({strategy.name: strategy.here for strategy in installed.availability()})
    else:
        terminal.show(tables.strategies_table(installed), wide=wide)
    return 0


def schema() -> int:
    """Print the JSON Schema of schedules, with the options of every strategy that is installed."""
    from townlet.machine.schedule.json_schema import schedule_schema_text
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal

    terminal.show_plain(schedule_schema_text({name: entry.spec for name, entry in catalogue().entries.items()}))
    return 0


def add_schedule_commands(app: App) -> None:
    """Register the commands with the app."""
    for command in (schedules, strategies, schema):
        app.command(command, group=PLANNING)
