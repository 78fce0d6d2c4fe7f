"""`townlet gc`: free the blobs that no run and no registry entry names."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json

__all__ = ["gc"]

gc = App(name="gc", help="Free the blobs that no run and no registry entry names.", help_format="plaintext")


@gc.default
def free(
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Only print what would be freed.")] = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Free the blobs that no run and no registry entry names; exit code 3 while a run is active."""
    from townlet.machine.audit.gc import sweep
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal

    report = sweep(home, catalogue(), dry=dry_run)
    if json:
        terminal.show_json(report.model_dump())
    else:
        done = "would free" if dry_run else "freed"
        terminal.show(
            f"{done} {report.bytes_:,} bytes in {report.blobs} blobs; {report.live} named by {report.runs} runs"
        )
    return 0
