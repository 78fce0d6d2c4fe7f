"""`townlet logs`: whether a training log holds together, and what it says."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import Json

__all__ = ["logs"]

logs = App(name="logs", help="Validate and summarise training logs of any generation.", help_format="plaintext")

Log = Annotated[Path, Parameter(help="The log; what it was rotated to (LOG.1, LOG.2 …) is read after it.")]


@logs.command
def validate(log: Log, *, json: Json = False) -> int:
    """Check every line: finite numbers, complete keys, a known version; exit code 2 where something is wrong."""
    from townlet.report import terminal
    from townlet.store.training_log import summarise

    found = summarise(log)
    if json:
        terminal.show_json(found.model_dump())
    else:
        generations = ", ".join(f"{count} of {name}" for name, count in found.generations.items())
        lacking = f"; without {', '.join(found.missing)} keys" if found.missing else ""
        terminal.show(f"valid: {found.lines} lines in {len(found.files)} files, generations: {generations}{lacking}")
    return 0


@logs.command
def summary(log: Log, *, json: Json = False) -> int:
    """Say how the losses moved and what the guards of each round said."""
    from townlet.report import terminal
    from townlet.store.training_log import summarise

    found = summarise(log)
    if json:
        terminal.show_json(found.model_dump())
        return 0
    terminal.show(f"{found.epochs} epochs, {found.rounds} rounds, {found.transitions:,} transitions")
    for name, first in found.first.items():
        terminal.show(f"{name}: {first:.4g} → {found.last[name]:.4g}")
    for flags in found.flags:
        told = (("loss", flags.loss_flag), ("queue", flags.queue_flag), ("intensity", flags.intensity_flag))
        words = ", ".join(f"{name} {_word(flag)}" for name, flag in told)
        terminal.show(f"round {flags.cycle} ({flags.stage}): {words}")
    return 0


def _word(flag: bool | None) -> str:
    return "not judged" if flag is None else "tripped" if flag else "held"
