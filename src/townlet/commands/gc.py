"""`townlet gc`: blobs that nothing names go."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json

__all__ = ["gc"]

gc = App(name="gc", help="Free the blobs that no run and no registry entry names.", help_format="plaintext")


@gc.default
def free(
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Only say what would go.")] = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Free the blobs that no run and no registry entry names; exit code 3 where a run is at work."""
    from townlet.machine.audit.gc import sweep
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal

    found = sweep(home, catalogue(), dry=dry_run)
    if json:
        terminal.show_json(found.model_dump())
    else:
        done = "would free" if dry_run else "freed"
        terminal.show(f"{done} {found.bytes_:,} bytes in {found.blobs} blobs; {found.kept} named by {found.runs} runs")
    return 0
