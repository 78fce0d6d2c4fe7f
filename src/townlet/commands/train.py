"""`townlet train`: the flags and modes of earlier releases, and the reference page made from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import attrs
from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, Overrides, Quiet, SchedulePath, Seed, Track
from townlet.commands.run_loop import report_lost_output, walk
from townlet.dto.fields import field_docs
from townlet.dto.train import MODES, TrainRequest
from townlet.errors import OutputError
from townlet.numerals import plain_reason

if TYPE_CHECKING:
    from townlet.dto.policy import AnnealSummary
    from townlet.dto.training_log import TrainingLogEntry
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

__all__ = ["reference", "train"]

_NOTHING = TrainRequest()


def train(
    schedule: SchedulePath,
    *,
    request: Annotated[TrainRequest, Parameter(name="*", negative=())] = _NOTHING,
    seed: Seed = None,
    overrides: Overrides = (),
    allow_import: AllowImport = (),
    track: Track = (),
    quiet: Quiet = False,
    home: Home = HOME,
) -> int:
    """Run a schedule, or the part of it that a mode selects; print one JSON document."""
    from townlet.policy.compat.legacy import legacy_document
    from townlet.report import terminal

    epochs: list[TrainingLogEntry | None] = []
    lost: list[OutputError] = []

    def action(orchestrator: "PolicyTrainingOrchestrator") -> "AnnealSummary":
        try:
            return orchestrator.train(request)
        except OutputError as error:
            lost.append(error)
            return cast("AnnealSummary", error.summary)
        finally:
            epochs.append(orchestrator.last_epoch)

    code, summary = walk(
        schedule, home, action, seed=seed, overrides=overrides, allow_import=allow_import, track=track, quiet=quiet
    )
    if summary is None:
        return code
    if summary.state == "done" or request.mode == "anneal":
        terminal.show_json(legacy_document(summary, request.mode, epochs[-1]))
        report_lost_output(summary)
    if summary.state != "done":
        terminal.complain(f"{summary.state}: {plain_reason(summary.reason)} ({summary.path})")
    for error in lost:
        error.add_note(f"write them again with: {_write_command(request, summary, home)}")
        raise error
    if request.mode == "anneal":
        return 1 if request.anneal_exit_on_failure and summary.status != "PASS" else 0
    return code


def _write_command(request: TrainRequest, summary: "AnnealSummary", home: Path) -> str:
    """Return the command that writes the files of a request again, from the run."""
    from townlet.store.hints import command_line, run_word
    from townlet.store.rundir import RunDirectory

    words = ["logs", "write", run_word(home, RunDirectory.at(Path(summary.path)))]
    for name in ("anneal_log_dir", "rollout_save_dir"):
        if (folder := getattr(request, name)) is not None:
            words += [request.flag(name), str(Path(folder).absolute())]
    return command_line(*words, home=home)


def reference() -> str:
    """Return docs/reference/train.md: the table of flags, made from the record that the command line is made from."""
    docs = field_docs(TrainRequest)
    lines = [
        "# townlet train",
        "",
        "`townlet train SCHEDULE [--mode MODE] …` runs a schedule, or the part of it that a mode selects, with the "
        "flags of earlier releases. `run_training` is the same command. stdout is one JSON document in the shape that "
        "existing scripts read; progress and errors go to stderr. This page is generated from `townlet.dto.train`.",
        "",
        "A mode keeps the `with` of the named states and replaces all edges by a chain to done: a smaller machine, "
        "journalled and resumable like any other. `--mode anneal` exits with 0 once it has printed its status; with "
        "`--anneal-exit-on-failure` with 1 unless the status is PASS. Every other mode exits as `townlet run` does: "
        "[exit codes](commands.md#exit-codes).",
        "",
        "| mode | runs | prints |",
        "|---|---|---|",
        *(f"| `{mode}` | {runs} | {prints} |" for mode, runs, prints in _MODES),
        "",
        "| flag | value | modes | replaces | |",
        "|---|---|---|---|---|",
    ]
    for field in attrs.fields(TrainRequest):
        option = TrainRequest.option(field.name)
        modes = TrainRequest.modes(field.name)
        sentence = " ".join(docs[field.name].split())
        cells = (
            f"`{TrainRequest.flag(field.name)}`",
            _value(field.type),
            "all" if modes == MODES else ", ".join(modes),
            "" if option is None else f"`{option[1]}` of {option[0]}",
            sentence,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_NOTES]) + "\n"


_MODES = (
    ("anneal", "the whole machine", "`{status, promotion, results}`"),
    ("bc", "capture → bc, or bc alone with `--bc-manifest`", "`{mode, manifest, loss, accuracy}`"),
    ("rollout", "capture of the learner's own play → ppo", "the last epoch's keys of the training log"),
    (
        "replay",
        "replay, then ppo on it with `--train-ppo`",
        "`{mode, manifest, summaries, baseline}`, ppo's under `ppo`",
    ),
    ("mixed", "replay as above, then rollout as above", "the same"),
    ("capture", "capture of the teacher", "its metrics"),
    ("ppo", "ppo alone, on a data set where one is named", "the last epoch's keys of the training log"),
)
_NOTES = (
    "ppo without a bc state starts fresh, or from what its `start_from` names: `champion`, or weights under "
    "`policies`. ppo on replay and bc with a manifest take samples that `--rollout-save-dir` wrote; older ones "
    "are summarised, not trained on.",
    "",
    "`townlet resume` continues an interrupted run. It knows the run and not the flags: the run ends with the same "
    "bits and prints what `run` prints, but the file of `--ppo-log` gets nothing of the resumed part; the run's "
    "`metrics.jsonl` and its journal get all of it. `townlet logs write RUN --anneal-log-dir DIR --rollout-save-dir "
    "DIR` writes results, promotion snapshot and samples of a run that has ended, whoever ended it.",
    "",
    "Where these files go is checked before a run begins. What then cannot be written (a full disk, a directory that "
    "was removed) changes nothing of the run: it ends as it would have, the document is printed, and the exit code is "
    "4 with one sentence and the command that writes the files again.",
)


def _value(kind: object) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "none"}
    parts = [part for part in get_args(kind) if part is not type(None)] or [kind]
    words = [word for part in parts for word in get_args(part) or (part,)]
    if all(isinstance(word, str) for word in words):
        return ", ".join(f"`{word}`" for word in words)
    return ", ".join(names[word] for word in words if isinstance(word, type))
