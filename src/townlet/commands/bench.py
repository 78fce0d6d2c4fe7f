"""`townlet bench`: measure speed on this machine."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import AllowImport, Json, OptionalSchedulePath, Overrides
from townlet.commands.overview import OTHERS

__all__ = ["bench"]

bench = App(name="bench", help="Measure speed on this machine.", help_format="plaintext", group=OTHERS)


@bench.command
def town(
    scenario: Annotated[str, Parameter(help="Scenario to play.")] = "small_town",
    *,
    quick: Annotated[bool, Parameter(negative="", help="Few sizes, one round each.")] = False,
    json: Json = False,
) -> int:
    """Measure the town's speed in agent-ticks and agent-steps per second, by worlds, agents and threads."""
    from townlet.env.bench_town import bench as measure
    from townlet.env.bench_town import bench_table
    from townlet.report import terminal

    if quick:
        result = measure(scenario=scenario, worlds=(64, 1024), agents=(8,), rounds=1)
    else:
        result = measure(scenario=scenario)
    if json:
        terminal.show_json(result.model_dump())
    else:
        terminal.show(bench_table(result))
    return 0


@bench.command
def ppo(
    schedule: OptionalSchedulePath = None,
    *,
    seconds: Annotated[float, Parameter(help="How long to measure, beside the start; three rounds at least.")] = 20.0,
    overrides: Overrides = (),
    allow_import: AllowImport = (),
    json: Json = False,
) -> int:
    """Measure ppo in samples per second, and what share of it matrix products take; of small_town where not named."""
    from townlet.imports import Imports
    from townlet.machine.schedule.overrides import parse_overrides
    from townlet.machine.schedule.shipped import find_schedule
    from townlet.policy.training.bench_ppo import bench as measure
    from townlet.policy.training.bench_ppo import bench_table
    from townlet.policy.training.launch import ScheduleSource
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.report import terminal

    source = ScheduleSource.overriding(schedule or find_schedule("small_town"), parse_overrides(overrides))
    orchestrator = PolicyTrainingOrchestrator(source, imports=Imports(allow_import))
    plan = orchestrator.plan()
    result = measure(plan, orchestrator.source.provider(plan.schedule.environment), seconds=seconds)
    if json:
        terminal.show_json(result.model_dump())
    else:
        terminal.show(bench_table(result))
    return 0
