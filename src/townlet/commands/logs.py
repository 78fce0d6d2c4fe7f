"""`townlet logs`: validate and summarise training logs."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import Json

__all__ = ["logs"]

logs = App(name="logs", help="Validate and summarise training logs of any generation.", help_format="plaintext")

Log = Annotated[Path, Parameter(help="The log; its rotated files (LOG.1, LOG.2 …) are read after it.")]


@logs.command
def validate(log: Log, *, json: Json = False) -> int:
    """Check every line: finite numbers, complete keys, a known version; exit code 2 if one is wrong."""
    from townlet.report import terminal
    from townlet.store.training_log import summarise

    report = summarise(log)
    if json:
        terminal.show_json(report.model_dump())
    else:
        generations = ", ".join(f"{count} of {name}" for name, count in report.generations.items())
        missing = f"; without {', '.join(report.missing)} keys" if report.missing else ""
        terminal.show(f"valid: {report.lines} lines in {len(report.files)} files, generations: {generations}{missing}")
    return 0


@logs.command
def summary(log: Log, *, json: Json = False) -> int:
    """Print how the losses changed, and the guard flags of each round."""
    from townlet.report import terminal
    from townlet.store.training_log import summarise

    report = summarise(log)
    if json:
        terminal.show_json(report.model_dump())
        return 0
    terminal.show(f"{report.epochs} epochs, {report.rounds} rounds, {report.transitions:,} transitions")
    for name, first in report.first.items():
        terminal.show(f"{name}: {first:.4g} → {report.last[name]:.4g}")
    for flags in report.flags:
        named = (("loss", flags.loss_flag), ("queue", flags.queue_flag), ("intensity", flags.intensity_flag))
        words = ", ".join(f"{name} {_word(flag)}" for name, flag in named)
        terminal.show(f"round {flags.cycle} ({flags.stage}): {words}")
    return 0


def _word(flag: bool | None) -> str:
    return "not judged" if flag is None else "tripped" if flag else "held"
