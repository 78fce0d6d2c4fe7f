"""`townlet bench`: measure speed on this machine."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import Json
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
