"""`townlet graph`: the machine of a schedule as a diagram or a picture."""

from typing import Annotated, Literal

from cyclopts import Parameter

from townlet.commands.arguments import AllowImport, Overrides, SchedulePath

__all__ = ["graph"]


def graph(
    schedule: SchedulePath,
    *,
    format: Annotated[  # noqa: A002
        Literal["mermaid", "svg"],
        Parameter(help="mermaid, which code forges draw, or svg, a picture for everything else."),
    ] = "mermaid",
    overrides: Overrides = (),
    allow_import: AllowImport = (),
) -> int:
    """Draw the machine of a schedule as a Mermaid state diagram, or as a picture."""
    from townlet.env.libraries import needed
    from townlet.imports import Imports
    from townlet.machine.schedule.diagram import mermaid
    from townlet.machine.schedule.overrides import parse_overrides
    from townlet.policy.training.launch import ScheduleSource
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.report import terminal

    config = ScheduleSource.overriding(schedule, parse_overrides(overrides))
    orchestrator = PolicyTrainingOrchestrator(config, imports=Imports(allow_import))
    planned = orchestrator.plan().schedule
    if format == "mermaid":
        terminal.show(mermaid(planned).rstrip("\n"))
        return 0
    with needed("markupsafe", extra="report"):
        from townlet.report.html.drawing.schedule import schedule_drawing
    terminal.show_plain(schedule_drawing(planned))
    return 0
