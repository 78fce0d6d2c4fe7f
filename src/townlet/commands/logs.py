"""`townlet logs`: validate and summarise training logs, write the files of a run again."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json, Run, find_run
from townlet.commands.overview import OTHERS
from townlet.commands.run_control import has_ended

__all__ = ["logs"]

logs = App(
    name="logs", help="Validate and summarise training logs of any generation.", help_format="plaintext", group=OTHERS
)

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


@logs.command
def write(
    run: Run,
    *,
    anneal_log_dir: Annotated[
        Path | None, Parameter(help="Directory for anneal_results.json and promotion_snapshot.json.")
    ] = None,
    rollout_save_dir: Annotated[Path | None, Parameter(help="Directory for the captured play as samples.")] = None,
    home: Home = HOME,
) -> int:
    """Write the files of a run that has ended, as `townlet train` would have: results, snapshot and samples."""
    from townlet.errors import BadInputError
    from townlet.policy.compat.records import write_outputs
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.report import terminal
    from townlet.store.blobs import BlobStore
    from townlet.store.hints import command_line, run_word

    if anneal_log_dir is None and rollout_save_dir is None:
        raise BadInputError("nothing to write; name --anneal-log-dir, --rollout-save-dir or both")
    home, directory = find_run(home, run)
    if not has_ended(home, directory):
        command = command_line("resume", run_word(home, directory), home=home)
        raise BadInputError(f"{directory.path}: the run has not ended; end it first: {command}")
    schedule = directory.source or directory.schedule
    summary = PolicyTrainingOrchestrator(schedule, home=home).resume(directory.path)
    write_outputs(summary, BlobStore(home / "blobs"), anneal_log_dir, rollout_save_dir)
    terminal.show(f"written: {', '.join(str(path) for path in (anneal_log_dir, rollout_save_dir) if path is not None)}")
    return 0


def _word(flag: bool | None) -> str:
    return "not judged" if flag is None else "tripped" if flag else "held"
